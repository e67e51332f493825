"""Is what follows of the same history? Told by a frame mark: salts and checksum of a frame, which prove all WAL before.

Two copies of one database may both have written to a replica, each WAL as long as the other's, and what told them apart
may have been removed. Names and offsets then fit together, and the frames that would be applied are those of one
database over the pages of another. Notes of ours carry the frame mark of the last frame before; those of earlier
versions and of Litestream do not, and prove nothing.
"""

from replication.errors import CorruptObjectError
from replication.sqlite.wal import Frames
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.notes import SegmentNote

_MARKED = slice(8, 24)
"""Salts and checksum in the header of a frame."""


def mark_of(frames: Frames, row: int) -> str:
    """The frame mark of one of these frames."""
    return bytes(frames.rows[row, _MARKED]).hex()


def check_mark(name: str, noted: str | None, here: str) -> None:
    """Raise CorruptObjectError if an object goes on from another frame than the one that is here.

    Nothing is raised where either is not known.
    """
    if noted and here and noted != here:
        raise CorruptObjectError(
            name,
            "its note says that it goes on from other WAL than what is there; two programs have written this replica, "
            "each with a copy of the database",
        )


def check_note(info: SegmentInfo, note: SegmentNote | None) -> None:
    """Raise CorruptObjectError unless what the first segment of an index says of its place is true."""
    here = note.position if note is not None else None
    if here is not None and here != info.position:
        raise CorruptObjectError(info.name, f"its note says that it is the segment of {here}")
    before = note.previous if note is not None else None
    if before is not None and (before.generation, before.index + 1) != (info.generation, info.index):
        raise CorruptObjectError(info.name, f"its note says that it follows {before}")
