"""Which frames a large segment holds, told behind its LZ4 frame, so that a look reads those alone that it needs.

It lies in a skippable frame as the table of a snapshot does (blocks.py), which every LZ4 reader passes over. It comes
from outside, and is believed only if it fits the object to the byte and goes on where the WAL before it ends: by salts
and by the running checksum. A page is not believed for it: its frame has to have the checksum that SQLite gave it,
which continues that of the frame before. Pure: bytes in, values out.

Layout, little-endian, in words of 4 bytes if nothing else is said:

    _MARK
    each frame                     its page; then, again for each frame, the first word of its checksum
    each commit                    number of its last frame, pages of the database, second word of the checksum
    each frame of the first page   number of the frame, and a checksum of what is no counter in that page
    each LZ4 block                 its stored size and its size
    the header of the WAL          32 bytes
    _FOOTER                        how many frames, commits, frames of the first page and blocks there are; the offset
                                   of the segment; the running checksum before and after it, two words each; where the
                                   first block begins (8 bytes); the CRC-32 of all that; _END (8 bytes)
"""

import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from replication.position import OFFSET_LIMIT_BYTES
from replication.sqlite.checksum import Sums
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, sum_of_first_page
from replication.sqlite.wal import Frames, WALHeader
from replication.storage.blocks import BLOCK_BYTES_MAX, LENGTH_BYTES, BlockTable

INDEXED_BYTES_MIN = 1 << 20
"""A segment of less content has no frame index: it is read whole."""
INDEX_SHARE = 50
"""One part in so many of a stored segment may be its frame index; a larger one is left away."""
TAIL_SHARE = 200
"""One part in so many of a segment is read at its end for its index, and TAIL_BYTES_MIN; a longer one takes a second
read. Of text the index takes one part in 250."""
TAIL_BYTES_MIN = 2 << 10
INDEX_BYTES_MAX = 64 << 20
_MAGIC = 0x184D2A5D
_MARK = b"litestream-tui frames\0"
_END = b"ltframes"
_FOOTER = struct.Struct("<4I5IQI8s")
_HEADER_SIZE = 8
_AFTER_BLOCKS = 8
"""End mark and checksum of the content."""
_FIXED = _HEADER_SIZE + len(_MARK) + WAL_HEADER_SIZE + _FOOTER.size
_FRAME, _COMMIT, _FIRST, _BLOCK = 8, 12, 8, 8
"""Bytes that each takes."""


@dataclass(frozen=True, eq=False, slots=True)
class FrameIndex:
    """The frames of a segment that begins at `offset` of its WAL. `heads` are their headers, one a row.

    Of these the second word of the checksum is known of commits and of the last frame; it is 0 in others. `firsts` has
    the frames of the first page, with a checksum of what is no counter there.
    """

    header: WALHeader
    offset: int
    before: Sums
    after: Sums
    heads: NDArray[np.uint8]
    pages: NDArray[np.uint32]
    commits: NDArray[np.uint32]
    firsts: tuple[tuple[int, int], ...]
    blocks: BlockTable

    @property
    def begin(self) -> int:
        """Where the first frame begins in the WAL."""
        return self.offset or WAL_HEADER_SIZE

    @property
    def length(self) -> int:
        """Bytes of the content."""
        return self.blocks.length

    def frames(self) -> Frames:
        """All of them as verified frames without their pages."""
        last = np.flatnonzero(self.commits)
        committed = int(last[-1]) + 1 if len(last) else 0
        sums = struct.unpack(">2I", self.heads[committed - 1, 16:].tobytes()) if committed else self.before
        size = int(self.commits[committed - 1]) if committed else 0
        return Frames(
            self.heads, self.pages, self.commits, len(self.pages), committed, self.after, (sums[0], sums[1]), size
        )


@dataclass(slots=True)
class FrameIndexBuilder:
    """Takes the blocks of a segment in order, each of whole frames, the first behind the header of the WAL if there is
    one. `before` is the running checksum before the first frame."""

    header: WALHeader
    offset: int
    before: Sums
    _heads: list[NDArray[np.uint8]] = field(default_factory=list)
    _firsts: list[tuple[int, int]] = field(default_factory=list)
    _blocks: list[tuple[int, int]] = field(default_factory=list)
    _start: int = 0
    _count: int = 0
    _is_whole: bool = True

    def add(self, start: int, stored: int, content: bytes | memoryview) -> None:
        """Take a block whose length lies at `start`, and which is stored in so many bytes."""
        skip = WAL_HEADER_SIZE if not self._blocks and not self.offset else 0
        self._start = self._start if self._blocks else start
        self._blocks.append((stored, len(content)))
        if (len(content) - skip) % self.header.frame_size:
            self._is_whole = False
            return
        rows = np.frombuffer(content, dtype=np.uint8, offset=skip).reshape(-1, self.header.frame_size)
        heads = rows[:, :FRAME_HEADER_SIZE].copy()
        self._heads.append(heads)
        for row in np.flatnonzero(_words(heads, 0) == 1).tolist():
            self._firsts.append((self._count + row, sum_of_first_page(rows[row, FRAME_HEADER_SIZE:].tobytes())))
        self._count += len(heads)

    def encode(self) -> bytes:
        """Return the frame that holds the index; nothing if it would not fit, or be too large for what is stored."""
        if not self._is_whole or not self._count:
            return b""
        heads = np.concatenate(self._heads)
        rows = np.flatnonzero(_words(heads, 4)).astype(np.uint32)
        commits = np.stack([rows, _words(heads[rows], 4), _words(heads[rows], 20)], axis=1)
        arrays = (_words(heads, 0), _words(heads, 16), commits, np.array(self._firsts), np.array(self._blocks))
        body = _MARK + b"".join(array.astype("<u4").tobytes() for array in arrays) + self.header.pack()
        numbers = (self._count, len(rows), len(self._firsts), len(self._blocks))
        after = struct.unpack(">2I", heads[-1, 16:].tobytes())
        body += struct.pack("<4I5IQ", *numbers, self.offset, *self.before, *after, self._start)
        body += struct.pack("<I8s", zlib.crc32(body), _END)
        stored = sum(size for size, _ in self._blocks)
        if len(body) > min(stored // INDEX_SHARE, INDEX_BYTES_MAX - _HEADER_SIZE):
            return b""
        return struct.pack("<II", _MAGIC, len(body)) + body


def tail_bytes(stored: int) -> int:
    """Return how many bytes of the end of a segment are read first."""
    return TAIL_BYTES_MIN + stored // TAIL_SHARE


def size_at_end(tail: bytes) -> int | None:
    """Return how many bytes of the end of a segment its index takes; None if it has none."""
    if len(tail) < _FOOTER.size:
        return None
    frames, commits, firsts, blocks, *_, end = _FOOTER.unpack_from(tail, len(tail) - _FOOTER.size)
    size = _FIXED + _FRAME * frames + _COMMIT * commits + _FIRST * firsts + _BLOCK * blocks
    return size if end == _END and size <= INDEX_BYTES_MAX else None


def decode(tail: bytes, length: int) -> FrameIndex | None:
    """Return the index in the last bytes of a segment of `length` bytes; None if that is none, or not of this one."""
    size = size_at_end(tail)
    if size is None or size > len(tail):
        return None
    frame = tail[-size:]
    magic, body_size = struct.unpack_from("<II", frame)
    if magic != _MAGIC or body_size != size - _HEADER_SIZE or not frame.startswith(_MARK, _HEADER_SIZE):
        return None
    *numbers, offset, b0, b1, a0, a1, start, check, _ = _FOOTER.unpack_from(frame, size - _FOOTER.size)
    if zlib.crc32(frame[_HEADER_SIZE : size - 12]) != check:
        return None
    reader = _Reader(frame, _HEADER_SIZE + len(_MARK))
    count, commit_count, first_count, block_count = numbers
    pages, sums = reader.take(count), reader.take(count)
    commits = reader.take(3 * commit_count).reshape(-1, 3)
    firsts = reader.take(2 * first_count).reshape(-1, 2)
    blocks = reader.take(2 * block_count).reshape(-1, 2)
    try:
        header = WALHeader.parse(frame[reader.at : reader.at + WAL_HEADER_SIZE])
    except ValueError:
        return None
    table = _table(blocks, start)
    expected = count * header.frame_size + (0 if offset else WAL_HEADER_SIZE)
    if (
        not count
        or table is None
        or table.length != expected
        or offset + expected > OFFSET_LIMIT_BYTES
        or not pages.all()
        or not _are_rows(commits[:, 0], count)
        or not commits[:, 1].all()
        or not np.array_equal(firsts[:, 0], np.flatnonzero(pages == 1))
        or table.span(0, table.count)[1] + start + _AFTER_BLOCKS + size != length
    ):
        return None
    ends = np.zeros(count, dtype=np.uint32)
    ends[commits[:, 0]] = commits[:, 1]
    seconds = np.zeros(count, dtype=np.uint32)
    seconds[commits[:, 0]] = commits[:, 2]
    seconds[-1] = a1
    words = np.empty((count, 6), dtype=">u4")
    words[:, 0], words[:, 1], words[:, 2:4], words[:, 4], words[:, 5] = pages, ends, header.salts, sums, seconds
    if int(sums[-1]) != a0:
        return None
    heads = words.view(np.uint8).reshape(count, FRAME_HEADER_SIZE)
    rows = tuple((int(row), int(total)) for row, total in firsts)
    return FrameIndex(header, offset, (b0, b1), (a0, a1), heads, pages, ends, rows, table)


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int

    def take(self, count: int) -> NDArray[np.uint32]:
        found = np.frombuffer(self.data, dtype="<u4", count=count, offset=self.at).astype(np.uint32)
        self.at += 4 * count
        return found


def _table(blocks: NDArray[np.uint32], start: int) -> BlockTable | None:
    stored, sizes = blocks[:, 0], blocks[:, 1]
    if not len(blocks) or not ((sizes > 0) & (sizes <= BLOCK_BYTES_MAX) & (stored > 0) & (stored <= sizes)).all():
        return None
    steps = stored.astype(np.uint64) + np.uint64(LENGTH_BYTES)
    starts = np.concatenate([np.array([start], dtype=np.uint64), start + np.cumsum(steps)]).astype(np.uint64)
    offsets = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(sizes.astype(np.uint64))]).astype(np.uint64)
    return BlockTable(starts[:-1], stored.copy(), offsets, None)


def _are_rows(rows: NDArray[np.uint32], count: int) -> bool:
    return bool((rows < count).all() and (rows[1:] > rows[:-1]).all())


def _words(heads: NDArray[np.uint8], at: int) -> NDArray[np.uint32]:
    return heads[:, at : at + 4].copy().view(">u4")[:, 0].astype(np.uint32)
