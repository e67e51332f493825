"""What SQLite refuses is named, what triggers and foreign keys do is told before it happens, and no row of now goes."""

import subprocess
import sys
from pathlib import Path

import pytest

from replication.errors import BringBackError
from replication.recall.wanted import Pick
from replication.sqlite.brought import SideEffect, TriggerRun
from tests.recall.trying import NEVER, Loss, only

ROWS = "INSERT INTO t VALUES(1, 10), (2, 20), (3, 30), (4, 40)"
FAMILY = (
    "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE);"
    "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p {action}, q TEXT REFERENCES p(name));"
    "INSERT INTO p VALUES(1, 'a'), (2, 'b'), (3, 'c');"
    "INSERT INTO c VALUES(1, 1, 'a'), (2, 2, NULL), (3, NULL, 'c'), (4, 3, 'b')"
)


@pytest.mark.parametrize(
    ("since", "refused", "words"),
    [
        ("CREATE TABLE t(a INTEGER PRIMARY KEY, b CHECK (b <> 20))", {"2"}, "CHECK constraint failed"),
        (
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c NOT NULL DEFAULT (nullif(1, 1)))",
            {"1", "2", "3", "4"},
            "NOT NULL",
        ),
        (
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c AS (json(iif(b = 30, '{', '{}'))) STORED)",
            {"3"},
            "malformed JSON",
        ),
        (
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TRIGGER r BEFORE INSERT ON t WHEN new.b = 40 BEGIN "
            "SELECT RAISE(ABORT, 'no forty'); END",
            {"4"},
            "no forty",
        ),
        (
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE log(x); CREATE TRIGGER r BEFORE INSERT ON t "
            "WHEN new.b = 40 BEGIN INSERT INTO log VALUES('left'); SELECT RAISE(FAIL, 'no forty'); END",
            {"4"},
            "no forty",
        ),
        (
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TRIGGER r BEFORE INSERT ON t WHEN new.b = 40 BEGIN "
            "SELECT RAISE(IGNORE); END",
            {"4"},
            "a trigger passes over it",
        ),
    ],
)
def test_a_row_that_is_refused_is_named_and_the_others_come(
    tmp_path: Path, since: str, refused: set[str], words: str
) -> None:
    loss = Loss(tmp_path, f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {ROWS}", f"DROP TABLE t; {since}")
    table = only(loss.bring_back("t"))
    assert {row.key for row in table.refused_rows} == refused
    assert table.refused == len(refused)
    assert all(words in row.words for row in table.refused_rows)
    assert {str(a) for [a] in loss.rows("SELECT a FROM t")} == {"1", "2", "3", "4"} - refused
    assert (
        loss.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'log'") == [[0]]
        or loss.rows("SELECT * FROM log") == []
    )
    with pytest.raises(BringBackError, match="so none was"):
        loss.bring_back("t", on_conflict="abort")


def test_a_trigger_that_rolls_all_back_leaves_nothing(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {ROWS}",
        "DELETE FROM t; CREATE TRIGGER r BEFORE INSERT ON t WHEN new.b = 30 BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    )
    before = loss.sha()
    with pytest.raises(BringBackError, match="Row 3 of t makes a trigger roll everything back: no"):
        loss.preview("t")
    assert loss.sha() == before
    assert only(loss.bring_back(Pick("t", "a <> 3"))).inserted == 3


@pytest.mark.parametrize(
    "deep",
    [
        "CREATE TABLE u(x);"
        "CREATE TRIGGER deep BEFORE INSERT ON u WHEN new.x = 30 BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
        "CREATE TABLE u(x UNIQUE ON CONFLICT ROLLBACK); INSERT INTO u VALUES(30)",
    ],
)
def test_what_rolls_all_back_further_down_leaves_nothing(tmp_path: Path, deep: str) -> None:
    trigger = "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO u VALUES(new.b); END"
    loss = Loss(tmp_path, f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {ROWS}", f"DELETE FROM t; {deep}; {trigger}")
    with loss.recall("t") as recall:
        with pytest.raises(BringBackError, match="roll everything back"):
            recall.preview(NEVER)
        loss.live.run("DROP TRIGGER r")
        assert recall.preview(NEVER).report.inserted == 4
        loss.live.run(trigger)
        with pytest.raises(BringBackError, match="roll everything back"):
            recall.apply(NEVER)
    assert loss.rows("SELECT * FROM t") == []


def test_no_row_of_now_goes_whatever_the_table_says_of_conflicts(tmp_path: Path) -> None:
    for clause in ("REPLACE", "ROLLBACK", "FAIL", "IGNORE"):
        folder = tmp_path / clause
        folder.mkdir()
        made = f"CREATE TABLE t(a INTEGER PRIMARY KEY ON CONFLICT {clause}, b UNIQUE ON CONFLICT {clause})"
        loss = Loss(folder, f"{made}; {ROWS}", "DELETE FROM t; INSERT INTO t VALUES(9, 20), (3, 33)")
        table = only(loss.bring_back("t"))
        assert (table.inserted, table.skipped, table.refused) == (2, 2, 0)
        table = only(loss.bring_back("t", on_conflict="replace"))
        assert (table.updated, table.refused) == (1, 1)
        assert "only a row with the same key is replaced" in table.refused_rows[0].words
        assert loss.rows("SELECT * FROM t") == [[1, 10], [3, 30], [4, 40], [9, 20]]


def test_triggers_that_would_run_are_told_with_what_they_write(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {ROWS}",
        "DELETE FROM t WHERE a > 1; UPDATE t SET b = 0; CREATE TABLE log(x); CREATE TABLE sums(s);"
        "INSERT INTO sums VALUES(0);"
        "CREATE TRIGGER i AFTER INSERT ON t WHEN new.b > 20 BEGIN INSERT INTO log VALUES(new.a); "
        "UPDATE sums SET s = s + new.b; END;"
        "CREATE TRIGGER u AFTER UPDATE ON t BEGIN DELETE FROM sums WHERE s < 0; INSERT INTO log VALUES('u'); END;"
        "CREATE TRIGGER nested BEFORE INSERT ON log WHEN new.x = 4 BEGIN UPDATE sums SET s = s + 1; END",
    )
    report = loss.bring_back("t", on_conflict="replace")
    assert report.triggers == (TriggerRun("i", 2), TriggerRun("nested", 1), TriggerRun("u", 1))
    assert report.effects == (SideEffect("log", 3, 0, 0), SideEffect("sums", 0, 3, 0))
    assert loss.rows("SELECT s FROM sums") == [[71]]
    assert loss.rows("SELECT * FROM log") == [["u"], [3], [4]]


@pytest.mark.parametrize(
    "action", ["", "ON DELETE CASCADE ON UPDATE CASCADE", "ON DELETE RESTRICT", "ON DELETE SET NULL"]
)
def test_parents_come_with_their_children_in_any_order(tmp_path: Path, action: str) -> None:
    loss = Loss(tmp_path, FAMILY.format(action=action), "DELETE FROM c; DELETE FROM p")
    report = loss.bring_back("c", "p")
    assert report.inserted == 7
    assert loss.rows("SELECT * FROM c") == loss.was.rows("SELECT * FROM c")
    assert loss.rows("PRAGMA foreign_key_check") == []


@pytest.mark.parametrize(
    "action", ["", "ON DELETE CASCADE", "ON DELETE RESTRICT", "ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED"]
)
def test_children_without_parents_are_named(tmp_path: Path, action: str) -> None:
    loss = Loss(tmp_path, FAMILY.format(action=action), "DELETE FROM c; DELETE FROM p WHERE id = 3")
    table = only(loss.bring_back("c"))
    assert (table.inserted, table.refused) == (2, 2)
    assert {row.key: row.words for row in table.refused_rows} == {
        "3": "FOREIGN KEY: p has no name c",
        "4": "FOREIGN KEY: p has no id 3",
    }
    # With its parents the rest comes.
    assert loss.bring_back("c", Pick("p", "id = 3")).inserted == 3
    assert loss.rows("SELECT * FROM c") == loss.was.rows("SELECT * FROM c")


def test_a_tree_without_its_root_is_refused_as_a_whole_and_the_other_comes(tmp_path: Path) -> None:
    for action in ("ON DELETE CASCADE", "ON DELETE RESTRICT", "ON DELETE SET NULL", ""):
        folder = tmp_path / (action.replace(" ", "-") or "none")
        folder.mkdir()
        then = (
            f"CREATE TABLE n(id INTEGER PRIMARY KEY, up REFERENCES n {action}, v UNIQUE);"
            "INSERT INTO n VALUES(1, NULL, 'r'), (2, 1, 'a'), (3, 2, 'b'), (4, 3, 'c'),"
            "(5, 6, 'd'), (6, 5, 'e'), (7, NULL, 'f')"
        )
        loss = Loss(folder, then, "DELETE FROM n; INSERT INTO n VALUES(70, NULL, 'r')")
        table = only(loss.bring_back("n"))
        # 5 and 6 refer to each other.
        assert [row.key for row in table.refused_rows] == ["2", "3", "4"]
        assert [row.key for row in table.skipped_rows] == ["1"]
        assert loss.rows("SELECT id FROM n") == [[5], [6], [7], [70]]


def test_a_child_whose_parents_table_is_gone_says_so(tmp_path: Path) -> None:
    loss = Loss(tmp_path, FAMILY.format(action=""), "DROP TABLE c; DROP TABLE p")
    assert "c refers to p, which is gone: bring that back with it" in only(loss.preview("c").report).refusal
    assert loss.bring_back("c", "p").inserted == 7


def test_foreign_keys_that_failed_before_are_no_matter(tmp_path: Path) -> None:
    loss = Loss(tmp_path, FAMILY.format(action=""), "DELETE FROM c WHERE id = 1; INSERT INTO c VALUES(99, 99, 'none')")
    assert only(loss.bring_back("c")).inserted == 1


def test_what_only_the_application_has_is_refused_in_words(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {ROWS}; CREATE TABLE u(x); INSERT INTO u VALUES(1)",
        "DELETE FROM t; DELETE FROM u; CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT its_own(new.b); END",
    )
    report = loss.bring_back("t", "u")
    assert "no such function: its_own" in report.tables[0].refusal
    assert "-o" in report.tables[0].refusal
    assert (report.inserted, loss.rows("SELECT * FROM t"), loss.rows("SELECT * FROM u")) == (1, [], [[1]])


def test_with_replace_only_rows_that_the_preview_named_give_way(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {ROWS}",
        "UPDATE t SET b = 0 WHERE a = 1; DELETE FROM t WHERE a > 2",
    )
    with loss.recall("t", on_conflict="replace") as recall:
        preview = recall.preview(NEVER)
        loss.live.run("INSERT INTO t VALUES(3, 'newer')")
        brought = recall.apply(NEVER)
    assert (preview.report.updated, preview.report.inserted) == (1, 2)
    assert (brought.report.updated, brought.report.inserted, brought.is_as_previewed) == (1, 1, False)
    assert only(brought.report).skipped_rows[0].words == "the row with its key came after the preview"
    assert loss.rows("SELECT * FROM t") == [[1, 10], [2, 20], [3, "newer"], [4, 40]]


def test_with_abort_a_conflict_that_came_after_the_preview_stops_it(tmp_path: Path) -> None:
    loss = Loss(tmp_path, f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {ROWS}", "DELETE FROM t")
    with loss.recall("t", on_conflict="abort") as recall:
        assert not recall.preview(NEVER).is_stopped
        loss.live.run("INSERT INTO t VALUES(3, 'newer')")
        with pytest.raises(BringBackError, match="t 3: the row with its key is another one now"):
            recall.apply(NEVER)
    assert loss.rows("SELECT * FROM t") == [[3, "newer"]]


def test_a_collation_of_the_application_refuses_its_table_and_no_other(tmp_path: Path) -> None:
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.create_collation('mine', lambda a, b: (a > b) - (a < b));"
        "c.executescript(sys.argv[2])"
    )
    then = (
        "CREATE TABLE key(a TEXT COLLATE mine PRIMARY KEY); CREATE TABLE none(a TEXT COLLATE mine);"
        "CREATE TABLE o(a INTEGER PRIMARY KEY); INSERT INTO key VALUES('a'); INSERT INTO none VALUES('a');"
        "INSERT INTO o VALUES(1);"
    )
    for name, since in (("was", ""), ("live", "DELETE FROM key; DELETE FROM o; PRAGMA journal_mode=WAL")):
        subprocess.run([sys.executable, "-c", script, tmp_path / f"{name}.db", then + since], check=True)
    loss = Loss.__new__(Loss)
    loss.take(tmp_path)
    with loss.recall("key", "none", "o") as recall:
        for _ in range(2):
            key, none, other = recall.preview(NEVER).report.tables
            assert "no such collation sequence: mine. If that is the application's own, write the rows" in key.refusal
            # Without a key there is nothing to look up.
            assert none.same == 1
            assert (other.refusal, other.inserted) == ("", 1)
        assert recall.apply(NEVER).is_as_previewed
    assert loss.rows("SELECT * FROM o") == [[1]]
    assert loss.rows("SELECT count(*) FROM none") == [[1]]
