"""Parts of the content of objects: of a snapshot or a segment only the LZ4 blocks are read that are needed.

    content    bytes 0 ... 1 MiB ... 2 MiB ... 3 MiB      what a caller asks for: so many bytes from an offset on
    stored     [block 0][block 1  ][block 2]...[table]     the table says where each block lies: one range of bytes

A table comes from the object itself, or, where it has none (Litestream's), from the cache; else the object is read
through once, and its table is put into the cache.

Its promise: each byte that it gives was checked against the checksum of its block when it was read, whatever becomes of
the object meanwhile; and what it keeps in memory is bounded. Whoever reads one block after the other gets several with
one request. One thread at a time.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from replication.errors import CorruptObjectError
from replication.history.cache import TableCache
from replication.restore.retry import Backoff, check, retrying
from replication.restore.wal03.fetch import Fetcher
from replication.storage.blocks import BlockTable, TableBuilder
from replication.storage.closing import closing_iterator
from replication.storage.codec import WHOLE_BYTES_MAX
from replication.storage.wal03.replica_client import ReplicaClient

KEPT_BYTES_MAX = 48 << 20
"""So much content of blocks that were read is kept."""
AHEAD_BYTES_MAX = 8 << 20
"""At most so much content is read with one request, when one block is read after the other."""
TABLES_KEPT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """An object to read from, and how many bytes are stored.

    A snapshot has a `sign`, by which its table is found in the cache; a segment has "". A segment of which the index
    was read brings its `table`, which is used as it is.
    """

    name: str
    stored: int
    sign: str = ""
    table: BlockTable | None = None


class Parts:
    """Reads parts of the objects of one replica. `count` is called with the stored bytes of each chunk that comes."""

    def __init__(
        self,
        client: ReplicaClient,
        fetcher: Fetcher,
        stop: threading.Event,
        backoff: Backoff,
        cache: TableCache,
        count: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._client = client
        self._fetcher = fetcher
        self._cache = cache
        self._stop = stop
        self._backoff = backoff
        self._count = count
        self._tables: OrderedDict[str, BlockTable] = OrderedDict()
        self._unproven: set[str] = set()
        """Objects whose table was not made here: it may be wrong although the object is sound."""
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._last: tuple[str, int] = ("", -1)
        self._ahead = 1
        self.requests = 0

    def length(self, source: Source) -> int:
        """How long the content of an object is. Raises what `read` raises."""
        return self._table(source).length

    def read(self, source: Source, offset: int, size: int) -> bytes:
        """So many bytes of the content of an object from an offset on, fewer at its end.

        Raises ObjectNotFoundError, CorruptObjectError, StorageError, RestoreCancelledError.
        """
        if source.stored <= WHOLE_BYTES_MAX and not source.sign:
            return self._whole(source.name)[offset : offset + size]
        table = self._table(source)
        found: list[bytes] = []
        end = min(offset + size, table.length)
        while offset < end:
            block = table.block_of(offset)
            begin = int(table.offsets[block])
            try:
                part = self._block(source.name, table, block)[offset - begin : end - begin]
            except CorruptObjectError:
                if source.name not in self._unproven:
                    raise
                self._make_anew(source, table)
                return self.read(source, offset - sum(map(len, found)), size)
            found.append(part)
            offset += len(part)
        return found[0] if len(found) == 1 else b"".join(found)

    def _whole(self, name: str) -> bytes:
        """The content of a small object, read whole and checked by the checksum that it ends with."""
        kept = self._get(name, 0)
        if kept is not None:
            return kept

        def read() -> bytes:
            with closing_iterator(self._stream(name, 0, None)) as chunks:
                return b"".join(self._client.codec.open(name, chunks))

        return self._keep(name, 0, retrying(read, self._backoff, self._stop))

    def _block(self, name: str, table: BlockTable, block: int) -> bytes:
        kept = self._get(name, block)
        if kept is None:
            follows = self._last == (name, block - 1)
            self._ahead = self._ahead * 2 if follows else 1
            count = _count_within(table, block, self._ahead)

            def read() -> list[bytes]:
                return list(self._client.codec.blocks(name, partial(self._stream, name), table, block, count))

            contents = retrying(read, self._backoff, self._stop)
            for number, content in reversed(list(enumerate(contents, block))):
                kept = self._keep(name, number, content)
            self._last = (name, block + count - 1)
        assert kept is not None
        return kept

    def _table(self, source: Source) -> BlockTable:
        """The table of an object: known here, in the object, in the cache, or made by reading all of the object."""
        name = source.name
        if source.table is not None:
            return source.table
        table = self._tables.get(name)
        if table is None:
            if source.sign:
                table = retrying(partial(self._brought, source), self._backoff, self._stop)
                table = table or self._kept_table(source)
            if table is not None:
                self._unproven.add(name)
            else:
                table = self._scanned(source)
                if source.sign:
                    self._cache.save(source.sign, table)
            self._tables[name] = table
        self._tables.move_to_end(name)
        while len(self._tables) > TABLES_KEPT_MAX:
            self._tables.popitem(last=False)
        return table

    def _kept_table(self, source: Source) -> BlockTable | None:
        """The table that the cache has of an object, if the last block lies where it says: then the length is right."""
        table = self._cache.load(source.sign)
        if table is None or not table.is_within(source.stored):
            return None
        try:
            self._block(source.name, table, table.count - 1)
        except CorruptObjectError:
            return None
        return table

    def _make_anew(self, source: Source, wrong: BlockTable) -> None:
        """Replace a wrong table by one made from all of the object. Raises CorruptObjectError if that is damaged."""
        name = source.name
        self._unproven.discard(name)
        del self._tables[name]
        self._drop(name)
        table = self._scanned(source)
        self._cache.save(source.sign, table)
        if table.length != wrong.length:
            # Whoever has read of it before went by the wrong length.
            raise CorruptObjectError(name, "what was remembered of it here was wrong; it is right now, so ask again")
        self._tables[name] = table

    def _brought(self, source: Source) -> BlockTable | None:
        return self._client.codec.table(source.name, partial(self._stream, source.name), source.stored)

    def _scanned(self, source: Source) -> BlockTable:
        name, builder, stored = source.name, TableBuilder(), 0

        def counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal stored
            for chunk in chunks:
                stored += len(chunk)
                yield chunk

        try:
            with closing_iterator(self._fetcher.stored(name, source.stored)) as chunks:
                for number, content in enumerate(self._client.codec.scan(name, counted(iter(chunks)), builder)):
                    self._keep(name, number, content)
        except CorruptObjectError:
            # What was kept of it is only right if all of it is.
            self._drop(name)
            raise
        if stored != source.stored:
            raise CorruptObjectError(name, "it was written anew while it was read")
        if not builder.count:
            raise CorruptObjectError(name, "it holds nothing")
        return builder.table()

    def _stream(self, name: str, offset: int, length: int | None) -> Iterator[bytes]:
        check(self._stop)
        self.requests += 1
        with closing_iterator(self._client.storage.get(name, offset, length)) as chunks:
            for chunk in chunks:
                check(self._stop)
                self._count(len(chunk))
                yield chunk

    def _get(self, name: str, block: int) -> bytes | None:
        content = self._kept.get((name, block))
        if content is not None:
            self._kept.move_to_end((name, block))
        return content

    def _drop(self, name: str) -> None:
        for block in [block for kept, block in self._kept if kept == name]:
            self._kept_bytes -= len(self._kept.pop((name, block)))

    def _keep(self, name: str, block: int, content: bytes) -> bytes:
        before = self._kept.pop((name, block), b"")
        self._kept[name, block] = content
        self._kept_bytes += len(content) - len(before)
        while self._kept_bytes > KEPT_BYTES_MAX and len(self._kept) > 1:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return content


def _count_within(table: BlockTable, first: int, wanted: int) -> int:
    """As many of the blocks from one on as are wanted, are there, and may be read at a time."""
    count = 1
    while count < wanted and first + count < table.count:
        if int(table.offsets[first + count + 1]) - int(table.offsets[first]) > AHEAD_BYTES_MAX:
            break
        count += 1
    return count
