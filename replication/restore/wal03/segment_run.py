"""Segments of one WAL index as they were fetched: decompressed one after the other into one buffer.

Many small segments cost little more than a large one then: one buffer, one look at all checksums, one write of a
page that each of them changed. Whether they continue each other is for replay.py to say.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from replication.errors import ReplicationError
from replication.storage.wal03.frame_index import FrameIndex
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.notes import SegmentNote


@dataclass(frozen=True, slots=True)
class SegmentRun:
    """At least one segment, in the order of their offsets, each with a right LZ4 checksum.

    `lengths` are those of the contents, which lie in `content` from `at` on. `note` is that of the first segment.
    `failure` says why the one after the last could not be read. Close it to give its space back.

    A large segment may come alone, with its `frame_index` and without the frames. Then `content` has only the WAL
    header, if the segment begins with that, and `whole` fetches all of it where that does not do.
    """

    infos: Sequence[SegmentInfo]
    lengths: Sequence[int]
    content: IO[bytes]
    note: SegmentNote | None
    at: int = 0
    failure: ReplicationError | None = None
    frame_index: FrameIndex | None = None
    whole: "Callable[[], SegmentRun] | None" = None

    @property
    def info(self) -> SegmentInfo:
        """The first segment."""
        return self.infos[0]

    @property
    def length(self) -> int:
        """Bytes of all contents."""
        return sum(self.lengths)

    @property
    def end(self) -> int:
        """The offset in the WAL at which it ends, if its segments continue each other."""
        return self.info.offset + self.length

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes of the joined contents from `offset`, fewer at the end."""
        self.content.seek(self.at + offset)
        return self.content.read(min(length, self.length - offset))

    def groups(self, size_max: int) -> Iterator["SegmentRun"]:
        """The run in parts of segments that continue each other by their offsets: as many as fit, or a larger one
        alone."""
        begin = at = size = 0
        for number, (info, length) in enumerate(zip(self.infos, self.lengths, strict=True)):
            if number > begin and (size + length > size_max or info.offset != self.infos[begin].offset + size):
                yield self._part(begin, number, at)
                begin, at, size = number, at + size, 0
            size += length
        yield self._part(begin, len(self.infos), at)

    def singles(self) -> Iterator["SegmentRun"]:
        """Each segment alone."""
        at = 0
        for number, length in enumerate(self.lengths):
            yield self._part(number, number + 1, at)
            at += length

    def close(self) -> None:
        """Let go of the content, which the parts of a run share."""
        self.content.close()

    def _part(self, begin: int, end: int, at: int) -> "SegmentRun":
        note = self.note if begin == 0 else None
        infos, lengths = self.infos[begin:end], self.lengths[begin:end]
        return SegmentRun(
            infos, lengths, self.content, note, self.at + at, frame_index=self.frame_index, whole=self.whole
        )
