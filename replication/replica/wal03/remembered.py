"""Which commit the newest snapshot of each replica holds, kept beside the shadow WAL so that no store need be asked.

It is believed only of an object with the very name and size that were stored, and nothing else is taken from it; the
snapshot's own note says the same. Losing it costs a request, so nothing here raises.
"""

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from replication.local.files import REMEMBERED_NAME
from replication.local.folder import LocalFolder
from replication.position import Position
from replication.storage.wal03.names import SnapshotInfo, snapshot_name

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


def last_stored(meta_path: Path, replica: str) -> tuple[Position, int] | None:
    """The commit of the snapshot that was stored last from here, and its stored size."""
    with suppress(ValueError, TypeError, KeyError):
        known = _load(meta_path)[replica]
        return Position.parse(str(known["position"])), int(known["stored"])
    return None


def _load(meta_path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        known = json.loads(LocalFolder(meta_path).read(REMEMBERED_NAME))
        if isinstance(known, dict):
            return known
    return {}


def _write(meta_path: Path, known: dict[str, Any]) -> None:
    folder = LocalFolder(meta_path)
    try:
        folder.write(REMEMBERED_NAME, f"{json.dumps(known)}\n".encode(), "remembered: written")
    except OSError:
        # What stayed may be of an older snapshot.
        with suppress(OSError):
            folder.remove(REMEMBERED_NAME)
