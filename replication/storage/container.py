"""The bytes of one object: an LZ4 frame as Litestream 0.3.13 writes it, with an optional note in front.

A snapshot has a table of its blocks behind it (blocks.py), in a skippable frame as well.

The frame has independent blocks, at most 1 MiB each where 0.3.13 has 4, so that readers need less memory, and a
content checksum; no block checksums, which 0.3.13 cannot read. A note is an LZ4 skippable frame (magic 0x184D2A5E)
before it, which every LZ4 reader passes over; it says what the name cannot, such as the exact commit that a
snapshot holds.
Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain

import lz4.frame

from replication.errors import CorruptObjectError
from replication.storage.blocks import Behind, tabulate
from replication.storage.note_fields import NoteFields

_NOTE_MAGIC = 0x184D2A5E
_SKIPPABLE_MAGICS = range(0x184D2A50, 0x184D2A60)
_NOTE_MARK = b"litestream-tui\0"
_NOTE_CRC_SIZE = 4
NOTE_SIZE_MAX = 4096
"""Bytes of the longest note, its 8-byte frame header included."""
ENCODED_MAX = 64
"""Notes whose encoded bytes are kept."""

_FRAME_HEADER_SIZE = 8
_FOLLOWED = "bytes follow the end of its LZ4 frame"
_BLOCK_BYTES = 1 << 20
_SMALL_BYTES = 64 * 1024
"""Content whose first piece is no longer has blocks of this size, which cost a reader less to make room for."""
CHECKSUM_SIZE = 4
"""Bytes of the checksum of its content, with which an object ends."""

_OUTPUT_CHUNK_BYTES = 1 << 20


def compress(
    chunks: Iterable[bytes | memoryview],
    note: NoteFields | None = None,
    summed: Callable[[str], None] | None = None,
    behind: Behind | None = None,
) -> Iterator[bytes]:
    """Yield the object that holds `chunks` joined, in pieces of bounded size: a small object in one.

    `summed` is called with the checksum of the content at its end. What is made of its blocks by `behind` follows.
    """
    source = iter(chunks)
    first = next(source, b"")
    small = len(first) <= _SMALL_BYTES
    compressor = lz4.frame.LZ4FrameCompressor(
        block_size=lz4.frame.BLOCKSIZE_MAX64KB if small else lz4.frame.BLOCKSIZE_MAX1MB,
        block_linked=False,
        content_checksum=True,
        # Without auto_flush every byte is first copied into a buffer of the library, which must be made and cleared.
        auto_flush=True,
    )
    # Small pieces are joined, for each is a write of its own.
    waiting: bytes = (encode_note(note) if note is not None else b"") + compressor.begin()
    at = len(waiting)
    for chunk in chain((first,), source):
        piece = compressor.compress(chunk)
        if behind is not None:
            tabulate(behind, at, piece, chunk, _SMALL_BYTES if small else _BLOCK_BYTES)
        at += len(piece)
        if len(waiting) + len(piece) <= _SMALL_BYTES:
            waiting += piece
        else:
            yield waiting
            waiting = piece
    end = compressor.flush()
    if summed is not None:
        summed(end[-CHECKSUM_SIZE:].hex())
    if behind is not None:
        end += behind.encode()
    if len(waiting) > _SMALL_BYTES:
        yield waiting
        waiting = b""
    yield waiting + end


def content_checksum(chunks: Iterable[bytes | memoryview]) -> str:
    """The checksum that `compress` passes on for this content. LZ4 gives it only by compressing."""
    found: list[str] = []
    for _ in compress(chunks, summed=found.append):
        pass
    return found[0]


def decompress(name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of an object in pieces of at most 1 MiB; `name` is for errors.

    Raises CorruptObjectError for anything but one whole LZ4 frame, skippable frames before and after it aside.
    """
    source = iter(SkipFrames(name, chunks))
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        for chunk in source:
            data = decompressor.decompress(chunk, max_length=_OUTPUT_CHUNK_BYTES)
            while data or not (decompressor.eof or decompressor.needs_input):
                yield data
                if decompressor.eof:
                    break
                data = decompressor.decompress(b"", max_length=_OUTPUT_CHUNK_BYTES)
            if decompressor.eof:
                check_rest(name, chain((decompressor.unused_data or b"",), source))
                return
    except RuntimeError as error:
        raise broken_frame(name, error) from None
    raise CorruptObjectError(name, "it ends in the middle of its LZ4 frame")


def broken_frame(name: str, error: RuntimeError) -> CorruptObjectError:
    """What the library says, in our words."""
    wrong_sum = "checksum" in str(error).lower()
    why = "the LZ4 checksum of its content is wrong" if wrong_sum else "it is not an LZ4 frame, or broken inside"
    return CorruptObjectError(name, why)


def check_rest(name: str, chunks: Iterable[bytes]) -> None:
    """Take what follows the LZ4 frame. Raises CorruptObjectError for anything but whole skippable frames."""
    head, at = b"", 0
    for chunk in chunks:
        if at - len(head) >= len(chunk):
            at -= len(chunk)
            continue
        # A place in the chunk is kept rather than its rest copied: there may be very many frames in it.
        head, at = (head[at:] + chunk, 0) if at <= len(head) else (chunk, at - len(head))
        while len(head) - at >= _FRAME_HEADER_SIZE:
            magic, size = struct.unpack_from("<II", head, at)
            if magic not in _SKIPPABLE_MAGICS:
                raise CorruptObjectError(name, _FOLLOWED)
            at += _FRAME_HEADER_SIZE + size
    if at != len(head):
        raise CorruptObjectError(name, _FOLLOWED)


class Unpacker:
    """Decompresses whole small objects one after the other: to make its LZ4 context costs more than to use it.

    Not safe to use from two threads.
    """

    def __init__(self) -> None:
        self._context = lz4.frame.LZ4FrameDecompressor()

    def content(self, data: bytes) -> bytes | None:
        """The content of the object that is all of `data`, or None if it is over 1 MiB or anything is wrong with it.

        Then `decompress` reads it piece by piece, or says what is wrong.
        """
        at = 0
        while len(data) - at >= 8:
            magic, size = struct.unpack_from("<II", data, at)
            if magic not in _SKIPPABLE_MAGICS:
                break
            at += 8 + size
        self._context.reset()
        try:
            content: bytes = self._context.decompress(data[at:], max_length=_OUTPUT_CHUNK_BYTES)
            if self._context.eof and self._context.unused_data:
                check_rest("", (self._context.unused_data,))
        except (RuntimeError, CorruptObjectError):
            return None
        return content if self._context.eof else None


def encode_note(note: NoteFields) -> bytes:
    """The skippable frame that holds `note`."""
    return _encoded(tuple(note.items()))


@lru_cache(ENCODED_MAX)
def _encoded(items: tuple[tuple[str, str | int], ...]) -> bytes:
    # The segments of one engine have the same note, but for those with which an index begins.
    text = json.dumps(dict(items), separators=(",", ":"), sort_keys=True).encode()
    # An LZ4 reader passes over this frame unchecked, so the note brings a checksum of its own.
    payload = _NOTE_MARK + struct.pack("<I", zlib.crc32(text)) + text
    if len(payload) + 8 > NOTE_SIZE_MAX:
        raise ValueError(f"a note of {len(payload)} bytes is over the {NOTE_SIZE_MAX} that readers look at")
    return struct.pack("<II", _NOTE_MAGIC, len(payload)) + payload


def decode_note(head: bytes) -> NoteFields | None:
    """The note at the start of an object, from its first NOTE_SIZE_MAX bytes; None if it has none.

    Raises ValueError, in words, for a note that is damaged: what it says may decide which frames count.
    """
    if len(head) < 8:
        return None
    magic, size = struct.unpack_from("<II", head)
    if magic != _NOTE_MAGIC:
        return None
    payload = head[8 : 8 + size]
    if len(payload) < size or not payload.startswith(_NOTE_MARK):
        raise ValueError("its note is cut off or not of this program")
    check, text = payload[len(_NOTE_MARK) :][:_NOTE_CRC_SIZE], payload[len(_NOTE_MARK) + _NOTE_CRC_SIZE :]
    if check != struct.pack("<I", zlib.crc32(text)):
        raise ValueError("the checksum of its note is wrong")
    try:
        note = json.loads(text)
    except RecursionError:
        raise ValueError("its note is nested too deep") from None
    if not isinstance(note, dict):
        raise ValueError("its note is not a table of values")
    return {key: value for key, value in note.items() if isinstance(value, str | int)}


class SkipFrames:
    """The chunks of an object without the skippable frames before its LZ4 frame; `skipped` says how many bytes.

    Done here because the Python binding takes the end of a skippable frame for the end of all data.
    """

    def __init__(self, name: str, chunks: Iterable[bytes]) -> None:
        self._name = name
        self._chunks = iter(chunks)
        self.skipped = 0

    def __iter__(self) -> Iterator[bytes]:
        # A place in the chunk is kept rather than its rest copied: there may be very many frames in it.
        head, at = b"", 0
        while True:
            while len(head) - at < 8:
                more = next(self._chunks, None)
                if more is None:
                    if at == len(head):
                        raise CorruptObjectError(self._name, "it is empty")
                    yield head[at:]
                    return
                head, at = head[at:] + more, 0
            magic, size = struct.unpack_from("<II", head, at)
            if magic not in _SKIPPABLE_MAGICS:
                break
            at += _FRAME_HEADER_SIZE + size
            self.skipped += _FRAME_HEADER_SIZE + size
            while at > len(head):
                at -= len(head)
                more = next(self._chunks, None)
                if more is None:
                    raise CorruptObjectError(self._name, "it ends inside its note")
                head = more
        yield head[at:]
        yield from self._chunks
