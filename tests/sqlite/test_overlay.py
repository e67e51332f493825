"""A live database tried out on: its pages as of one commit, whatever others do, and nothing of it written."""

import random
from pathlib import Path
from typing import Any

import apsw
import pytest

from replication.errors import DatabaseError, NoRoomError
from replication.sqlite.live_pages import live_pages
from replication.sqlite.overlay import overlay
from tests.foreign import Shell

FILL = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) "
FILL += "INSERT INTO t SELECT i, randomblob(300) FROM n"


def state(connection: apsw.Connection) -> list[Any]:
    found: list[Any] = connection.execute("SELECT count(*), sum(a), hex(max(b)) FROM t").fetchall()
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return found


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
@pytest.mark.parametrize("how", ["in the wal", "copied back", "half copied back", "no wal", "delete"])
def test_promise_4_a_commit_stands_still_while_others_write(tmp_path: Path, page_size: int, how: str) -> None:
    shell = Shell(tmp_path / "app.db")
    mode = "delete" if how == "delete" else "wal"
    shell.run(f"PRAGMA page_size={page_size}; PRAGMA journal_mode={mode}; CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    shell.run(FILL.format(200))
    if how == "no wal":
        with live_pages(shell.path) as pages, overlay(pages) as connection:
            assert state(connection)
        # As any application's, which is the last one to close it.
        assert [path.name for path in tmp_path.iterdir()] == ["app.db"]
        return
    with shell.open(0.05, autocheckpoint=False) as writer, shell.open() as reader:
        writer.execute("UPDATE t SET b = randomblob(200) WHERE a % 2")
        if how == "half copied back":
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM t")
            writer.execute("UPDATE t SET b = randomblob(100) WHERE a % 3")
        if "copied" in how:
            writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        with live_pages(shell.path) as pages, overlay(pages) as connection:
            before = state(connection)
            if how == "half copied back":
                reader.execute("ROLLBACK")
            if how != "delete":
                for _ in range(3):
                    writer.execute("DELETE FROM t WHERE a % 5 = 0")
                    writer.execute("INSERT INTO t(b) VALUES(randomblob(9000))")
                    writer.execute("PRAGMA wal_checkpoint(RESTART)")
                    assert state(connection) == before
            sha = writer.sha256()
            connection.execute("BEGIN IMMEDIATE; DELETE FROM t; INSERT INTO t VALUES(1, zeroblob(100000)); SAVEPOINT s")
            connection.execute("CREATE INDEX i ON t(b); ROLLBACK TO s; COMMIT; VACUUM")
            assert connection.execute("SELECT count(*), length(b) FROM t").fetchall() == [(1, 100000)]
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert writer.sha256() == sha
        with live_pages(shell.path) as pages, overlay(pages) as connection:
            [row] = writer.execute("SELECT count(*), sum(a), hex(max(b)) FROM t")
            assert state(connection) == [tuple(row)]


def test_it_does_as_sqlite_does(tmp_path: Path) -> None:
    chance = random.Random(7)
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA page_size=1024; PRAGMA journal_mode=wal; CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    shell.run(FILL.format(100))
    steps = []
    for _ in range(60):
        steps.append(
            chance.choice(
                [
                    f"DELETE FROM t WHERE a % {chance.randint(2, 9)} = 0",
                    f"INSERT INTO t(b) VALUES(zeroblob({chance.randrange(20_000)}))",
                    f"UPDATE t SET b = b || zeroblob({chance.randrange(900)}) WHERE a % 3 = 0",
                    "VACUUM",
                    "SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; RELEASE s",
                ]
            )
        )
    with live_pages(shell.path) as pages, overlay(pages) as connection:
        for step in steps:
            connection.execute(step)
        found = state(connection)
    shell.run(";".join(steps))
    assert found == [tuple(shell.rows("SELECT count(*), sum(a), hex(max(b)) FROM t")[0])]


def test_promise_6_what_it_writes_is_bounded(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a INTEGER PRIMARY KEY, b)")

    def full(size: int) -> None:
        raise NoRoomError("no room")

    fill = f"PRAGMA cache_size=5; {FILL.format(5000)}"
    with pytest.raises(apsw.FullError), live_pages(shell.path) as pages, overlay(pages, limit=200_000) as connection:
        connection.execute(fill)
    with pytest.raises(NoRoomError), live_pages(shell.path) as pages, overlay(pages, full) as connection:
        connection.execute(fill)


def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_bytes(b"nothing of the kind" * 1000)
    with pytest.raises(DatabaseError, match="not a SQLite database"), live_pages(tmp_path / "app.db"):
        pass
    with pytest.raises(DatabaseError, match="cannot be opened"), live_pages(tmp_path / "none.db"):
        pass
