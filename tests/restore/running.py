"""One restore from a store in memory, and what must be true when it fails."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.errors import (
    ReplicationError,
)
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult, restore
from replication.restore.retry import Backoff
from replication.restore.target import Target
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segment_name
from tests.restore.history import (
    GENERATION,
)

QUICK = Backoff(base_seconds=0.0)


def run(
    storage: MemoryStorage,
    output: Path,
    target: Target | None = None,
    cancel: threading.Event | None = None,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    **more: object,
) -> RestoreResult:
    options = RestoreOptions(backoff=QUICK, **({"target": target} if target else {}), **more)  # type: ignore[arg-type]
    return restore([OpenReplica("test", storage)], output, options, progress, cancel)


def fails(storage: MemoryStorage, folder: Path, kind: type[ReplicationError], target: Target | None = None) -> str:
    """The message of a restore that must fail and leave the folder as it was."""
    before = sorted(folder.iterdir())
    with pytest.raises(kind) as caught:
        run(storage, folder / "sub" / "out.db", target)
    assert sorted(folder.iterdir()) == before
    return str(caught.value)


def name_at(index: int, offset: int) -> str:
    return segment_name(Position(GENERATION, index, offset))


def segments(storage: MemoryStorage, index: int) -> list[str]:
    return [name for name in storage.names() if f"/wal/{index:08x}_" in name]
