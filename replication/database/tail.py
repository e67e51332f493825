"""Following the WAL of a live database: which frames after a place are committed.

Promise 1: a frame is handed on only when its salts are the header's, its checksum continues the chain, and a
commit frame follows it or it is one. One pass reads no further than the file reached when it began, so that it
ends however fast others write. Frames seen without their commit need not be read again while their transaction
goes on; but a rollback leaves them in the WAL, where the next commit may take the place of just the first of them.
"""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import WALHeader, align, frames_in

READ_CHUNK_BYTES = 1 << 20
RESCAN_BYTES = 16 << 20
"""Frames without a commit up to this size are read again in every pass; more of them only when nothing followed."""
KEPT_BYTES_MAX = 8 << 20
"""So much of a transaction is kept until its commit is seen; of a larger one the frames are read once more."""

Sink = Callable[[int, memoryview], None]
"""Takes an offset and committed frames that belong there."""


class OverwrittenError(Exception):
    """The WAL no longer holds, at its place, what was copied from it; the text says what was seen."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one life of the WAL has been followed.

    `offset` and `sums` are the end of the last committed frame; `scanned` and `scanned_sums` go on over verified
    frames whose commit has not been seen. `database_pages` is the size after the last commit, 0 before the first.
    """

    header: WALHeader
    offset: int
    sums: Sums
    scanned: int
    scanned_sums: Sums
    database_pages: int = 0

    @classmethod
    def start(cls, header: WALHeader) -> "Mark":
        """The mark of a life of which nothing has been followed."""
        return cls(header, WAL_HEADER_SIZE, header.sums, WAL_HEADER_SIZE, header.sums)

    @property
    def frames(self) -> int:
        """Committed frames up to here."""
        return (self.offset - WAL_HEADER_SIZE) // self.header.frame_size


def advance(descriptor: int, mark: Mark, sink: Sink, limit: int | None = None, thorough: bool = False) -> Mark:
    """Hand every committed frame after `mark` to `sink`, in order; return the new mark.

    `limit` ends the pass at an offset before the end of the file. `thorough` finds every commit even among frames
    of a very large transaction that was rolled back, where other passes may find it one pass later. Raises
    OverwrittenError when the last frame before the mark is no longer in the WAL; what `sink` raises passes through.
    """
    header = mark.header
    if not _holds(descriptor, header, mark.offset, mark.sums):
        raise OverwrittenError("the last copied frame is no longer in the WAL")
    end = align(os.fstat(descriptor).st_size, header.page_size)
    if limit is not None:
        end = min(end, align(limit, header.page_size))
    if mark.scanned > end or not _holds(descriptor, header, mark.scanned, mark.scanned_sums):
        # What was scanned without a commit was rolled back and written over.
        mark = _unscanned(mark)
    after = _scan(descriptor, mark, end, sink)
    if mark.offset < mark.scanned and after.offset == mark.offset:
        # That the last frame scanned is still there does not say that those before it are.
        again = thorough or after.scanned == mark.scanned or mark.scanned - mark.offset <= RESCAN_BYTES
        return _scan(descriptor, _unscanned(mark), end, sink) if again else after
    return after


def still_there(descriptor: int, start: Mark, end: Mark) -> bool:
    """True if the frames from `start` to `end` are in the WAL as they were followed, all of them."""
    offset, sums = start.offset, start.sums
    chunk_size = max(1, READ_CHUNK_BYTES // end.header.frame_size) * end.header.frame_size
    while offset < end.offset:
        data = os.pread(descriptor, min(chunk_size, end.offset - offset), offset)
        frames = frames_in(data, end.header, sums)
        if not data or frames.count * end.header.frame_size < len(data):
            return False
        offset, sums = offset + len(data), frames.sums
    return sums == end.sums


def _unscanned(mark: Mark) -> Mark:
    """The mark without what it knows of frames that have no commit."""
    return replace(mark, scanned=mark.offset, scanned_sums=mark.sums)


def _scan(descriptor: int, mark: Mark, end: int, sink: Sink) -> Mark:
    """Go on from where `mark` has scanned to, up to `end`."""
    header = mark.header
    frame_size = header.frame_size
    scanned, sums = mark.scanned, mark.scanned_sums
    chunk_size = max(1, READ_CHUNK_BYTES // frame_size) * frame_size
    kept: list[memoryview] = []
    kept_from = scanned
    while scanned < end:
        data = os.pread(descriptor, min(chunk_size, end - scanned), scanned)
        frames = frames_in(data, header, sums)
        rest = 0
        if frames.committed:
            if mark.offset < kept_from:
                _hand_on(descriptor, mark, kept_from, chunk_size, sink)
            for piece in kept:
                sink(kept_from, piece)
                kept_from += len(piece)
            rest = frames.committed * frame_size
            sink(scanned, memoryview(data)[:rest])
            offset = scanned + rest
            mark = Mark(header, offset, frames.committed_sums, offset, frames.committed_sums, frames.database_pages)
            kept, kept_from = [], offset
        kept.append(memoryview(data)[rest : frames.count * frame_size])
        scanned += frames.count * frame_size
        if scanned - kept_from > KEPT_BYTES_MAX:
            kept, kept_from = [], scanned
        sums = frames.sums
        if frames.count * frame_size < len(data) or not data:
            break
    return replace(mark, scanned=scanned, scanned_sums=sums)


def _hand_on(descriptor: int, mark: Mark, end: int, chunk_size: int, sink: Sink) -> None:
    """Read the frames of [mark, end) again, now that their commit is known, and hand them on verified."""
    offset, sums = mark.offset, mark.sums
    while offset < end:
        data = os.pread(descriptor, min(chunk_size, end - offset), offset)
        frames = frames_in(data, mark.header, sums)
        if not data or frames.count * mark.header.frame_size < len(data):
            raise OverwrittenError("frames of a committed transaction changed while they were read")
        sink(offset, memoryview(data))
        offset += len(data)
        sums = frames.sums


def _holds(descriptor: int, header: WALHeader, offset: int, sums: Sums) -> bool:
    """True if the frame that ends at `offset` is the one whose sums are `sums`; true at the WAL's start."""
    if offset <= WAL_HEADER_SIZE:
        return True
    head = os.pread(descriptor, FRAME_HEADER_SIZE, offset - header.frame_size)
    if len(head) < FRAME_HEADER_SIZE:
        return False
    fields = struct.unpack(">6I", head)
    return fields[2:4] == header.salts and fields[4:6] == sums
