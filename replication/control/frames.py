"""Messages on a stream of bytes, both ways at once: compressed together, in pieces that take turns. No stream is here.

Its promise: what was said before is not sent again but referred to; a long message holds up no short one; and whatever
the other end sends is read within bounds, or is a FrameError.
"""

import json
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from replication.wire import Plain, WireError, loads

MAGIC = b"litestream-tui relay 1\n"
"""What comes before all frames. Before it there may be what a login says."""
PIECE_BYTES = 16 << 10
"""Of a message, before compression, in one frame."""
MESSAGE_BYTES_MAX = 256 << 20
"""A list of all restore points of years is some megabytes."""
IDS = 1 << 16
_HEAD = struct.Struct(">HH")
"""The message's id, and the length of the piece, with the highest bit set in its last one."""
_LAST = 1 << 15
_FLUSHED = b"\x00\x00\xff\xff"
"""What ends each piece of a compressed stream, and is not sent."""


class FrameError(ValueError):
    """What came is none of our frames."""


def packed(head: Plain, body: bytes = b"") -> bytes:
    """A message: what it is, and a body of any bytes."""
    return json.dumps(head, allow_nan=False, separators=(",", ":")).encode() + b"\n" + body


def unpacked(message: bytes) -> tuple[dict[str, Plain], bytes]:
    """What a message is, and its body. Raises FrameError."""
    head, _, body = message.partition(b"\n")
    try:
        found = loads(head)
    except WireError as error:
        raise FrameError(str(error)) from None
    if not isinstance(found, dict):
        raise FrameError("a message says what it is with an object")
    return found, body


@dataclass(slots=True)
class Sent:
    """A message on its way: `size` is what it has taken on the line so far."""

    rest: memoryview
    size: int = 0


class Sender:
    """Messages to be sent, from any thread; one thread is in `run`."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.size = 0
        """Bytes written so far."""
        self._write = write
        self._compress = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
        self._waiting: OrderedDict[int, Sent] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False

    def add(self, id: int, message: bytes) -> Sent:
        """Send a message as soon as it is its turn; `id` belongs to no other that is on its way."""
        made = Sent(memoryview(message))
        with self._changed:
            self._waiting[id] = made
            self._changed.notify()
        return made

    def close(self) -> None:
        """Send no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        """Send until it is closed. Raises what `write` raises."""
        while (found := self._next()) is not None:
            id, message, piece, last = found
            frame = self._compress.compress(piece) + self._compress.flush(zlib.Z_SYNC_FLUSH)
            frame = frame.removesuffix(_FLUSHED)
            frame = _HEAD.pack(id, len(frame) | (_LAST if last else 0)) + frame
            message.size += len(frame)
            self.size += len(frame)
            self._write(frame)

    def _next(self) -> tuple[int, Sent, memoryview, bool] | None:
        """The next piece: of another message than the last one, if several wait."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            if self._closed:
                return None
            id, message = self._waiting.popitem(last=False)
            piece, message.rest = message.rest[:PIECE_BYTES], message.rest[PIECE_BYTES:]
            if message.rest:
                self._waiting[id] = message
            return id, message, piece, not message.rest


class Receiver:
    """What comes, as messages; one thread feeds it."""

    def __init__(self, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self.size = 0
        """Bytes taken so far."""
        self._bytes_max = message_bytes_max
        self._decompress = zlib.decompressobj(-15)
        self._came = bytearray()
        self._parts: dict[int, bytearray] = {}

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The messages that are whole with this. Raises FrameError, after which nothing more can be understood."""
        self.size += len(data)
        self._came += data
        whole = []
        while len(self._came) >= _HEAD.size:
            id, length = _HEAD.unpack_from(self._came)
            end = _HEAD.size + (length & ~_LAST)
            if len(self._came) < end:
                break
            part = self._parts.setdefault(id, bytearray())
            part += self._plain(bytes(self._came[_HEAD.size : end]))
            del self._came[:end]
            if sum(map(len, self._parts.values())) > self._bytes_max:
                raise FrameError("a message is longer than any of ours")
            if length & _LAST:
                whole.append((id, bytes(self._parts.pop(id))))
        return whole

    def _plain(self, frame: bytes) -> bytes:
        try:
            piece = self._decompress.decompress(frame + _FLUSHED, PIECE_BYTES + 1)
        except zlib.error as error:
            raise FrameError(f"it is not compressed as ours are: {error}") from None
        if len(piece) > PIECE_BYTES or self._decompress.unconsumed_tail or self._decompress.unused_data:
            raise FrameError("a piece is longer than any of ours")
        return piece
