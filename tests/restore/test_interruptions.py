"""Restores that are stopped, starved or disturbed: they go on, or end at once and leave nothing."""

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from replication.errors import (
    AccessDeniedError,
    LocalFileError,
    RestoreCancelledError,
    StorageError,
)
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreProgress, restore
from replication.restore.retry import Backoff
from replication.restore.target import AtPosition
from replication.restore.wal03 import fetch, replay
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import snapshot_name
from tests.restore.history import (
    GENERATION,
    History,
    ReplicaBuilder,
    note_of,
    publish,
    write_history,
)
from tests.restore.running import fails, run, segments
from tests.restore.test_every_commit import sha

pytestmark = pytest.mark.usefixtures("batches")


def test_dropped_streams_go_on_where_they_stopped(
    history: History, storage: MemoryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PART_BYTES", 1000)
    storage.fail("list", StorageError("the store is out"), times=2)

    def progress(now: RestoreProgress) -> None:
        if now.phase == "snapshot" and now.bytes_done == 0:
            storage.cut(100, times=40)

    result = run(storage, tmp_path / "out", parallelism=3, progress=progress)
    assert sha(tmp_path / "out") == history.commits[-1].sha
    assert result.bytes_fetched == sum(item.size for item in storage.list(""))


def test_an_outage_ends_after_a_bounded_number_of_tries(storage: MemoryStorage, tmp_path: Path) -> None:
    storage.fail("get", StorageError("the store is out"), times=10_000)
    assert fails(storage, tmp_path, StorageError) == "the store is out"
    storage.clear_faults()
    calls = storage.calls["list"]
    storage.fail("list", AccessDeniedError("no"), times=10_000)
    fails(storage, tmp_path, AccessDeniedError)
    assert storage.calls["list"] - calls == 1


def test_cancel_is_immediate_even_in_a_long_wait(storage: MemoryStorage, tmp_path: Path) -> None:
    cancel = threading.Event()
    storage.fail("list", StorageError("the store is out"), times=10_000)
    options = RestoreOptions(backoff=Backoff(base_seconds=60, seconds_max=60))
    threading.Timer(0.2, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(RestoreCancelledError):
        restore([OpenReplica("test", storage)], tmp_path / "out", options, cancel=cancel)
    assert time.monotonic() - began < 10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("phase", ["snapshot", "wal", "check"])
@pytest.mark.parametrize("way", ["cancel", "keyboard"])
def test_stopping_anywhere_leaves_nothing(storage: MemoryStorage, tmp_path: Path, phase: str, way: str) -> None:
    cancel = threading.Event()

    def progress(now: RestoreProgress) -> None:
        if now.phase == phase:
            if way == "keyboard":
                raise KeyboardInterrupt
            cancel.set()

    with pytest.raises(KeyboardInterrupt if way == "keyboard" else RestoreCancelledError):
        run(storage, tmp_path / "sub" / "out", cancel=cancel, progress=progress)
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_the_whole(storage: MemoryStorage, tmp_path: Path) -> None:
    seen: list[RestoreProgress] = []
    run(storage, tmp_path / "out", progress=seen.append)
    assert [now.bytes_done for now in seen] == sorted(now.bytes_done for now in seen)
    assert (seen[-1].phase, seen[-1].bytes_done) == ("done", seen[-1].bytes_total)
    assert seen[-1].objects_done == seen[-1].objects_total > 5


def test_retention_during_a_restore_makes_a_new_plan(history: History, storage: MemoryStorage, tmp_path: Path) -> None:
    builder = ReplicaBuilder(storage)
    last = [commit for commit in history.commits if commit.index == 1][-1]

    def progress(now: RestoreProgress) -> None:
        if now.phase == "snapshot" and segments(storage, 0):
            builder.snapshot(2, history.bases[2], note_of(Position(GENERATION, 2, 0), last.pages, 4096))
            storage.delete([snapshot_name(GENERATION, 0), *segments(storage, 0), *segments(storage, 1)])

    result = run(storage, tmp_path / "out", progress=progress)
    assert result.snapshot == snapshot_name(GENERATION, 2)
    assert sha(tmp_path / "out") == history.commits[-1].sha


def test_a_full_disk_is_named_and_leaves_nothing(
    storage: MemoryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: object, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert "Free some space" in fails(storage, tmp_path, LocalFileError)


def test_large_segments_go_to_unlinked_files(
    history: History, storage: MemoryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "SPOOL_MEMORY_BYTES_MAX", 1)
    monkeypatch.setattr(replay, "BLOCK_BYTES", 3 * (24 + 4096))
    listed: list[int] = []
    run(storage, tmp_path / "out", progress=lambda now: listed.append(len(list(tmp_path.iterdir()))))
    assert sha(tmp_path / "out") == history.commits[-1].sha
    assert max(listed) <= 2


def test_a_snapshot_that_is_written_anew_after_it_was_planned_is_not_taken_for_the_earlier_one(tmp_path: Path) -> None:
    """The engine may write a later snapshot of the same index, just as large, under the name of the earlier."""
    tables = "CREATE TABLE a(x); CREATE TABLE b(x); CREATE TABLE c(x);"
    inserts = [f"INSERT INTO {table} VALUES(1)" for table in "abc"]
    history = write_history(tmp_path, 4096, [[tables], inserts])
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    early, target, late = (commit for commit in history.commits if commit.index == 1)
    builder = ReplicaBuilder(storage)
    builder.noted_snapshot(early, 4096)

    def progress(now: RestoreProgress) -> None:
        if now.phase == "snapshot" and now.bytes_done == 0:
            builder.noted_snapshot(late, 4096)

    result = run(storage, tmp_path / "out", AtPosition(target.at()), progress=progress)
    assert sha(tmp_path / "out") == target.sha
    assert result.snapshot == snapshot_name(GENERATION, 0)
