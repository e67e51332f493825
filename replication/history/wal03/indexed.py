"""What a replay writes to where no file is made: not the pages, but where in the replica each of them lies.

    a restore       replay --frames--> a file
    a timeline      replay --frames--> IndexedFile: an index of the frames, over the snapshot in the store

Its promise: a page that it gives is what the file would have there after the same frames. It keeps the newest pages in
memory, as they were when they were proven; others are read again from their segment, and must be in the same frame.
"""

import struct
from bisect import bisect_right
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from replication.errors import CorruptObjectError
from replication.history.versions import ZEROS, FrameAt, Place, Versions, place_of, position_of
from replication.history.wal03.parts import Parts, Source
from replication.position import Position
from replication.restore.apply import page_size_of
from replication.restore.wal03.plan import Plan
from replication.sqlite.checksum import Sums
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sum_of_first_page
from replication.sqlite.wal import WALHeader, frames_in
from replication.storage.blocks import BlockTable
from replication.storage.wal03.frame_index import FrameIndex
from replication.storage.wal03.names import SegmentInfo

KEPT_BYTES_MAX = 32 << 20
"""Pages of WAL that are kept; others are read again when they are asked for."""
_HEADER_SIZE = 100
_PAGE, _CHECKSUM = slice(0, 4), slice(16, 20)


class IndexedFile:
    """The database of a plan, from its snapshot on. Reading raises CorruptObjectError, StorageError and cancelling."""

    def __init__(self, plan: Plan, parts: Parts, address: str) -> None:
        info = plan.snapshot.info
        self.parts = parts
        self._plan = plan
        sign = f"{address} {info.name} {info.size} {info.created.isoformat()}"
        self._snapshot = Source(info.name, info.size, sign)
        self._segments = plan.segments
        self.first_page: list[Place] = []
        """Where frames of the first page begin that change more of it than counters and sizes."""
        self._first_sum = -1
        self._indexes: dict[str, tuple[WALHeader, int, Sums, BlockTable]] = {}
        """Segments of which only the frame index was read: WAL header, where they begin, checksum before, blocks."""
        self.starts = [place_of(item.position) for item in plan.segments]
        self._kept: OrderedDict[Place, bytes] = OrderedDict()
        self._end: Place = 0
        self.page_size = page_size_of(info.name, parts.read(self._snapshot, 0, _HEADER_SIZE))
        length = parts.length(self._snapshot)
        note = plan.snapshot.note
        if note is not None and (note.page_size, note.pages * note.page_size) != (self.page_size, length):
            raise CorruptObjectError(
                info.name,
                f"it holds {length} bytes with pages of {self.page_size}, and its note says {note.pages} pages of "
                f"{note.page_size}",
            )
        self.base_pages = self.pages = -(-length // self.page_size)
        self.versions = Versions(self.page_size)

    @property
    def size(self) -> int:
        return self.pages * self.page_size

    def read_page(self, number: int) -> bytes:
        return self.page_at(number, self._end) if 0 < number <= self.pages else b""

    def write_frames(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], at: Position) -> None:
        begin = place_of(at)
        self.versions.add(rows, pages, begin)
        self._end = begin + len(rows) * rows.shape[1]
        self.pages = max(self.pages, int(pages.max()))
        for row in np.flatnonzero(pages == 1).tolist():
            self._see_first_page(
                begin + row * rows.shape[1], sum_of_first_page(rows[row, FRAME_HEADER_SIZE:].tobytes())
            )
        self._keep(rows, pages, begin)

    def take_indexed(self, segment: SegmentInfo, index: FrameIndex, rows: slice, at: Position) -> None:
        """As write_frames, for frames of which only the index was read: their pages are read once they are needed."""
        begin, size = place_of(at), index.header.frame_size
        self._indexes[segment.name] = (index.header, index.offset, index.before, index.blocks)
        self.versions.add(index.heads[rows], index.pages[rows], begin)
        count = rows.stop - rows.start
        self._end = begin + count * size
        self.pages = max(self.pages, int(index.pages[rows].max()))
        for row, total in index.firsts:
            if rows.start <= row < rows.stop:
                self._see_first_page(begin + (row - rows.start) * size, total)

    def _see_first_page(self, at: Place, total: int) -> None:
        if total != self._first_sum:
            self.first_page.append(at)
            self._first_sum = total

    def resize(self, pages: int) -> None:
        self.pages = pages
        self.versions.cut(self._end, pages)

    def page_at(self, number: int, end: Place) -> bytes:
        """A page as it is when all frames up to a place have been written."""
        frame = self.versions.frame_of(number, end)
        if frame is ZEROS:
            return bytes(self.page_size)
        if frame is not None:
            return self._kept_frame(number, frame)
        found = self.parts.read(self._snapshot, (number - 1) * self.page_size, self.page_size)
        return found + bytes(self.page_size - len(found))

    def _kept_frame(self, number: int, frame: FrameAt) -> bytes:
        """The page in a frame. Whoever looks at the next commit reads most of the same ones."""
        found = self._kept.get(frame.place)
        if found is None:
            found = self._kept[frame.place] = self._frame(number, frame)
            self._forget()
        self._kept.move_to_end(frame.place)
        return found

    def _keep(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], begin: Place) -> None:
        """Remember the last version of each page among these frames, for as long as there is room."""
        _, last = np.unique(pages[::-1], return_index=True)
        for row in (len(pages) - 1 - last).tolist():
            self._kept[begin + row * rows.shape[1]] = rows[row, FRAME_HEADER_SIZE:].tobytes()
        self._forget()

    def _forget(self) -> None:
        while len(self._kept) * self.page_size > KEPT_BYTES_MAX and len(self._kept) > 1:
            self._kept.popitem(last=False)

    def _frame(self, number: int, frame: FrameAt) -> bytes:
        """The page in a frame, read again from its segment."""
        segment = self._segments[bisect_right(self.starts, frame.place) - 1]
        offset = position_of(self._plan.generation, frame.place).offset - segment.offset
        if segment.name in self._indexes:
            return self._indexed_frame(segment, number, frame, offset)
        source = Source(segment.name, segment.size)
        data = self.parts.read(source, offset, FRAME_HEADER_SIZE + self.page_size)
        page, checksum = int.from_bytes(data[_PAGE], "big"), int.from_bytes(data[_CHECKSUM], "big")
        if len(data) != FRAME_HEADER_SIZE + self.page_size or (page, checksum) != (number, frame.checksum):
            raise CorruptObjectError(segment.name, "it was written anew while it was read")
        return data[FRAME_HEADER_SIZE:]

    def _indexed_frame(self, segment: SegmentInfo, number: int, frame: FrameAt, offset: int) -> bytes:
        """The page from a segment of which only the frame index was read: its frame is verified now, as SQLite does."""
        header, begin, sums, table = self._indexes[segment.name]
        source = Source(segment.name, segment.size, table=table)
        if offset > (0 if begin else WAL_HEADER_SIZE):
            # Its checksum continues that of the frame before.
            before = self.parts.read(source, offset - header.frame_size, FRAME_HEADER_SIZE)
            first, second = struct.unpack(">2I", before[-8:])
            sums = (first, second)
        frames = frames_in(self.parts.read(source, offset, header.frame_size), header, sums)
        if not frames.count or (int(frames.pages[0]), frames.sums[0]) != (number, frame.checksum):
            raise CorruptObjectError(
                segment.name, f"the frame at {offset} of its content does not continue the chain of checksums there"
            )
        return frames.rows[0, FRAME_HEADER_SIZE:].tobytes()


class SnapshotFile:
    """The file as the snapshot has it, before all WAL. It can only be read."""

    def __init__(self, file: IndexedFile) -> None:
        self._file = file
        self.page_size = file.page_size
        self.size = file.base_pages * file.page_size

    def read_page(self, number: int) -> bytes:
        return self._file.page_at(number, 0) if 0 < number <= self._file.base_pages else b""

    def write_frames(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], at: Position) -> None:
        raise NotImplementedError

    def resize(self, pages: int) -> None:
        raise NotImplementedError
