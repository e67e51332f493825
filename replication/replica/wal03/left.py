"""A note in the local folder of a replica that was away for so long that its shadow WAL had to be removed.

The disk is the application's, so what waits for a replica is bounded (local/backlog.py). Beyond that the WAL is removed
here, and once the replica is back it begins anew in the same generation, with a snapshot (anew.py). For that it must be
known where it stood, and that it is still ours: its last segment cannot be compared with the shadow WAL any more.

Without this note a new generation begins, which loses nothing; so nothing here raises.
"""

import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from replication.local.files import LEFT_NAME
from replication.local.json_file import read_object, write_object
from replication.position import Position

_writing = threading.Lock()
"""The replicas of one database share a file."""


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """The end of a segment in its index; salts and checksum of its last frame, in hex, which prove all before it."""

    offset: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Left:
    """Where a replica stood: its WAL was removed at `since` (seconds since the epoch, 0 if it is not yet), for `why`.

    `position` is its end, or None if that was never known. `arrived` is the end of the segment that was being sent,
    which may have arrived. `token` is what the end mark has in it that we write to begin anew, "" before we tried.
    """

    since: float
    why: str = ""
    position: Position | None = None
    arrived: SegmentEnd | None = None
    token: str = ""


def write_left(meta_path: Path, replica: str, left: Left | None) -> None:
    """Write the note of a replica, or remove it with None."""
    with _writing:
        known = read_object(meta_path, LEFT_NAME)
        if left is None:
            if known.pop(replica, None) is None:
                return
        else:
            known[replica] = {**asdict(left), "position": str(left.position) if left.position is not None else ""}
        write_object(meta_path, LEFT_NAME, known)


def read_left(meta_path: Path, replica: str) -> Left | None:
    """The note of a replica; None if there is none, or it makes no sense."""
    with suppress(ValueError, TypeError, KeyError):
        found = read_object(meta_path, LEFT_NAME)[replica]
        position, arrived = str(found["position"]), found["arrived"]
        return Left(
            since=float(found["since"]),
            why=str(found["why"]),
            position=Position.parse(position) if position else None,
            arrived=SegmentEnd(int(arrived["offset"]), str(arrived["checksum"])) if arrived else None,
            token=str(found["token"]),
        )
    return None
