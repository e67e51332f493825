"""Reading the frames of a WAL: the ones that SQLite counts, and the last commit of a file of our own.

Promise 1: a frame is handed on only when its salts are the header's, its checksum continues the chain, and SQLite
counts it. How many count, and the checksum of the last, is what SQLite published (replication/sqlite/wal_index.py):
if the chain ends there with that checksum, these are the very frames.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import WALHeader, align, frames_in

READ_CHUNK_BYTES = 1 << 20

Sink = Callable[[int, memoryview], None]
"""Called with an offset and the frames that belong there."""


class OverwrittenError(Exception):
    """The WAL does not hold, at its place, what was copied from it or what SQLite counts; the text says which."""


@dataclass(frozen=True, slots=True)
class WALCursor:
    """How far a life of the WAL was copied: the end of a commit frame, its checksum, and the database's size in pages
    after it (0 before the first).
    """

    header: WALHeader
    offset: int
    sums: Sums
    database_pages: int = 0

    @classmethod
    def start(cls, header: WALHeader) -> "WALCursor":
        """The cursor of a life of which nothing was copied."""
        return cls(header, WAL_HEADER_SIZE, header.sums)

    @property
    def frames(self) -> int:
        """Committed frames up to here."""
        return (self.offset - WAL_HEADER_SIZE) // self.header.frame_size


def copy_frames(descriptor: int, cursor: WALCursor, end: int, sums: Sums, sink: Sink) -> WALCursor:
    """Hand the frames from `cursor` to `end` to `sink`, in order, and return the cursor at `end`.

    `sums` is what the last of them must have. Raises OverwrittenError if these are not there, or if the last frame
    before `cursor` is no longer; what `sink` got then is to be forgotten. What `sink` raises passes through.
    """
    header = cursor.header
    if not _holds(descriptor, header, cursor.offset, cursor.sums):
        raise OverwrittenError("the last copied frame is no longer in the WAL")
    chunk_size = _chunk_size(header)
    pages = cursor.database_pages
    offset, running = cursor.offset, cursor.sums
    while offset < end:
        data = os.pread(descriptor, min(chunk_size, end - offset), offset)
        frames = frames_in(data, header, running)
        if not data or frames.count * header.frame_size < len(data):
            raise OverwrittenError("the WAL does not hold the frames that SQLite counts")
        sink(offset, memoryview(data))
        offset, running = offset + len(data), frames.sums
        pages = int(frames.commits[-1])
    if running != sums or not pages:
        raise OverwrittenError("the WAL holds other frames than SQLite counts")
    return WALCursor(header, end, sums, pages)


def last_commit(descriptor: int, cursor: WALCursor, limit: int) -> WALCursor:
    """The last commit after `cursor` that ends before `limit`, as far as the chain of checksums reaches; else `cursor`.

    For files where no WAL index says how much counts: those of the shadow WAL, and a WAL that is too long.
    """
    header = cursor.header
    chunk_size = _chunk_size(header)
    end = min(align(os.fstat(descriptor).st_size, header.page_size), align(limit, header.page_size))
    offset, running = cursor.offset, cursor.sums
    while offset < end:
        data = os.pread(descriptor, min(chunk_size, end - offset), offset)
        frames = frames_in(data, header, running)
        if frames.committed:
            place = offset + frames.committed * header.frame_size
            cursor = WALCursor(header, place, frames.committed_sums, frames.database_pages)
        offset, running = offset + len(data), frames.sums
        if frames.count * header.frame_size < len(data) or not data:
            break
    return cursor


def commits_after(descriptor: int, cursor: WALCursor, limit: int) -> int:
    """Commits that stand in the WAL after `cursor` and before `limit`, whether or not SQLite counts them."""
    count = 0
    header, offset, running = cursor.header, cursor.offset, cursor.sums
    end = min(align(os.fstat(descriptor).st_size, header.page_size), align(limit, header.page_size))
    while offset < end:
        data = os.pread(descriptor, min(_chunk_size(header), end - offset), offset)
        frames = frames_in(data, header, running)
        count += int((frames.commits > 0).sum())
        if not data or frames.count * header.frame_size < len(data):
            break
        offset, running = offset + len(data), frames.sums
    return count


def has_frame(descriptor: int, header: WALHeader, offset: int, sums: Sums) -> bool:
    """True if a frame of the chain that has come to `sums` stands at `offset`."""
    head = os.pread(descriptor, FRAME_HEADER_SIZE, offset)
    if len(head) < FRAME_HEADER_SIZE or struct.unpack_from(">2I", head, 8) != header.salts:
        return False
    data = os.pread(descriptor, header.frame_size, offset)
    return len(data) == header.frame_size and frames_in(data, header, sums).count == 1


def _chunk_size(header: WALHeader) -> int:
    return max(1, READ_CHUNK_BYTES // header.frame_size) * header.frame_size


def _holds(descriptor: int, header: WALHeader, offset: int, sums: Sums) -> bool:
    """True if the frame that ends at `offset` is the one whose sums are `sums`; true at the WAL's start."""
    if offset <= WAL_HEADER_SIZE:
        return True
    head = os.pread(descriptor, FRAME_HEADER_SIZE, offset - header.frame_size)
    if len(head) < FRAME_HEADER_SIZE:
        return False
    fields = struct.unpack(">6I", head)
    return fields[2:4] == header.salts and fields[4:6] == sums
