"""The LZ4 blocks of an object one by one: all of them as they stream by, or some that were read by their range.

Its promise: content that it gives has been checked, that of a whole object by the checksum at its end, that of single
blocks by the table that was made of it or brought along. It leaves to the caller where the bytes come from.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import lz4.block
import lz4.frame

from replication.errors import CorruptObjectError
from replication.storage.blocks import BLOCK_BYTES_MAX, LENGTH_BYTES, STORED_PLAIN, BlockTable, TableBuilder
from replication.storage.container import SkipFrames, broken_frame, check_rest

_INDEPENDENT, _BLOCK_SUMS, _CONTENT_SIZE, _DICTIONARY = 1 << 5, 1 << 4, 1 << 3, 1
_FLAGS_AT = 4
_HEAD_SIZE = 7
_SUM_BYTES = 4


def scan(name: str, chunks: Iterable[bytes], builder: TableBuilder) -> Iterator[bytes]:
    """Yield the content of each block of an object, which `builder` has by then.

    Raises CorruptObjectError as `container.decompress`, at the end for a wrong checksum; and for blocks that need those
    before them, which neither this program nor Litestream writes.
    """
    frames = SkipFrames(name, chunks)
    source = iter(frames)
    decompressor = lz4.frame.LZ4FrameDecompressor()
    held = _Held(source)
    try:
        head = held.take(_HEAD_SIZE)
        if len(head) < _HEAD_SIZE:
            raise CorruptObjectError(name, "it ends in the middle of its LZ4 frame")
        flags = head[_FLAGS_AT]
        if not flags & _INDEPENDENT:
            raise CorruptObjectError(name, "its LZ4 blocks need those before them", "It can be restored, not read in.")
        more = 8 * bool(flags & _CONTENT_SIZE) + 4 * bool(flags & _DICTIONARY)
        decompressor.decompress(head + held.take(more))
        at = frames.skipped + _HEAD_SIZE + more
        sums = _SUM_BYTES * bool(flags & _BLOCK_SUMS)
        bytes_max = BLOCK_BYTES_MAX >> 2 * max(0, 7 - (head[_FLAGS_AT + 1] >> 4 & 7))
        while not decompressor.eof:
            length = held.take(LENGTH_BYTES)
            stored = int.from_bytes(length, "little") & ~STORED_PLAIN
            if len(length) < LENGTH_BYTES or stored > BLOCK_BYTES_MAX:
                raise CorruptObjectError(name, "it ends in the middle of its LZ4 frame")
            if not stored:
                # The end mark; the checksum of the content may follow.
                decompressor.decompress(length)
                if not decompressor.eof:
                    decompressor.decompress(held.take(_SUM_BYTES))
                break
            data = held.take(stored + sums)
            # Without a bound the binding stops where its first guess of the length does.
            content: bytes = decompressor.decompress(length + data, max_length=bytes_max)
            if len(data) < stored + sums or not content:
                raise CorruptObjectError(name, "it ends in the middle of its LZ4 frame")
            builder.add(at, stored, content)
            at += LENGTH_BYTES + stored + sums
            yield content
    except RuntimeError as error:
        raise broken_frame(name, error) from None
    if not decompressor.eof:
        raise CorruptObjectError(name, "it ends in the middle of its LZ4 frame")
    check_rest(name, chain((held.rest,), source))


def contents(name: str, table: BlockTable, first: int, count: int, data: bytes) -> Iterator[bytes]:
    """The contents of so many blocks, from what lies at their span. Raises CorruptObjectError."""
    begin = int(table.starts[first])
    for block in range(first, first + count):
        at = int(table.starts[block]) - begin
        length = int.from_bytes(data[at : at + LENGTH_BYTES], "little")
        stored = data[at + LENGTH_BYTES : at + LENGTH_BYTES + int(table.sizes[block])]
        try:
            content = stored
            if not length & STORED_PLAIN:
                size = int(table.offsets[block + 1]) - int(table.offsets[block])
                content = lz4.block.decompress(stored, uncompressed_size=size)
        except lz4.block.LZ4BlockError:
            content = b""
        if not table.fits(content, block):
            raise CorruptObjectError(name, "a block of it is not what its table says")
        yield content


class _Held:
    """Chunks of which so many bytes are taken at a time; `rest` is what is left of the last one."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.rest = b""

    def take(self, size: int) -> bytes:
        """The next so many bytes, fewer at the end."""
        parts, missing = [self.rest], size - len(self.rest)
        while missing > 0 and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            missing -= len(chunk)
        data = b"".join(parts) if len(parts) > 1 else parts[0]
        self.rest = data[size:]
        return data[:size]
