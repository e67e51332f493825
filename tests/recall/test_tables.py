"""Tables of all shapes come back: gone, changed since, with keys or without, virtual; or it is said why not."""

from pathlib import Path

import apsw
import pytest

from replication.errors import BringBackError
from replication.recall.wanted import Pick
from replication.sqlite.making import make_one
from tests.recall.trying import Loss, only

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1200)"


def test_a_table_that_is_gone_is_made_again_with_all_that_was_its_own(tmp_path: Path) -> None:
    then = (
        "CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, v, g AS (v * 2) STORED, CHECK (v > 0));"
        "CREATE UNIQUE INDEX by_v ON orders(v); CREATE TABLE log(id);"
        "CREATE TRIGGER logged AFTER INSERT ON orders BEGIN INSERT INTO log VALUES(new.id); END;"
        f"{NUMBERS} INSERT INTO orders(v) SELECT i FROM n; DELETE FROM orders WHERE id > 1190; DELETE FROM log;"
    )
    loss = Loss(tmp_path, then, "DROP TABLE orders")
    table = only(loss.bring_back("ORDERS"))
    assert (table.inserted, table.is_made, table.same) == (1190, True, 0)
    assert "triggers logged" in table.notes[0]
    assert loss.rows("SELECT count(*), min(id), max(id), sum(v), sum(g) FROM orders") == loss.was.rows(
        "SELECT count(*), min(id), max(id), sum(v), sum(g) FROM orders"
    )
    # Not for the rows that came back, but for those that come.
    assert loss.rows("SELECT * FROM log") == []
    loss.live.run("INSERT INTO orders(v) VALUES(5000)")
    assert loss.rows("SELECT * FROM log") == [[1201]]
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_s%' ORDER BY name"
    assert loss.rows(schema) == loss.was.rows(schema)
    assert loss.rows("PRAGMA integrity_check") == [["ok"]]


def test_what_has_the_name_of_an_index_or_a_trigger_stays(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        "CREATE TABLE t(a); CREATE INDEX i ON t(a); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END;"
        "INSERT INTO t VALUES(1)",
        "DROP TABLE t; CREATE TABLE other(b); CREATE INDEX i ON other(b);"
        "CREATE TRIGGER r AFTER DELETE ON other BEGIN SELECT 2; END",
    )
    table = only(loss.bring_back("t"))
    assert any("index i is not made" in note for note in table.notes)
    assert any("trigger r is not made" in note for note in table.notes)
    assert loss.rows("SELECT name, tbl_name FROM sqlite_schema WHERE name IN ('i', 'r')") == [
        ["i", "other"],
        ["r", "other"],
    ]


def test_only_what_is_lost_comes_back(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        f"CREATE TABLE t(k TEXT PRIMARY KEY, v) WITHOUT ROWID; {NUMBERS} INSERT INTO t SELECT 'k' || i, i FROM n",
        "DELETE FROM t WHERE v % 100 = 7; UPDATE t SET v = -v WHERE v % 100 = 8; INSERT INTO t VALUES('new', 0)",
    )
    table = only(loss.bring_back("t"))
    assert (table.inserted, table.skipped, table.same) == (12, 12, 1200 - 24)
    assert {row.words for row in table.skipped_rows} == {"the row with its key is another one now"}
    table = only(loss.bring_back("t", on_conflict="replace"))
    assert (table.inserted, table.updated, table.same) == (0, 12, 1200 - 12)
    assert loss.rows("SELECT * FROM t WHERE k <> 'new'") == loss.was.rows("SELECT * FROM t")


def test_rows_are_picked_by_key_or_by_a_condition(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {NUMBERS} INSERT INTO t SELECT i, i FROM n",
        "DELETE FROM t",
    )
    assert only(loss.bring_back(Pick("t", "a < 3 -- and more"))).inserted == 2
    assert only(loss.bring_back(Pick("t", key="7"), Pick("t", key="9"))).inserted == 2
    assert loss.rows("SELECT a FROM t") == [[1], [2], [7], [9]]
    folder = tmp_path / "two"
    folder.mkdir()
    two = Loss(
        folder,
        "CREATE TABLE t(a, b TEXT, PRIMARY KEY(a, b)); INSERT INTO t VALUES(1, 'x,y'), ('1', 'x')",
        "DELETE FROM t",
    )
    assert only(two.bring_back(Pick("t", key='1,"x,y"'))).inserted == 1
    assert two.rows("SELECT * FROM t") == [[1, "x,y"]]
    for condition in ("1) UNION SELECT 1, '', 2, 3 FROM (SELECT 1", "1); DELETE FROM t; SELECT (1"):
        with pytest.raises(Exception, match=r"That is no condition|would write"):
            loss.bring_back(Pick("t", condition))


def test_without_a_key_as_many_come_back_as_there_are_fewer(tmp_path: Path) -> None:
    then = "CREATE TABLE k(a, b UNIQUE); INSERT INTO k VALUES(1, NULL), (1, NULL), (1, NULL), ('x', 2), (x'ff', 3)"
    loss = Loss(tmp_path, then, "DELETE FROM k WHERE rowid IN (1, 4, 5); VACUUM; INSERT INTO k VALUES('y', 2)")
    table = only(loss.bring_back("k"))
    assert (table.inserted, table.same, table.skipped) == (2, 2, 1)
    assert table.skipped_rows[0].words == "UNIQUE constraint failed: k.b"
    assert loss.rows("SELECT a, b, count(*) FROM k GROUP BY a, b ORDER BY typeof(a), b") == [
        ["ff", 3, 1],
        [1, None, 3],
        ["y", 2, 1],
    ]
    assert only(loss.bring_back("k")).inserted == 0


def test_row_numbers_are_kept_where_they_are_free(tmp_path: Path) -> None:
    then = "CREATE TABLE t(k TEXT PRIMARY KEY); INSERT INTO t(rowid, k) VALUES(5, 'a'), (70, 'b'), (80, 'c')"
    loss = Loss(tmp_path, then, "DELETE FROM t; INSERT INTO t(rowid, k) VALUES(70, 'z')")
    table = only(loss.bring_back("t"))
    assert (table.inserted, table.renumbered) == (3, 1)
    found = {name: number for number, name in loss.rows("SELECT rowid, k FROM t")}
    assert (found["a"], found["c"], found["z"]) == (5, 80, 70)
    assert found["b"] not in (5, 70, 80)


def test_values_come_back_as_they_were_stored(tmp_path: Path) -> None:
    odd = "(1, 1.0), (2, -0.0), (3, 9e999), (4, x''), (5, ''), (6, CAST(x'ff00fe' AS TEXT)), (7, 'a' || char(0) || 'b')"
    for encoding in ("UTF-8", "UTF-16le", "UTF-16be"):
        folder = tmp_path / encoding
        folder.mkdir()
        then = f"PRAGMA encoding='{encoding}'; CREATE TABLE t(a INTEGER PRIMARY KEY, b);"
        then += f"INSERT INTO t VALUES{odd}, (8, 'ä…')"
        loss = Loss(folder, then, "DELETE FROM t")
        assert only(loss.bring_back("t")).inserted == 8
        stored = "SELECT a, typeof(b), hex(CAST(b AS BLOB)), length(b), quote(b) = '-0.0' FROM t"
        assert loss.rows(stored) == loss.was.rows(stored)


def test_a_row_whose_value_is_stored_otherwise_is_another_one(tmp_path: Path) -> None:
    then = "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES(1, 1.0), (2, 'x'), (3, 'A' COLLATE NOCASE)"
    loss = Loss(tmp_path, then, "UPDATE t SET b = 1 WHERE a = 1; UPDATE t SET b = CAST(b AS BLOB) WHERE a = 2")
    table = only(loss.preview("t").report)
    assert (table.same, [row.key for row in table.skipped_rows]) == (1, ["1", "2"])


def test_another_encoding_is_refused_in_words(tmp_path: Path) -> None:
    loss = Loss(tmp_path, "CREATE TABLE t(a)")
    loss.live.path.unlink()
    loss.live.run("PRAGMA encoding='UTF-16le'; CREATE TABLE t(a)")
    with pytest.raises(BringBackError, match="another text encoding"):
        loss.preview("t")


@pytest.mark.parametrize(
    ("since", "inserted", "words"),
    [
        ("ALTER TABLE t DROP COLUMN b", 2, "column b is gone"),
        ("ALTER TABLE t RENAME COLUMN b TO c", 2, "column c is new"),
        (
            "ALTER TABLE t ADD COLUMN c NOT NULL DEFAULT 'd'",
            2,
            "column c is new: rows that are inserted get its default",
        ),
        ("ALTER TABLE t ADD COLUMN c AS (a + 1)", 2, ""),
        ("DROP TABLE t; CREATE TABLE t(a INTEGER PRIMARY KEY, b AS (a) STORED)", 2, "column b is computed now"),
        ("DROP TABLE t; CREATE TABLE t(B, A)", 2, "its key is none now"),
        ("DROP TABLE t; CREATE TABLE t(a PRIMARY KEY, b) WITHOUT ROWID", 2, ""),
        ("DROP TABLE t; CREATE TABLE t(a, b, c NOT NULL)", 0, "column c of t is new, NOT NULL and without a default"),
        ("DROP TABLE t; CREATE TABLE t(a, b, c PRIMARY KEY)", 0, "c in its key now"),
        ("DROP TABLE t; CREATE TABLE t(c, d)", 0, "none of the columns left"),
        ("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS a, 2 AS b", 0, "t is a view now, and was a table"),
        ("DROP TABLE t; CREATE TABLE u(v); CREATE INDEX t ON u(v)", 0, "index has its name now"),
        ("DROP TABLE t; CREATE VIRTUAL TABLE t USING fts5(a, b)", 0, "t is a virtual table of fts5 now"),
        ("DROP TABLE t; CREATE TABLE t(a INT, b INT) STRICT", 0, "cannot store TEXT value in INT column t.b"),
    ],
)
def test_what_changed_since_is_matched_by_name_and_said(tmp_path: Path, since: str, inserted: int, words: str) -> None:
    then = "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES(1, 'x'), (2, 'y')"
    loss = Loss(tmp_path, then, f"DELETE FROM t; {since}")
    table = only(loss.bring_back("t"))
    assert table.inserted == inserted
    said = " ".join([table.refusal, *table.notes, *(row.words for row in table.refused_rows)])
    assert words in said


def test_full_text_and_other_virtual_tables_are_written_through_themselves(tmp_path: Path) -> None:
    then = (
        "CREATE VIRTUAL TABLE f USING fts5(x, y UNINDEXED); INSERT INTO f VALUES('one two', 1), ('three', 2);"
        "CREATE VIRTUAL TABLE g USING fts4(x); INSERT INTO g VALUES('one two'), ('three');"
        "CREATE VIRTUAL TABLE r USING rtree(id, a, b); INSERT INTO r VALUES(1, 0, 1), (2, 5, 7);"
        "CREATE TABLE c(t); CREATE VIRTUAL TABLE e USING fts5(t, content='c');"
        "CREATE VIRTUAL TABLE n USING fts5(t, content='')"
    )
    for since in (
        "DELETE FROM f WHERE rowid = 1; DELETE FROM g WHERE rowid = 1; DELETE FROM r WHERE id = 1",
        "DROP TABLE f; DROP TABLE g; DROP TABLE r",
    ):
        folder = tmp_path / str(len(since))
        folder.mkdir()
        loss = Loss(folder, then, since)
        report = loss.bring_back("f", "g", "r")
        lost = 1 if "WHERE" in since else 2
        assert [table.inserted for table in report.tables] == [lost] * 3
        for sql in (
            "SELECT rowid, * FROM f('two')",
            "SELECT rowid, * FROM g WHERE g MATCH 'one'",
            "SELECT * FROM r WHERE a < 3",
        ):
            assert loss.rows(sql) == loss.was.rows(sql)
            assert len(loss.rows(sql)) == 1
        assert loss.rows("PRAGMA integrity_check") == [["ok"]]
        report = loss.preview("e", "n", "f_content").report
        assert [table.inserted for table in report.tables] == [0, 0, 0]
        assert "indexes what another table holds" in report.tables[0].refusal
        assert "part of a virtual table" in report.tables[2].refusal


def test_what_was_not_there_is_said(tmp_path: Path) -> None:
    loss = Loss(tmp_path, "CREATE TABLE t(a, b, PRIMARY KEY(a, b)); CREATE TABLE u(a); CREATE VIEW v AS SELECT 1")
    with pytest.raises(BringBackError, match="no table x then; there were: t, u"):
        loss.preview("x")
    with pytest.raises(BringBackError, match="give a value for each"):
        loss.preview(Pick("t", key="1"))
    assert "v is a view" in only(loss.preview("v").report).refusal


def test_names_may_be_anything(tmp_path: Path) -> None:
    name, column = '"we""ird [t] `x` \'s; --"', '"a ""b"" \'c\'.;"'
    then = (
        f'CREATE TABLE {name}({column} INTEGER PRIMARY KEY, "s.id", rowid, "order" AS (rowid) VIRTUAL);'
        f'INSERT INTO {name} VALUES(1, 2, 3), (4, 5, 6); CREATE INDEX {column} ON {name}("s.id");'
        "CREATE TABLE r0(c0, rid, id); INSERT INTO r0 VALUES(1, 2, 3); CREATE TABLE n(rowid, _rowid_, oid)"
    )
    for since in (f"DROP TABLE {name}; DROP TABLE r0", f"DELETE FROM {name}; DELETE FROM r0"):
        folder = tmp_path / since[:4]
        folder.mkdir()
        loss = Loss(folder, then, since)
        assert loss.bring_back(name[1:-1].replace('""', '"'), "r0").inserted == 3
        assert loss.rows(f"SELECT * FROM {name}") == loss.was.rows(f"SELECT * FROM {name}")
        assert "taken every name of the row number" in only(loss.preview("n").report).refusal


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE t(a); DELETE FROM other", "DELETE FROM other", "CREATE VIEW v AS SELECT 1", "ATTACH 'x' AS y"]
)
def test_promise_7_a_schema_runs_nothing_but_what_makes_one_thing(sql: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE other(b); INSERT INTO other VALUES(1)")
    with pytest.raises(BringBackError, match="has more in it than what makes a table"):
        make_one(connection, sql)
    assert connection.execute("SELECT * FROM other").fetchall() == [(1,)]
    make_one(connection, "create  unique index i on other(b)")


def test_without_wal_it_is_one_file_too(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        f"CREATE TABLE t(a INTEGER PRIMARY KEY, b); {NUMBERS} INSERT INTO t SELECT i, i FROM n",
        "DELETE FROM t",
    )
    loss.live.run("PRAGMA journal_mode=DELETE")
    assert only(loss.bring_back("t")).inserted == 1200
    assert loss.rows("SELECT * FROM t") == loss.was.rows("SELECT * FROM t")
    assert {path.name for path in tmp_path.iterdir()} == {"was.db", "live.db"}


def test_a_table_of_many_columns(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(1990)]
    for key in ("c0 INTEGER PRIMARY KEY", "c0"):
        folder = tmp_path / key[:4].strip() / str(len(key))
        folder.mkdir(parents=True)
        made = f"CREATE TABLE t({key}, {', '.join(names[1:])})"
        then = f"{made}; INSERT INTO t VALUES({', '.join(map(str, range(1990)))}); INSERT INTO t(c0) VALUES(7)"
        loss = Loss(folder, then, "DELETE FROM t WHERE c0 = 0; INSERT INTO t(c0, c5) VALUES(8, 9)")
        table = only(loss.bring_back("t"))
        assert (table.inserted, table.same) == (1, 1)
