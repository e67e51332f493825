"""Where a replica stood when its WAL was let go of, kept beside the shadow WAL until it has begun anew.

Losing the file costs a new generation, since nothing else tells the replica from another program's then; so nothing
here raises.
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
    """A replica that was let go of: `since` when, in seconds since the epoch, and `why`. 0 if it was not yet.

    `position` is its end as far as it was known, None if it never was. `arrived` is the end of the segment that was
    tried last. `token` is what an end mark of ours has in it, "" before one was tried.
    """

    since: float
    why: str = ""
    position: Position | None = None
    arrived: SegmentEnd | None = None
    token: str = ""


def left_behind(meta_path: Path, replica: str, left: Left | None) -> None:
    """Write down how a replica was left; None if it is not."""
    with _writing:
        known = read_object(meta_path, LEFT_NAME)
        if left is None:
            if known.pop(replica, None) is None:
                return
        else:
            known[replica] = {**asdict(left), "position": str(left.position) if left.position is not None else ""}
        write_object(meta_path, LEFT_NAME, known)


def kept_left(meta_path: Path, replica: str) -> Left | None:
    """What was written down of a replica, if it can be believed."""
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
