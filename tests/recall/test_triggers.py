"""What a row's triggers do on its way back: undone with a row that does not come, and no row of now goes for it."""

from pathlib import Path

import pytest

from replication.errors import BringBackError
from replication.sqlite.brought import OnConflict, SideEffect
from tests.recall.trying import Loss, only

THEN = "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE log(x); INSERT INTO t VALUES(1, 10), (2, 20), (3, 30)"


@pytest.mark.parametrize(
    ("event", "since", "on_conflict"),
    [("INSERT", "DELETE FROM t WHERE a = 2", "skip"), ("UPDATE", "UPDATE t SET b = 9 WHERE a = 2", "replace")],
)
def test_what_the_triggers_of_a_row_wrote_that_is_passed_over_is_undone(
    tmp_path: Path, event: str, since: str, on_conflict: OnConflict
) -> None:
    trigger = (
        f"CREATE TRIGGER r BEFORE {event} ON t WHEN new.b = 20 BEGIN UPDATE t SET b = b + 1 WHERE a = 3;"
        "DELETE FROM log; INSERT INTO log VALUES('r'), ('r'); SELECT RAISE(IGNORE); END"
    )
    loss = Loss(tmp_path, THEN, f"{since}; INSERT INTO log VALUES(1), (2), (3); {trigger}")
    before = loss.rows("SELECT * FROM t UNION ALL SELECT x, 'log' FROM log")
    report = loss.bring_back("t", on_conflict=on_conflict)
    [row] = only(report).refused_rows
    assert (row.key, row.words) == ("2", "a trigger passes over it: what that wrote is undone")
    assert (report.triggers, report.effects) == ((), ())
    assert loss.rows("SELECT * FROM t UNION ALL SELECT x, 'log' FROM log") == before


@pytest.mark.parametrize("clause", ["ON/**/CONFLICT REPLACE", "ON --\n CONFLICT /* */ REPLACE", "ON CONFLICT REPLACE"])
def test_no_spelling_of_a_clause_makes_a_row_of_now_go(tmp_path: Path, clause: str) -> None:
    for number, more in enumerate(("", "WITHOUT ROWID")):
        folder = tmp_path / str(number)
        folder.mkdir()
        made = f"CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE {clause}) {more}; CREATE TABLE log(x UNIQUE)"
        then = f"{made}; INSERT INTO t VALUES(1, 10), (2, 20)"
        loss = Loss(folder, then, "DELETE FROM t; INSERT INTO t VALUES(7, 10)")
        with pytest.raises(BringBackError, match=r"UNIQUE constraint failed: t\.b"):
            loss.bring_back("t", on_conflict="abort")
        assert (only(loss.bring_back("t")).inserted, only(loss.bring_back("t")).skipped) == (1, 1)
        # Nor where it is the trigger that has a conflict first.
        loss.live.run(
            "DELETE FROM t WHERE a = 2; INSERT INTO log VALUES(1);"
            "CREATE TRIGGER r BEFORE INSERT ON t BEGIN INSERT OR IGNORE INTO log VALUES(1); END"
        )
        table = only(loss.bring_back("t"))
        assert (table.inserted, table.skipped + table.refused) == (1, 1)
        assert loss.rows("SELECT * FROM t ORDER BY a") == [[2, 20], [7, 10]]


@pytest.mark.parametrize("clause", ["", "ON CONFLICT REPLACE", "ON CONFLICT IGNORE", "ON CONFLICT FAIL"])
def test_a_trigger_says_itself_what_becomes_of_its_conflicts(tmp_path: Path, clause: str) -> None:
    made = f"CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE {clause}); CREATE TABLE log(x UNIQUE, y)"
    loss = Loss(
        tmp_path,
        f"{made}; INSERT INTO t VALUES(1, 10), (2, 20), (3, 30)",
        "DELETE FROM t; INSERT INTO log VALUES(1, 'old'), (2, 'old');"
        "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT OR IGNORE INTO log VALUES(1, 'new');"
        "INSERT OR REPLACE INTO log VALUES(2, new.a); END",
    )
    report = loss.bring_back("t")
    assert report.inserted == 3
    assert report.effects == (SideEffect("log", 3, 0, 3),)
    assert loss.rows("SELECT * FROM log ORDER BY x") == [[1, "old"], [2, 3]]


@pytest.mark.parametrize(
    "virtual",
    [
        "fts5(b)",
        "fts5(b, content='t', content_rowid='a')",
        "fts5(b, columnsize=0)",
        "fts4(b)",
        "fts4(b, matchinfo=fts3)",
        "fts3(b)",
        "rtree(id, b, c)",
    ],
)
def test_what_triggers_write_into_a_virtual_table_is_told(tmp_path: Path, virtual: str) -> None:
    then = "CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER); INSERT INTO t VALUES(1, 10), (2, 20), (3, 30), (4, 40)"
    row = "f VALUES(new.a, new.b, new.b)" if virtual.startswith("rtree") else "f(rowid, b) VALUES(new.a, new.b)"
    refusal = "SELECT RAISE(IGNORE) WHERE new.a = 3;"
    loss = Loss(
        tmp_path,
        f"{then}; CREATE VIRTUAL TABLE f USING {virtual}",
        f"DELETE FROM t; CREATE TRIGGER r BEFORE INSERT ON t BEGIN INSERT INTO {row}; {refusal} END",
    )
    report = loss.bring_back("t")
    assert (report.inserted, report.effects) == (3, (SideEffect("f", 3, 0, 0),))
    assert only(report).refused_rows[0].words == "a trigger passes over it: what that wrote is undone"
    # What comes back into it itself is no effect.
    if not virtual.startswith(("rtree", "fts5(b, c")):
        folder = tmp_path / "itself"
        folder.mkdir()
        loss = Loss(
            folder, f"{then}; CREATE VIRTUAL TABLE f USING {virtual}; INSERT INTO f VALUES('x')", "DELETE FROM f"
        )
        report = loss.bring_back("f")
        assert (report.inserted, report.effects) == (1, ())
