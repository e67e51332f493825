"""Cutting segments from the shadow WAL: where one ends, and its bytes.

A segment is everything between the replica's position and the end of what is committed, up to a size; it ends at
a commit whenever one lies within that size.
"""

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from replication.errors import LocalFileError
from replication.local.folder import LocalFile
from replication.position import Position
from replication.replica.source import Arrivals
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader, align
from replication.storage.wal03.frame_index import INDEXED_BYTES_MIN, FrameIndexBuilder
from replication.storage.wal03.notes import thinned

SEGMENT_BYTES_MAX = 32 << 20
"""Uncompressed bytes of a segment, unless the first one after a snapshot must be larger."""

_READ_BYTES = 1 << 20


@contextmanager
def local_files() -> Iterator[None]:
    """A block in which an OSError is about a local file. Stores have errors of their own."""
    try:
        yield
    except OSError as error:
        raise LocalFileError(f"cannot read {error.filename or 'the shadow WAL'}: {error.strerror}") from None


def cut(file: LocalFile, start: int, end: int, floor: int) -> int:
    """Where the segment of the shadow `file` that begins at `start` ends, given that all is committed to `end`.

    Where the index has a snapshot already, its first segment must reach `floor`, the commit that the snapshot holds,
    whatever its size: what a replica has sent is never behind its newest snapshot.
    """
    if end - start <= SEGMENT_BYTES_MAX:
        return end
    # The file's own, for an older generation may be of a database with other pages.
    with file.opened() as shadow:
        page_size = WALHeader.parse(os.pread(shadow, WAL_HEADER_SIZE, 0)).page_size
    last = align(max(start + SEGMENT_BYTES_MAX, floor), page_size)
    if last >= end:
        return end
    if floor > start:
        return max(last, align(floor, page_size))
    return _last_commit(file, max(start, WAL_HEADER_SIZE), last, page_size) or last


def seen(arrivals: Arrivals, start: Position, end: int, now: float) -> tuple[tuple[int, int], ...]:
    """Return, for the note of a segment, the end of each commit in it and how many milliseconds ago it was copied.

    `now` is of the monotonic clock.
    """
    copies = arrivals.between(start, replace(start, offset=end))
    return thinned([(at.offset, max(0, int((now - time) * 1000))) for at, time in copies])


def frame_indexer(file: LocalFile, start: int, end: int) -> FrameIndexBuilder | None:
    """Return what makes the frame index of a segment of a shadow file, if it is large enough to have one.

    One that is larger than segments are, as where it must reach a snapshot, has none: what is kept is bounded.
    """
    if not INDEXED_BYTES_MIN <= end - start <= SEGMENT_BYTES_MAX + WAL_HEADER_SIZE:
        return None
    with file.opened() as shadow:
        header = WALHeader.parse(os.pread(shadow, WAL_HEADER_SIZE, 0))
        before = header.sums
        if start > WAL_HEADER_SIZE:
            # The last word of the header of the frame before.
            at = start - header.frame_size + FRAME_HEADER_SIZE - 8
            first, second = struct.unpack(">2I", os.pread(shadow, 8, at))
            before = (first, second)
    return FrameIndexBuilder(header, start, before)


def read_range(
    file: LocalFile, start: int, end: int, told: Callable[[int], None], frames: FrameIndexBuilder | None = None
) -> Iterator[bytes]:
    """Yield the bytes [start, end) of a file, and call `told` with the length of each piece.

    Pieces are of whole frames where there is somebody to make an index of them.
    """
    with file.opened() as descriptor:
        offset = start
        while offset < end:
            size = _READ_BYTES
            if frames is not None:
                size = align(offset + _READ_BYTES, frames.header.page_size) - offset
            piece = os.pread(descriptor, min(size, end - offset), offset)
            if not piece:
                raise OSError(f"{file} ends at {offset}, before {end}")
            offset += len(piece)
            told(len(piece))
            yield piece


def _last_commit(file: LocalFile, start: int, end: int, page_size: int) -> int | None:
    """The end of the last commit frame in [start, end), or None if there is none."""
    frame_size = FRAME_HEADER_SIZE + page_size
    with file.opened() as descriptor, os.fdopen(os.dup(descriptor), "rb") as shadow:
        rows = np.memmap(shadow, np.uint8, "r", start, ((end - start) // frame_size, frame_size))
    commits = np.flatnonzero(rows[:, 4:8].any(axis=1))
    return start + (int(commits[-1]) + 1) * frame_size if len(commits) else None
