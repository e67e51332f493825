"""Where each LZ4 block of an object lies, so that a part of its content costs one read of a range.

Our snapshots bring this table behind their LZ4 frame, in a skippable frame of their own (magic 0x184D2A5D), which every
LZ4 reader passes over. That of any other object is made while it streams through. A table comes from outside: it is
believed only if it fits the object to the byte, and each block that is read has to have the checksum that the table
says. Pure: bytes in, values out. Offsets are in what the codec was given (codec.py), not in stored bytes.

Layout, little-endian: mark, then for each block stored size, size and CRC-32 of its content, 4 bytes each; then the
number of blocks (4), where the first begins (8), the CRC-32 of all that (4), and the end mark (8).
"""

import struct
import zlib
from array import array
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BLOCKS_MAX = 4 << 20
"""With more blocks (4 TiB of a database) a snapshot has no table: it may take 48 MiB."""
BLOCK_BYTES_MAX = 4 << 20
"""The largest block of the LZ4 frame format."""
TAIL_BYTES = 64 << 10
"""So much of the end of an object is read for its table; a longer one takes a second read."""
LENGTH_BYTES = 4
"""Before each block its stored size, of which the top bit says that it is not compressed."""
STORED_PLAIN = 1 << 31
_MAGIC = 0x184D2A5D
_MARK = b"litestream-tui blocks\0"
_END = b"ltblocks"
_FOOTER = struct.Struct("<IQI8s")
_HEADER_SIZE = 8
_AFTER_BLOCKS = 8
"""End mark and checksum of the content."""


@dataclass(frozen=True, eq=False, slots=True)
class BlockTable:
    """All blocks of an object, in order. `starts` are where their lengths lie, `offsets` where their content begins.

    `sizes` are stored sizes without the length, `sums` the CRC-32 of each content. `offsets` has one more: the end.
    """

    starts: NDArray[np.uint64]
    sizes: NDArray[np.uint32]
    offsets: NDArray[np.uint64]
    sums: NDArray[np.uint32] | None
    """None where content has checksums of its own, by which who reads it has to know it."""

    @property
    def count(self) -> int:
        return len(self.sizes)

    @property
    def length(self) -> int:
        """Bytes of the content."""
        return int(self.offsets[-1])

    def block_of(self, offset: int) -> int:
        """The number of the block that has a byte of the content; `offset` is below `length`."""
        return int(np.searchsorted(self.offsets, offset, side="right")) - 1

    def span(self, first: int, count: int) -> tuple[int, int]:
        """Where so many blocks lie, with their lengths: an offset and a size."""
        last = first + count - 1
        start = int(self.starts[first])
        return start, int(self.starts[last]) + LENGTH_BYTES + int(self.sizes[last]) - start

    def is_within(self, stored: int) -> bool:
        """Return True if it can be a table of an object of so many stored bytes."""
        ends = self.starts + np.uint64(LENGTH_BYTES) + self.sizes
        steps = self.offsets[1:] - self.offsets[:-1]
        return bool(
            self.offsets[0] == 0
            and ((steps > 0) & (steps <= BLOCK_BYTES_MAX)).all()
            and ((self.sizes > 0) & (self.sizes <= steps)).all()
            and (self.starts[1:] >= ends[:-1]).all()
            and int(ends[-1]) <= stored
        )

    def fits(self, data: bytes, block: int) -> bool:
        """True if this is the content of a block."""
        size = int(self.offsets[block + 1]) - int(self.offsets[block])
        return len(data) == size and (self.sums is None or zlib.crc32(data) == int(self.sums[block]))


@dataclass(slots=True)
class TableBuilder:
    """Takes the blocks of an object in order. `rows` has 12 bytes for each."""

    rows: "array[int]" = field(default_factory=lambda: array("I"))
    starts: "array[int]" = field(default_factory=lambda: array("Q"))

    def add(self, start: int, stored: int, content: bytes | memoryview) -> None:
        """A block whose length lies at `start`, and which is stored in so many bytes."""
        self.starts.append(start)
        self.rows.extend((stored, len(content), zlib.crc32(content)))

    @property
    def count(self) -> int:
        return len(self.starts)

    def table(self) -> BlockTable:
        """What was added."""
        return _table(np.array(self.rows, dtype=np.uint32).reshape(-1, 3), np.array(self.starts, dtype=np.uint64))

    def encode(self) -> bytes:
        """The frame that holds the table; nothing if there are too many blocks, or none."""
        if not 0 < self.count <= BLOCKS_MAX:
            return b""
        body = _MARK + np.array(self.rows, dtype="<u4").tobytes()
        body += struct.pack("<IQ", self.count, self.starts[0])
        body += struct.pack("<I8s", zlib.crc32(body), _END)
        return struct.pack("<II", _MAGIC, len(body)) + body


class Behind(Protocol):
    """What follows an object: made of its blocks, in order."""

    def add(self, start: int, stored: int, content: bytes | memoryview) -> None:
        """Take a block whose length lies at `start`, and which is stored in so many bytes."""

    def encode(self) -> bytes:
        """Return the skippable frame that follows, or nothing."""


def tabulate(builder: Behind, at: int, piece: bytes, content: bytes | memoryview, block_bytes: int) -> None:
    """Add the blocks that a compressor made of `content`; they lie in `piece`, which begins at `at` in the object."""
    begin = place = 0
    while place < len(piece):
        stored = int.from_bytes(piece[place : place + LENGTH_BYTES], "little") & ~STORED_PLAIN
        block = content[begin : begin + block_bytes]
        builder.add(at + place, stored, block)
        begin, place = begin + len(block), place + LENGTH_BYTES + stored
    assert begin == len(content), "the compressor keeps nothing back"


def size_at_end(tail: bytes) -> int | None:
    """How many bytes of the end of an object its table takes; None if it has none."""
    if len(tail) < _FOOTER.size:
        return None
    count, _, _, end = _FOOTER.unpack_from(tail, len(tail) - _FOOTER.size)
    return _size(count) if end == _END and 0 < count <= BLOCKS_MAX else None


def decode(tail: bytes, length: int) -> BlockTable | None:
    """The table in the last bytes of an object of `length` bytes; None if that is none, or not of this object."""
    size = size_at_end(tail)
    if size is None or size > len(tail):
        return None
    frame = tail[-size:]
    count, first, check, _ = _FOOTER.unpack_from(frame, size - _FOOTER.size)
    magic, body_size = struct.unpack_from("<II", frame)
    if magic != _MAGIC or body_size != size - _HEADER_SIZE or not frame.startswith(_MARK, _HEADER_SIZE):
        return None
    if zlib.crc32(frame[_HEADER_SIZE : size - 12]) != check:
        return None
    rows = np.frombuffer(frame, dtype="<u4", count=3 * count, offset=_HEADER_SIZE + len(_MARK)).reshape(-1, 3)
    if not ((rows[:, 1] > 0) & (rows[:, 1] <= BLOCK_BYTES_MAX) & (rows[:, 0] > 0) & (rows[:, 0] <= rows[:, 1])).all():
        return None
    steps = rows[:, 0].astype(np.uint64) + np.uint64(LENGTH_BYTES)
    starts = np.concatenate([np.array([first], dtype=np.uint64), first + np.cumsum(steps)]).astype(np.uint64)
    if int(starts[-1]) + _AFTER_BLOCKS + size != length:
        return None
    return _table(rows, starts[:-1])


def _table(rows: NDArray[np.uint32], starts: NDArray[np.uint64]) -> BlockTable:
    offsets = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(rows[:, 1].astype(np.uint64))]).astype(np.uint64)
    return BlockTable(starts, rows[:, 0].copy(), offsets, rows[:, 2].copy())


def _size(count: int) -> int:
    return _HEADER_SIZE + len(_MARK) + 12 * count + _FOOTER.size


def pack(table: BlockTable) -> bytes:
    """A table for a file of its own, which is no object."""
    assert table.sums is not None, "that of a snapshot has them"
    body = struct.pack("<Q", table.count)
    body += b"".join(rows.astype("<u8").tobytes() for rows in (table.starts, table.offsets))
    body += b"".join(rows.astype("<u4").tobytes() for rows in (table.sizes, table.sums))
    return body + struct.pack("<I", zlib.crc32(body))


def unpack(data: bytes) -> BlockTable | None:
    """What `pack` made a file of; None for anything else."""
    if len(data) < 12 or zlib.crc32(data[:-4]) != struct.unpack_from("<I", data, len(data) - 4)[0]:
        return None
    count = struct.unpack_from("<Q", data)[0]
    if not 0 < count <= BLOCKS_MAX or len(data) != 8 + 24 * count + 8 + 4:
        return None
    wide = np.frombuffer(data, dtype="<u8", count=2 * count + 1, offset=8).astype(np.uint64)
    narrow = np.frombuffer(data, dtype="<u4", count=2 * count, offset=16 + 16 * count).astype(np.uint32)
    return BlockTable(wide[:count], narrow[:count], wide[count:], narrow[count:])
