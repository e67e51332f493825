"""A sync that waits: for what was committed when it was asked for, no more and no less."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.control.syncing import _Goals
from replication.database.current import CurrentGeneration
from replication.database.open_database import OpenDatabase
from replication.errors import DatabaseError
from replication.status import DatabaseTotals, EngineStatus
from replication.storage.file.storage import FileStorage
from tests.control.serving import Served, served
from tests.engine.running import only, until
from tests.foreign import Shell
from tests.tui import fake


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, "here") as found:
        yield found


def commit(at: Served, number: int) -> None:
    Shell(at.path).run(f"INSERT INTO t VALUES({number})")


def restored(at: Served, name: str) -> list[list[object]]:
    """What the newest restore point holds now."""
    output = at.path.with_name(name)
    carry_out(at.control, ask.Restore(database=at.name, output=str(output)))
    return Shell(output).rows("SELECT a FROM t ORDER BY a")


@pytest.fixture
def behind(at: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The replica lacks a commit always: whenever a segment was stored, another is committed and copied."""
    put, over = FileStorage.put, threading.Event()

    def slow_put(self: FileStorage, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        stored = put(self, name, chunks, create=create)
        if "/wal/" in name and not over.is_set():
            before = only(at.engine).position
            commit(at, 100)
            until(lambda: only(at.engine).position != before)
        return stored

    monkeypatch.setattr(FileStorage, "put", slow_put)
    yield
    over.set()


@pytest.mark.usefixtures("behind")
def test_what_is_committed_meanwhile_is_not_waited_for(at: Served) -> None:
    commit(at, 2)
    synced = carry_out(at.control, ask.Sync(database=at.name, wait=True, timeout=20.0))
    assert (synced.replicas, synced.lacking) == (("replica",), ())
    assert [2] in restored(at, "restored.db")


@pytest.mark.usefixtures("behind")
def test_a_database_that_is_written_to_all_the_time_can_be_unregistered(at: Served) -> None:
    commit(at, 2)
    carry_out(at.control, ask.Unregister(database=at.name, timeout=20.0))
    assert at.control.status().databases == ()


def test_what_a_sync_that_was_under_way_did_not_see_is_waited_for(at: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, copied, go_on, looks_on = CurrentGeneration.copy, threading.Event(), threading.Event(), threading.Event()

    def slow_copy(self: CurrentGeneration, opened: OpenDatabase) -> None:
        if copied.is_set():
            assert looks_on.wait(20.0)
        copy(self, opened)
        if not copied.is_set():
            copied.set()
            assert go_on.wait(20.0)

    monkeypatch.setattr(CurrentGeneration, "copy", slow_copy)
    commit(at, 2)
    assert copied.wait(20.0)
    commit(at, 3)
    status, seen = at.engine.status, 0
    sync_now, asked = at.engine.sync_now, threading.Event()

    def told(database: str | None = None) -> None:
        sync_now(database)
        asked.set()

    def look() -> EngineStatus:
        nonlocal seen
        found = status()
        if not found.databases[0].replicas[0].pending_bytes:
            # All that was copied is in the replica, which is less than was asked for: it is looked at again and again.
            seen += 1
        if seen == 5:
            looks_on.set()
        return found

    monkeypatch.setattr(at.engine, "status", look)
    monkeypatch.setattr(at.engine, "sync_now", told)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(carry_out, at.control, ask.Sync(database=at.name, wait=True, timeout=20.0))
        assert asked.wait(20.0)
        go_on.set()
        try:
            waiting.result(20.0)
            assert [3] in restored(at, "restored.db")
        finally:
            looks_on.set()


def test_what_keeps_a_database_from_being_copied_is_told_and_not_waited_out(
    at: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: CurrentGeneration, opened: OpenDatabase) -> None:
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr(CurrentGeneration, "copy", fail)
    with pytest.raises(DatabaseError, match=r"app\.db cannot be synced: ValueError: nobody foresaw this"):
        carry_out(at.control, ask.Sync(database=at.name, wait=True, timeout=60.0))
    assert only(at.engine).state == "error"


def test_a_clock_that_was_set_back_makes_no_old_sync_a_new_one() -> None:
    """By the clock the last sync is later than what asks for one; only one that ends after that counts."""
    before = fake.database(totals=DatabaseTotals(syncs=7))
    goals = _Goals(before.last_sync - 3600.0, {before.path: 7})
    assert goals.lacking(before) == [item.name for item in before.replicas]
    assert goals.lacking(replace(before, totals=DatabaseTotals(syncs=8))) == []
