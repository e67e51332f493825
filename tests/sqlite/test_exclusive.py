"""Another content for a database held alone: with all that belongs to it, and seen by whoever waits."""

import threading
from pathlib import Path

import pytest

from replication.sqlite.exclusive import DatabaseInUseError, alone
from tests.foreign import ForeignConnection, ForeignError, Shell
from tests.restore.content import content

FRESH = "CREATE TABLE fresh(x); INSERT INTO fresh VALUES(zeroblob(300000)), ('ä')"


def nothing() -> None:
    """Goes on."""


@pytest.mark.parametrize(
    "pragmas",
    [
        "PRAGMA encoding='UTF-16le'; PRAGMA auto_vacuum=FULL; PRAGMA application_id=9",
        "PRAGMA page_size=512; PRAGMA encoding='UTF-16be'; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA user_version=3",
        "PRAGMA page_size=65536",
    ],
)
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_all_that_belongs_to_a_database_comes_with_its_pages(tmp_path: Path, pragmas: str, mode: str) -> None:
    live, fresh = Shell(tmp_path / "live.db"), Shell(tmp_path / "fresh.db")
    live.run(f"PRAGMA journal_mode={mode}; CREATE TABLE old(x); INSERT INTO old VALUES(zeroblob(900000))")
    fresh.run(f"{pragmas}; PRAGMA journal_mode=wal; {FRESH}")
    with alone(live.path) as held:
        held.fold_in()
        assert held.write(fresh.path, nothing) == ""
    assert content(live.path) == content(fresh.path)
    assert live.rows("PRAGMA integrity_check") == [["ok"]]
    assert live.rows("SELECT x FROM fresh WHERE x = 'ä'") == [["ä"]]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_promise_4_whoever_waits_sees_the_new_content_and_whoever_has_read_before_as_well(
    tmp_path: Path, mode: str
) -> None:
    """Outside of WAL mode a connection that has read holds no lock, and must notice that its pages are stale."""
    live, fresh = Shell(tmp_path / "live.db"), Shell(tmp_path / "fresh.db")
    live.run(f"PRAGMA journal_mode={mode}; CREATE TABLE t(x); INSERT INTO t VALUES('old')")
    fresh.run("PRAGMA journal_mode=wal; CREATE TABLE t(y, x); INSERT INTO t VALUES(1, 'new')")
    waiting, idle = live.open(), live.open()
    if mode == "delete":
        assert idle.execute("SELECT x FROM t") == [["old"]]
    found: list[list[list[str]]] = []
    with alone(live.path) as held:
        held.fold_in()
        thread = threading.Thread(target=lambda: found.append(waiting.execute("SELECT x FROM t")))
        thread.start()
        with ForeignConnection(live.path, timeout=0.01) as hasty, pytest.raises(ForeignError, match="locked"):
            hasty.execute("SELECT x FROM t")
        held.write(fresh.path, nothing)
    thread.join()
    assert found == [[["new"]]]
    assert idle.execute("SELECT x FROM t") == [["new"]]
    idle.execute("INSERT INTO t VALUES(2, 'more')")
    assert waiting.execute("SELECT y FROM t") == [[1], [2]]
    waiting.close()
    idle.close()


def test_a_connection_that_has_read_keeps_us_out(tmp_path: Path) -> None:
    live = Shell(tmp_path / "live.db")
    live.run("PRAGMA journal_mode=wal; CREATE TABLE t(x)")
    with live.open() as app:
        app.execute("SELECT * FROM t")
        with pytest.raises(DatabaseInUseError), alone(live.path):
            pass
        app.execute("INSERT INTO t VALUES(1)")
    with alone(live.path):
        pass
    assert live.rows("SELECT count(*) FROM t") == [[1]]
