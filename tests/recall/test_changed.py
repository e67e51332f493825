"""A row that the application changes between the preview and the transaction is not what the preview saw: it stays."""

from pathlib import Path

import pytest

from tests.recall.trying import NEVER, Loss, only

CHANGES = {
    "another value": "UPDATE t SET b = 'newest' WHERE a = 1",
    "another type": "UPDATE t SET b = 9.0 WHERE a = 1",
    "another case": "UPDATE t SET c = 'X' WHERE a = 1",
    "text and bytes": "UPDATE t SET c = CAST(c AS BLOB) WHERE a = 1",
    "a column that is new": "UPDATE t SET d = 1 WHERE a = 1",
    "another row": "DELETE FROM t WHERE a = 1; INSERT INTO t VALUES(1, 9, 'y', NULL)",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_was_changed_after_the_preview_stays(tmp_path: Path, change: str) -> None:
    then = "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c COLLATE NOCASE); INSERT INTO t VALUES(1, 10, 'x'), (2, 20, 'x')"
    loss = Loss(tmp_path, then, "ALTER TABLE t ADD COLUMN d; UPDATE t SET b = 9")
    with loss.recall("t", on_conflict="replace") as recall:
        assert recall.preview(NEVER).report.updated == 2
        loss.live.run(CHANGES[change])
        before = loss.rows("SELECT *, typeof(b), typeof(c) FROM t WHERE a = 1")
        brought = recall.apply(NEVER)
    [row] = only(brought.report).skipped_rows
    assert (row.key, row.words) == ("1", "the row with its key was changed after the preview")
    assert (brought.report.updated, brought.is_as_previewed) == (1, False)
    assert loss.rows("SELECT *, typeof(b), typeof(c) FROM t WHERE a = 1") == before
    # A new preview sees it.
    assert loss.bring_back("t", on_conflict="replace").updated == 1


def test_what_a_trigger_changes_on_the_way_is_no_change_since(tmp_path: Path) -> None:
    then = "CREATE TABLE t(a INTEGER PRIMARY KEY, b, seen); INSERT INTO t VALUES(1, 10, 0), (2, 20, 0)"
    trigger = (
        "CREATE TRIGGER u AFTER UPDATE OF b ON t WHEN new.a = 1 BEGIN UPDATE t SET seen = random() WHERE a = 2; END"
    )
    loss = Loss(tmp_path, then, f"UPDATE t SET b = 9; {trigger}")
    assert loss.bring_back("t", on_conflict="replace").updated == 2
    assert loss.rows("SELECT * FROM t") == [[1, 10, 0], [2, 20, 0]]


def test_a_table_that_the_preview_refused_is_refused_in_the_same_words(tmp_path: Path) -> None:
    then = "CREATE TABLE t(a, b, v, PRIMARY KEY(a, b)); CREATE TABLE u(x); INSERT INTO t VALUES(1, 1, 1)"
    loss = Loss(
        tmp_path,
        f"{then}; INSERT INTO u VALUES(1)",
        "UPDATE t SET v = 2; DELETE FROM u; CREATE TABLE c(k REFERENCES t ON UPDATE CASCADE);"
        "CREATE TRIGGER r AFTER UPDATE ON t BEGIN SELECT its_own(1); END",
    )
    report = loss.bring_back("t", "u", on_conflict="replace")
    assert [(table.table, table.inserted, bool(table.refusal)) for table in report.tables] == [
        ("t", 0, True),
        ("u", 1, False),
    ]
