"""How much a restore of many small segments reads, opens and writes: counted, so that no machine's speed matters."""

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.wal03 import fetch
from replication.storage.container import NOTE_SIZE_MAX
from replication.storage.file.storage import FileStorage
from replication.storage.memory import MemoryStorage
from tests.restore.history import GENERATION, History, ReplicaBuilder, note_of, write_history
from tests.restore.test_every_commit import sha

COMMITS = 300
FOLDERS = 4
"""Above a segment, below the root: each is opened from the one above it."""
ONCE = 60
"""Calls of open() that come once in a restore, however many segments there are."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Commits that all change the same pages, and now and then add one."""
    scripts = ["CREATE TABLE t(a, b)", *(f"INSERT INTO t VALUES({n}, hex(randomblob(200)))" for n in range(COMMITS))]
    return write_history(tmp_path_factory.mktemp("history"), 4096, [scripts])


@pytest.fixture
def replica(history: History, tmp_path: Path) -> FileStorage:
    """A segment for each commit."""
    memory, folder = MemoryStorage(), FileStorage(tmp_path / "replica")
    builder = ReplicaBuilder(memory)
    base = history.bases[0]
    builder.snapshot(0, base, note_of(Position(GENERATION, 0, 0), len(base) // 4096, 4096))
    builder.wal(0, history.wals[0], history.ends(0))
    for item in memory.list(""):
        folder.put(item.name, memory.get(item.name))
    return folder


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls and bytes, counted from here on."""
    counts: Counter[str] = Counter()
    pread, pwrite, opened, spool = os.pread, os.pwrite, os.open, tempfile.SpooledTemporaryFile

    def read(descriptor: int, size: int, offset: int) -> bytes:
        data = pread(descriptor, size, offset)
        counts["reads"] += 1
        counts["bytes read"] += len(data)
        return data

    def write(descriptor: int, data: Any, offset: int) -> int:
        size = pwrite(descriptor, data, offset)
        counts["writes"] += 1
        counts["bytes written"] += size
        return size

    def count_open(*arguments: Any, **options: Any) -> int:
        counts["opens"] += 1
        return opened(*arguments, **options)

    def count_spool(*arguments: Any, **options: Any) -> Any:
        counts["spools"] += 1
        return spool(*arguments, **options)

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a temporary file for what fits into memory")

    monkeypatch.setattr(os, "pread", read)
    monkeypatch.setattr(os, "pwrite", write)
    monkeypatch.setattr(os, "open", count_open)
    monkeypatch.setattr(fetch, "SpooledTemporaryFile", count_spool)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    return counts


def test_work(history: History, replica: FileStorage, tmp_path: Path, done: Counter[str]) -> None:
    """Each object is read once, each page written about once, and no file is made for a small segment."""
    stored = sum(item.size for item in replica.list(""))
    done.clear()
    result = restore([OpenReplica("test", replica)], tmp_path / "out.db", RestoreOptions())
    counts = Counter(done)
    assert sha(tmp_path / "out.db") == history.commits[-1].sha
    assert result.segments == COMMITS + 1
    assert counts["bytes read"] <= stored + NOTE_SIZE_MAX
    assert counts["reads"] <= result.segments + 10
    # Those of the snapshot, and once more those that the WAL changed.
    assert counts["bytes written"] <= len(history.bases[0]) + result.size
    assert counts["writes"] <= result.pages + 10
    assert counts["opens"] <= result.segments * (1 + 1 + FOLDERS) + ONCE
    assert counts["spools"] <= 8 * fetch.BATCHES_PER_THREAD
