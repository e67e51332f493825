"""Values that SQLite takes for equal and that are not the same: a key comes back as it was, a changed type is told."""

from pathlib import Path

import pytest

from tests.recall.trying import Loss, only


@pytest.mark.parametrize(
    ("table", "then", "now"),
    [
        ("k TEXT COLLATE NOCASE PRIMARY KEY, v", "'abc', 1", "'ABC', 1"),
        ("k TEXT COLLATE NOCASE PRIMARY KEY, v", "'abc', 1", "'ABC', 2"),
        ("k TEXT COLLATE NOCASE PRIMARY KEY", "'abc'", "'ABC'"),
        ("k PRIMARY KEY, v", "1, 1", "1.0, 1"),
        ("k TEXT COLLATE RTRIM, n, v UNIQUE, PRIMARY KEY(k, n)", "'a ', 1, 'x'", "'a', 1.0, 'x'"),
    ],
)
@pytest.mark.parametrize("more", ["", "WITHOUT ROWID"])
def test_a_key_that_is_spelled_in_another_way_comes_back_as_it_was(
    tmp_path: Path, table: str, then: str, now: str, more: str
) -> None:
    made = f"CREATE TABLE t({table}) {more}"
    loss = Loss(tmp_path, f"{made}; INSERT INTO t VALUES({then})", f"DELETE FROM t; INSERT INTO t VALUES({now})")
    before = loss.rows("SELECT *, typeof(k) FROM t")
    assert only(loss.bring_back("t")).skipped == 1
    assert loss.rows("SELECT *, typeof(k) FROM t") == before
    assert only(loss.bring_back("t", on_conflict="replace")).updated == 1
    assert loss.rows("SELECT *, typeof(k) FROM t") == loss.was.rows("SELECT *, typeof(k) FROM t") != before
    assert only(loss.bring_back("t", on_conflict="replace")).same == 1


def test_children_of_a_key_that_is_spelled_in_another_way_stay_its_children(tmp_path: Path) -> None:
    for number, action in enumerate(("", "ON UPDATE CASCADE", "ON UPDATE RESTRICT", "ON UPDATE SET NULL")):
        folder = tmp_path / str(number)
        folder.mkdir()
        then = (
            f"CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, v); CREATE TABLE c(k REFERENCES t {action});"
            "INSERT INTO t VALUES('abc', 1); INSERT INTO c VALUES('abc')"
        )
        loss = Loss(folder, then, "UPDATE t SET k = 'ABC'")
        assert only(loss.bring_back("t", on_conflict="replace")).updated == 1
        assert loss.rows("SELECT * FROM t, c") == [["abc", 1, "abc"]]


def test_no_trigger_on_the_key_runs_where_the_key_is_the_same(tmp_path: Path) -> None:
    then = "CREATE TABLE t(k TEXT PRIMARY KEY, v); CREATE TABLE log(x); INSERT INTO t VALUES('a', 1)"
    trigger = "CREATE TRIGGER r AFTER UPDATE OF k ON t BEGIN INSERT INTO log VALUES(1); END"
    loss = Loss(tmp_path, then, f"UPDATE t SET v = 2; {trigger}")
    report = loss.bring_back("t", on_conflict="replace")
    assert (report.updated, report.triggers, report.effects) == (1, (), ())


@pytest.mark.parametrize(
    ("was", "now", "is_told"),
    [
        ("TEXT", "INTEGER", True),
        ("TEXT", "NUMERIC", True),
        ("INTEGER", "TEXT", True),
        ("", "TEXT", True),
        ("REAL", "INT", True),
        ("VARCHAR(10)", "text", False),
        ("BLOB", "", False),
        ("INT", "BIGINT", False),
        ("DECIMAL", "BOOLEAN", False),
    ],
)
def test_a_column_of_another_type_is_told(tmp_path: Path, was: str, now: str, is_told: bool) -> None:
    loss = Loss(
        tmp_path,
        f"CREATE TABLE t(a INTEGER PRIMARY KEY, zip {was}); INSERT INTO t VALUES(1, '007')",
        f"DROP TABLE t; CREATE TABLE t(a INTEGER PRIMARY KEY, zip {now})",
    )
    table = only(loss.bring_back("t"))
    assert table.inserted == 1
    notes = [note for note in table.notes if note.startswith("column zip")]
    assert len(notes) == is_told
    words = f"column zip is {now} now, and was {was or 'of no type'}: values may be stored in another way, as 007 as 7"
    assert not notes or notes == [words]
    # It is told rightly: where nothing is told, the value is as it was.
    is_same = loss.rows("SELECT typeof(zip), zip FROM t") == loss.was.rows("SELECT typeof(zip), zip FROM t")
    assert is_same or is_told
