"""Which row of today has the place of one that comes back: as the key of today tells rows apart, and one for each."""

from pathlib import Path

import pytest

from replication.errors import BringBackError
from tests.foreign import Shell
from tests.recall.test_export import load, written
from tests.recall.trying import NEVER, Loss, only

BINARY_KEY = "CREATE TABLE t(k TEXT COLLATE NOCASE, v, PRIMARY KEY(k COLLATE BINARY)){}; INSERT INTO t VALUES('a', 1)"


@pytest.mark.parametrize("form", ["", " WITHOUT ROWID"])
def test_a_key_with_a_collation_of_its_own_leaves_others_alone(tmp_path: Path, form: str) -> None:
    loss = Loss(tmp_path, BINARY_KEY.format(form), "UPDATE t SET v = 2; INSERT INTO t VALUES('A', 3)")
    report = only(loss.bring_back("t", on_conflict="replace"))
    assert (report.updated, report.inserted) == (1, 0)
    assert loss.rows("SELECT k, v FROM t ORDER BY v") == [["a", 1], ["A", 3]]


def test_a_row_whose_key_only_a_column_takes_for_another_comes_back(tmp_path: Path) -> None:
    loss = Loss(tmp_path, BINARY_KEY.format(""), "UPDATE t SET k = 'A'")
    assert only(loss.bring_back("t", on_conflict="replace")).inserted == 1
    assert loss.rows("SELECT k FROM t ORDER BY k COLLATE BINARY") == [["A"], ["a"]]


@pytest.mark.parametrize("since", ["", "INSERT INTO t VALUES(1, 9, 'now')"], ids=["nothing there", "one there"])
def test_rows_that_share_the_key_of_today_do_not_write_over_each_other(tmp_path: Path, since: str) -> None:
    then = "CREATE TABLE t(a, b, v, PRIMARY KEY(a, b)); INSERT INTO t VALUES(1, 1, 'one'), (1, 2, 'two')"
    loss = Loss(tmp_path, then, f"DROP TABLE t; CREATE TABLE t(a PRIMARY KEY, b, v); {since}")
    report = only(loss.bring_back("t", on_conflict="replace"))
    assert (report.inserted + report.updated, report.skipped) == (1, 1)
    assert report.skipped_rows[0].words == "another of these rows has its key, as the key is now"
    assert loss.rows("SELECT * FROM t") == [[1, 1, "one"]]


def test_a_row_is_not_altered_by_what_a_column_does_for_null(tmp_path: Path) -> None:
    since = (
        "DROP TABLE t; CREATE TABLE t(a INTEGER PRIMARY KEY, b NOT NULL ON CONFLICT REPLACE DEFAULT 'D');"
        "CREATE TABLE log(x); CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log VALUES(1); END"
    )
    loss = Loss(tmp_path, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES(1, NULL)", since)
    assert only(loss.bring_back("t")).refused == 1
    assert loss.rows("SELECT * FROM t") == []


def test_rows_come_back_once_for_one_preview(tmp_path: Path) -> None:
    loss = Loss(tmp_path, "CREATE TABLE t(a); INSERT INTO t VALUES(1), (2)", "DELETE FROM t")
    with loss.recall("t") as recall:
        recall.preview(NEVER)
        recall.apply(NEVER)
        with pytest.raises(BringBackError, match="brought back already"):
            recall.apply(NEVER)
    assert loss.rows("SELECT count(*) FROM t") == [[2]]


def test_a_comment_at_the_end_of_an_index_swallows_no_row(tmp_path: Path) -> None:
    then = "CREATE TABLE t(a); CREATE INDEX i ON t(a) -- hi\n; INSERT INTO t VALUES(1), (2)"
    loss = Loss(tmp_path, then, "DROP TABLE t")
    load(Shell(loss.live.path), written(loss, "t"))
    assert loss.rows("SELECT a FROM t") == [[1], [2]]
    assert loss.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'i'") == [[1]]
