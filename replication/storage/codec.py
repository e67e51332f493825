"""The one door between what an object holds and the bytes that a store has of it.

`seal` turns content, with its note, into stored bytes, and `open` turns them back; nobody else makes or reads any.
What is sealed is an LZ4 frame with the note before it (container.py), and a codec is what lies over that: nothing, as
Litestream 0.3.13 writes it, or, say, encryption. A replica has one codec for all its objects. It leaves to the caller:
which bytes of the store it is given, and to close what it takes them from.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from replication.errors import CorruptObjectError
from replication.storage import container
from replication.storage.blocks import TAIL_BYTES, Behind, BlockTable, TableBuilder, decode, size_at_end
from replication.storage.closing import closing_iterator
from replication.storage.note_fields import NoteFields
from replication.storage.scan import contents, scan

WHOLE_BYTES_MAX = 64 << 10
"""An object of at most this size is opened in one go by an `Opener`."""

ReadRange = Callable[[int, int | None], Iterator[bytes]]
"""Given an offset and a length: stored bytes of one object. With None all from there; after its end none."""


class Codec(ABC):
    """What lies over the LZ4 frames of one replica. Keeps nothing, and is safe to use from any thread."""

    name: str

    @abstractmethod
    def cover(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Turn the LZ4 frames of an object, with its note, into the bytes that are stored."""

    @abstractmethod
    def uncover(self, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Turn all stored bytes of an object back into what `cover` was given.

        Raises CorruptObjectError for other bytes.
        """

    def prefix(self, name: str, read: ReadRange, size: int) -> bytes:
        """The first `size` bytes of what `uncover` would yield.

        This reads the object from its start until there are so many. Only a codec that knows where they are stored
        can ask for them alone.
        """
        head = b""
        with closing_iterator(read(0, None)) as stored, closing_iterator(self.uncover(name, iter(stored))) as chunks:
            for chunk in chunks:
                head += chunk
                if len(head) >= size:
                    break
        return head[:size]

    def span(self, name: str, read: ReadRange, offset: int, size: int) -> bytes:
        """The same from an offset on, fewer bytes at the end; as `prefix`, it may read all that comes before."""
        return self.prefix(name, read, offset + size)[offset:]

    def suffix(self, name: str, read: ReadRange, stored: int, size: int) -> tuple[bytes, int]:
        """The last `size` bytes, and how many there are in all, of an object that is `stored` bytes in the store."""
        tail, length = b"", 0
        with closing_iterator(read(0, None)) as chunks, closing_iterator(self.uncover(name, iter(chunks))) as plain:
            for chunk in plain:
                length += len(chunk)
                tail = (tail + chunk)[-size:]
        return tail, length

    def seal(
        self,
        content: Iterable[bytes | memoryview],
        note: NoteFields | None = None,
        summed: Callable[[str], None] | None = None,
        has_table: bool = False,
        behind: Behind | None = None,
    ) -> Iterator[bytes]:
        """Yield the stored bytes of an object in pieces of bounded size, a small object in one.

        `summed` is called with what `content_checksum` would say of the content, when all of it was taken. With
        `has_table` the object brings a table of its blocks, for `table`; or else what `behind` makes of them.
        """
        return self.cover(container.compress(content, note, summed, TableBuilder() if has_table else behind))

    def open(self, name: str, stored: Iterable[bytes]) -> "Opened":
        """Open the object of which these are all stored bytes. `name` is for errors."""
        return Opened(name, self.uncover(name, iter(stored)), None)

    def opener(self) -> "Opener":
        """An opener for many small objects, one after the other, which costs less for each."""
        return Opener(self)

    def table(self, name: str, read: ReadRange, stored: int) -> BlockTable | None:
        """Where the blocks of an object of so many stored bytes lie; None if it does not say, as Litestream's."""
        tail, length = self.suffix(name, read, stored, TAIL_BYTES)
        size = size_at_end(tail)
        if size is not None and size > len(tail):
            tail, length = self.suffix(name, read, stored, size)
        return decode(tail, length)

    def scan(self, name: str, stored: Iterable[bytes], builder: TableBuilder) -> Iterator[bytes]:
        """Yield the content of an object block by block while `builder` gets its table. Raises as `Opened`."""
        return scan(name, self.uncover(name, iter(stored)), builder)

    def blocks(self, name: str, read: ReadRange, table: BlockTable, first: int, count: int) -> Iterator[bytes]:
        """The contents of so many blocks of an object, in one read. Raises CorruptObjectError if one is not right."""
        start, size = table.span(first, count)
        return contents(name, table, first, count, self.span(name, read, start, size))

    def read_note(self, name: str, read: ReadRange) -> NoteFields | None:
        """The note of an object, reading as little of it as possible.

        Raises CorruptObjectError if the note is damaged.
        """
        return _note(name, self.prefix(name, read, container.NOTE_SIZE_MAX))


class Plain(Codec):
    """Nothing lies over the LZ4 frames: what Litestream 0.3.13 reads and writes."""

    name = "lz4"

    def cover(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return chunks

    def uncover(self, name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return chunks

    def prefix(self, name: str, read: ReadRange, size: int) -> bytes:
        return self.span(name, read, 0, size)

    def span(self, name: str, read: ReadRange, offset: int, size: int) -> bytes:
        with closing_iterator(read(offset, size)) as chunks:
            return b"".join(chunks)

    def suffix(self, name: str, read: ReadRange, stored: int, size: int) -> tuple[bytes, int]:
        return self.span(name, read, max(0, stored - size), size), stored


class Opened:
    """One object that is being opened: iterate it once for its content, in pieces of at most 1 MiB.

    Iterating raises CorruptObjectError for anything but one whole LZ4 frame, skippable frames around it aside.
    """

    def __init__(self, name: str, plain: Iterator[bytes], unpacker: "container.Unpacker | None") -> None:
        self._name = name
        self._plain = plain
        self._unpacker = unpacker
        self._head = b""
        self._begun = False

    @property
    def note(self) -> NoteFields | None:
        """The note, or None for an object of Litestream, which has none. Raises CorruptObjectError if it is damaged."""
        if not self._begun:
            self._read_until(container.NOTE_SIZE_MAX)
        return _note(self._name, self._head[: container.NOTE_SIZE_MAX])

    def __iter__(self) -> Iterator[bytes]:
        small = self._unpacker is not None
        self._read_until(WHOLE_BYTES_MAX + 1 if small else container.NOTE_SIZE_MAX)
        head, self._begun = self._head, True
        # No more of a large chunk is kept than the note may need.
        self._head = head[: container.NOTE_SIZE_MAX]
        if self._unpacker is not None and len(head) <= WHOLE_BYTES_MAX:
            whole = self._unpacker.content(head)
            if whole is not None:
                yield whole
                return
        yield from container.decompress(self._name, chain([head], self._plain))

    def _read_until(self, size: int) -> None:
        while len(self._head) < size and (chunk := next(self._plain, None)) is not None:
            self._head += chunk


class Opener:
    """Opens objects one after the other, for a lower price for small ones. Not safe to use from two threads."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._unpacker = container.Unpacker()

    def open(self, name: str, stored: Iterable[bytes]) -> Opened:
        """As `Codec.open`. An object that was opened before must not be iterated any more."""
        return Opened(name, self._codec.uncover(name, iter(stored)), self._unpacker)


def content_checksum(chunks: Iterable[bytes | memoryview]) -> str:
    """The checksum that `seal` passes on for this content. Only by compressing can it be had from LZ4."""
    return container.content_checksum(chunks)


def _note(name: str, head: bytes) -> NoteFields | None:
    try:
        return container.decode_note(head)
    except ValueError as error:
        raise CorruptObjectError(name, str(error)) from None
