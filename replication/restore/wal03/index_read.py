"""One life of the WAL while it is read back: how far it was read, how far it is committed, how far it is written.

    |------w--------c----e       w written to the file, c the last commit that counts, e the end of what was read

What lies between w and c waits in runs, to be written a block at a time; what lies after c is of a transaction that
has not ended so far. Its promise: `verified` yields only frames that continue the chain of checksums.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from replication.errors import CorruptObjectError
from replication.restore.wal03.segment_run import SegmentRun
from replication.sqlite.checksum import WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import Frames, WALHeader, frames_in
from replication.storage.wal03.frame_index import FrameIndex

BLOCK_BYTES = 8 << 20
"""About how many bytes of frames are verified and written at a time."""


@dataclass(slots=True)
class IndexRead:
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

    @property
    def block_size(self) -> int:
        """Bytes of the whole frames in a block: one at least."""
        return max(1, BLOCK_BYTES // self.header.frame_size) * self.header.frame_size

    @property
    def torn(self) -> bool:
        """True if it ends within a transaction."""
        return self.end > max(self.committed, WAL_HEADER_SIZE)

    def verified(self, run: SegmentRun) -> Iterator[tuple[int, Frames]]:
        """The frames of segments that continue the index, in blocks, with the offset of each.

        Raises CorruptObjectError at the first frame that does not continue the chain.
        """
        size, sums = self.header.frame_size, self.sums
        if run.frame_index is not None:
            # Whoever reads a page of it verifies that.
            yield run.frame_index.begin, run.frame_index.frames()
            return
        at = 0 if run.info.offset else WAL_HEADER_SIZE
        while at < run.length:
            start = run.info.offset + at
            data = run.read_at(at, min(self.block_size, run.length - at))
            frames = frames_in(data, self.header, sums)
            if frames.count * size < len(data) or not frames.pages.all():
                bad = frames.count if frames.count * size < len(data) else int(np.argmin(frames.pages))
                raise CorruptObjectError(
                    run.info.name,
                    f"the frame at offset {start + bad * size} of index {self.number:08x} does not continue the chain "
                    "of checksums from the start of its WAL",
                )
            yield start, frames
            sums = frames.sums
            at += len(data)

    def goes_on_with(self, found: FrameIndex) -> bool:
        """True if the frames of an index that was read in place of a segment continue the chain."""
        return (found.header, found.before) == (self.header, self.sums)

    def indexed_from(self, offset: int) -> SegmentRun | None:
        """The first waiting run past an offset of which only the index was read."""
        return next((run for run in self.waiting if run.frame_index is not None and offset < run.end), None)

    def content(self, begin: int, end: int) -> bytes:
        """The frames of waiting runs from one offset to another."""
        return b"".join(
            run.read_at(max(begin, run.info.offset) - run.info.offset, min(end, run.end) - max(begin, run.info.offset))
            for run in self.waiting
            if run.info.offset < end and begin < run.end
        )
