"""Which commit the newest snapshot of each replica holds, kept beside the shadow WAL so that no store need be asked.

It is believed only of an object with the very name and size that were stored, and nothing else is taken from it; the
snapshot's own note says the same. Losing it costs a request, so nothing here raises.
"""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from replication.position import Position
from replication.steps import reached
from replication.storage.names import SnapshotInfo, snapshot_name

REMEMBERED_NAME = "litestream-tui.snapshots.json"
REMEMBERED_BYTES_MAX = 1 << 20
"""A file larger than this is none of ours."""
_writing = threading.Lock()
"""The replicas of one database share a file."""


def remember(meta_path: Path, replica: str, position: Position, stored_bytes: int) -> None:
    """The snapshot of `position` was stored in `replica`, in so many bytes."""
    with _writing:
        _write(meta_path, _load(meta_path) | {replica: {"position": str(position), "stored": stored_bytes}})


def forget(meta_path: Path, replica: str) -> None:
    """A snapshot is about to be stored, perhaps in the place of the one that is remembered."""
    with _writing:
        known = _load(meta_path)
        if known.pop(replica, None) is not None:
            _write(meta_path, known)


def remembered(meta_path: Path, replica: str, snapshot: SnapshotInfo) -> Position | None:
    """The commit that `snapshot` holds, if it was stored from here; else None."""
    with suppress(ValueError, TypeError, KeyError):
        known = _load(meta_path)[replica]
        position = Position.parse(str(known["position"]))
        if snapshot_name(position.generation, position.index) == snapshot.name and known["stored"] == snapshot.size:
            return position
    return None


def _load(meta_path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        with (meta_path / REMEMBERED_NAME).open("rb") as file:
            known = json.loads(file.read(REMEMBERED_BYTES_MAX))
        if isinstance(known, dict):
            return known
    return {}


def _write(meta_path: Path, known: dict[str, Any]) -> None:
    path = meta_path / REMEMBERED_NAME
    temporary = path.with_name(REMEMBERED_NAME + ".tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(temporary, flags, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123 (its mode is set)
            file.write(json.dumps(known) + "\n")
        reached("remembered: written")
        temporary.replace(path)
    except OSError:
        # What stayed may be of an older snapshot.
        with suppress(OSError):
            path.unlink()
