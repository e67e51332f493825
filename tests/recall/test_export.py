"""Rows as a file: loaded by SQLite it does what bringing them back does, and a program reads the CSV as it was."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from replication.errors import OutputExistsError
from replication.recall.output import written_new
from replication.sqlite.brought import OnConflict
from tests.foreign import Shell
from tests.recall.trying import NEVER, Loss

FAMILY = "CREATE TABLE p(id INTEGER PRIMARY KEY, v UNIQUE); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p{});"
FAMILY += "INSERT INTO p VALUES(1, 'a'), (2, 'b'); INSERT INTO c VALUES(1, 1), (2, 2);"


def written(loss: Loss, *picks: str, on_conflict: OnConflict = "skip", is_csv: bool = False) -> str:
    found: list[str] = []
    with loss.recall(*picks, on_conflict=on_conflict) as recall:
        recall.preview(NEVER)
        recall.write(is_csv, found.append, NEVER)
    return "".join(found)


def load(database: Shell, sql: str) -> None:
    """As people do it, where SQLite's program is."""
    if (program := shutil.which("sqlite3")) is None:
        database.run(sql)
    else:
        done = subprocess.run([program, database.path], input=sql.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr


@pytest.mark.parametrize(
    ("then", "since", "picks", "on_conflict"),
    [
        pytest.param(
            "CREATE TABLE t(a); INSERT INTO t VALUES(1), (2), (3)",
            "DELETE FROM t; INSERT INTO t VALUES(7), (8)",
            "t",
            "skip",
            id="a row number that is taken loses no row",
        ),
        pytest.param(
            "CREATE TABLE t(a); INSERT INTO t VALUES(1), (2), (3)",
            "DELETE FROM t; INSERT INTO t VALUES(7), (8)",
            "t",
            "replace",
            id="and replaces none",
        ),
        pytest.param(
            "CREATE TABLE t(k TEXT PRIMARY KEY); INSERT INTO t(rowid, k) VALUES(5, 'a'), (9, 'b')",
            "DELETE FROM t; INSERT INTO t(rowid, k) VALUES(5, 'z')",
            "t",
            "skip",
            id="row numbers that are free are kept",
        ),
        pytest.param(
            FAMILY.format(" ON DELETE CASCADE"),
            "UPDATE p SET v = 'x' WHERE id = 1",
            "p",
            "replace",
            id="a parent is replaced, and its children stay",
        ),
        pytest.param(
            FAMILY.format(""),
            "DELETE FROM c; DELETE FROM p WHERE id = 2; INSERT INTO p VALUES(9, 'b')",
            "p c",
            "replace",
            id="a row with a value that must be the only one stays, and no row is left without its parent",
        ),
        pytest.param(
            FAMILY.format(""),
            "DELETE FROM c; DELETE FROM p WHERE id = 2; INSERT INTO p VALUES(9, 'b')",
            "p c",
            "skip",
            id="so with skip",
        ),
        pytest.param(
            "CREATE TABLE t(k PRIMARY KEY, v UNIQUE ON CONFLICT REPLACE); INSERT INTO t VALUES(1, 1), (2, 2)",
            "DELETE FROM t WHERE k = 2; INSERT INTO t VALUES(3, 2)",
            "t",
            "skip",
            id="what a table says itself of conflicts deletes nothing",
        ),
        pytest.param(
            "CREATE TABLE t(k PRIMARY KEY, v UNIQUE ON CONFLICT REPLACE); INSERT INTO t VALUES(1, 1), (2, 2)",
            "DELETE FROM t WHERE k = 2; INSERT INTO t VALUES(3, 2); UPDATE t SET v = 4 WHERE k = 1",
            "t",
            "replace",
            id="so with replace",
        ),
        pytest.param(
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b, c); INSERT INTO t VALUES(1, 2, 3), (2, 3, 4)",
            "DELETE FROM t WHERE a = 1; ALTER TABLE t DROP COLUMN b",
            "t",
            "skip",
            id="a column that is gone is left out",
        ),
        pytest.param(
            "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b); INSERT INTO t VALUES(1, 2), (80, 3);"
            "DELETE FROM t WHERE a = 80",
            "DROP TABLE t",
            "t",
            "skip",
            id="the number given out last comes back",
        ),
        pytest.param(
            "CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, v); INSERT INTO t VALUES('ABC', 1), ('d', 2)",
            "UPDATE t SET k = 'abc', v = 3 WHERE k = 'ABC'",
            "t",
            "replace",
            id="a key that is spelled in another way",
        ),
        pytest.param(
            "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES('one'), ('two'), ('three');"
            "CREATE VIRTUAL TABLE r USING rtree(id, a, b); INSERT INTO r VALUES(1, 0, 1), (2, 5, 7)",
            "DELETE FROM f WHERE rowid = 1; UPDATE f SET x = 'else' WHERE rowid = 2; DELETE FROM r WHERE id = 2;"
            "UPDATE r SET b = 3 WHERE id = 1",
            "f r",
            "replace",
            id="virtual tables",
        ),
        pytest.param(
            "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES('one'), ('two'), ('three')",
            "DELETE FROM f WHERE rowid = 1; UPDATE f SET x = 'else' WHERE rowid = 2",
            "f",
            "skip",
            id="virtual tables with skip",
        ),
        pytest.param(
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b);"
            "INSERT INTO t VALUES(1, 'a' || char(13, 10) || '.quit' || char(10) || 'b;'), (2, char(13)), (3, '-- ')",
            "DELETE FROM t",
            "t",
            "skip",
            id="texts of several lines",
        ),
    ],
)
def test_promise_7_the_file_does_what_bringing_back_does(
    tmp_path: Path, then: str, since: str, picks: str, on_conflict: OnConflict
) -> None:
    loss = Loss(tmp_path, then, since)
    loss.live.run("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = Shell(tmp_path / "copy.db")
    shutil.copyfile(loss.live.path, copy.path)
    sql = written(loss, *picks.split(), on_conflict=on_conflict)
    load(copy, sql)
    loss.bring_back(*picks.split(), on_conflict=on_conflict)
    for (name,) in copy.rows("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow'"):
        key = "*" if name == "sqlite_schema" else "rowid, *"
        without = " WHERE name NOT LIKE 'sqlite_stat%'" if name == "sqlite_schema" else ""
        asked = f'SELECT {key} FROM "{name}"{without} ORDER BY 1, 2'
        if name != "sqlite_schema":
            assert copy.rows(asked) == loss.rows(asked), sql
    assert copy.rows("PRAGMA integrity_check") == [["ok"]]


def test_promise_7_a_row_that_came_after_the_preview_stays(tmp_path: Path) -> None:
    loss = Loss(tmp_path, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES(1, 'x')", "DELETE FROM t")
    sql = written(loss, "t", on_conflict="replace")
    loss.live.run("INSERT INTO t VALUES(1, 'new')")
    loss.live.run(sql)
    assert loss.rows("SELECT * FROM t") == [[1, "new"]]


def test_csv_quotes_all_that_ends_a_line(tmp_path: Path) -> None:
    loss = Loss(
        tmp_path,
        "CREATE TABLE t(a, b); INSERT INTO t VALUES('x' || char(10) || 'y', 1), (char(13), '\"'), ('a,b', NULL)",
        "DELETE FROM t",
    )
    text = written(loss, "t", is_csv=True)
    assert text == 'a,b\n"x\ny",1\n"\r",""""\n"a,b",\n'
    assert list(csv.reader(io.StringIO(text, newline="")))[1:3] == [["x\ny", "1"], ["\r", '"']]


def test_promise_7_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    with written_new(path) as write:
        write("one\n")
        assert not path.exists()
        write("two\n")
    assert path.read_text() == "one\ntwo\n"
    assert [item.name for item in tmp_path.iterdir()] == ["x.sql"]
    with pytest.raises(OutputExistsError, match="is there already"), written_new(path):
        pass
    other = tmp_path / "y.sql"
    with pytest.raises(OutputExistsError):  # noqa: PT012, SIM117 (the end of the block raises)
        with written_new(other) as write:
            other.write_text("another's")
            write("ours")
    assert other.read_text() == "another's"
    assert len(list(tmp_path.iterdir())) == 2
