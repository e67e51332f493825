"""One index of a WAL while its segments are read: how far it is, and its verified frames, in blocks of bounded size.

Of a segment of which only the index of frames was read, the frames are those that it tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from replication.errors import CorruptObjectError
from replication.restore.wal03.segment_run import SegmentRun
from replication.sqlite.checksum import WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import Frames, WALHeader, frames_in

BLOCK_BYTES = 8 << 20
"""About how many bytes of frames are verified and written at a time."""


@dataclass(slots=True)
class Index:
    """One WAL index while it is read. Offsets are in bytes of the WAL, as positions have them.

    `end` is how far it was read, `committed` the end of its last commit that counts, `written` how far it is
    in the file, `mark` that of the last frame read; `waiting` has the runs with frames that are not written yet.
    """

    number: int
    header: WALHeader
    sums: Sums
    end: int = 0
    committed: int = 0
    written: int = WAL_HEADER_SIZE
    pages: int = 0
    mark: str = ""
    waiting: list[SegmentRun] = field(default_factory=list)


def blocks(run: SegmentRun, index: Index) -> Iterator[tuple[int, Frames]]:
    """The verified frames of segments that continue the index, in blocks, with the offset of each.

    Raises CorruptObjectError at the first frame that does not continue the chain.
    """
    size, sums = index.header.frame_size, index.sums
    if run.index is not None:
        yield run.index.begin, run.index.frames()
        return
    at = 0 if run.info.offset else WAL_HEADER_SIZE
    while at < run.length:
        start = run.info.offset + at
        data = run.read_at(at, min(block_size(size), run.length - at))
        frames = frames_in(data, index.header, sums)
        if frames.count * size < len(data) or not frames.pages.all():
            bad = frames.count if frames.count * size < len(data) else int(np.argmin(frames.pages))
            raise CorruptObjectError(
                run.info.name,
                f"the frame at offset {start + bad * size} of index {index.number:08x} does not continue the chain "
                "of checksums from the start of its WAL",
            )
        yield start, frames
        sums = frames.sums
        at += len(data)


def content_between(index: Index, begin: int, end: int) -> bytes:
    """The frames of waiting runs from one offset to another."""
    return b"".join(
        run.read_at(max(begin, run.info.offset) - run.info.offset, min(end, run.end) - max(begin, run.info.offset))
        for run in index.waiting
        if run.info.offset < end and begin < run.end
    )


def block_size(frame_size: int) -> int:
    return max(1, BLOCK_BYTES // frame_size) * frame_size
