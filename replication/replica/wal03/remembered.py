"""Which commit the newest snapshot of each replica holds, kept beside the shadow WAL so that no store need be asked.

It is believed only of an object with the very name and size that were stored, and nothing else is taken from it; the
snapshot's own note says the same. Losing it costs a request, so nothing here raises.
"""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from replication.local.files import REMEMBERED_NAME
from replication.local.folder import LocalFolder
from replication.local.json_file import read_object, write_object
from replication.position import Position
from replication.storage.wal03.names import SnapshotInfo, snapshot_name

_writing = threading.Lock()
"""The replicas of one database share a file."""


def remember(meta_path: Path, replica: str, position: Position, stored_bytes: int) -> None:
    """The snapshot of `position` was stored in `replica`, in so many bytes."""
    with _writing:
        known = read_object(meta_path, REMEMBERED_NAME)
        _write(meta_path, known | {replica: {"position": str(position), "stored": stored_bytes}})


def forget(meta_path: Path, replica: str) -> None:
    """A snapshot is about to be stored, perhaps in the place of the one that is remembered."""
    with _writing:
        known = read_object(meta_path, REMEMBERED_NAME)
        if known.pop(replica, None) is not None:
            _write(meta_path, known)


def remembered(meta_path: Path, replica: str, snapshot: SnapshotInfo) -> Position | None:
    """The commit that `snapshot` holds, if it was stored from here; else None."""
    with suppress(ValueError, TypeError, KeyError):
        known = read_object(meta_path, REMEMBERED_NAME)[replica]
        position = Position.parse(str(known["position"]))
        if snapshot_name(position.generation, position.index) == snapshot.name and known["stored"] == snapshot.size:
            return position
    return None


def last_stored(meta_path: Path, replica: str) -> tuple[Position, int] | None:
    """The commit of the snapshot that was stored last from here, and its stored size."""
    with suppress(ValueError, TypeError, KeyError):
        known = read_object(meta_path, REMEMBERED_NAME)[replica]
        return Position.parse(str(known["position"])), int(known["stored"])
    return None


def _write(meta_path: Path, known: dict[str, Any]) -> None:
    if not write_object(meta_path, REMEMBERED_NAME, known, "remembered: written"):
        # The file that stayed may be of an older snapshot.
        with suppress(OSError):
            LocalFolder(meta_path).remove(REMEMBERED_NAME)
