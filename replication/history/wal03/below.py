"""A replica of which some snapshots are hidden, so that a plan begins at another one, and reads more WAL."""

import builtins
from collections.abc import Iterable, Iterator

from replication.restore.open_replica import OpenReplica
from replication.storage.base import ObjectInfo, Storage
from replication.storage.wal03.names import parse_snapshot


def below_snapshot(source: OpenReplica, index: int) -> OpenReplica:
    """Return the replica with only the snapshots up to an index."""
    return OpenReplica(source.name, _Below(source.storage, 0, index), codec=source.codec)


def only_snapshot(source: OpenReplica, index: int) -> OpenReplica:
    """Return the replica with only the snapshot of one index: then no notes of others are read, and none is taken."""
    return OpenReplica(source.name, _Below(source.storage, index, index), codec=source.codec)


class _Below(Storage):
    """A store, to be read only, that lists no snapshots but those from one index to another."""

    def __init__(self, storage: Storage, first: int, last: int) -> None:
        self.type, self.address = storage.type, storage.address
        self._storage = storage
        self._first, self._last = first, last

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for item in self._storage.list(prefix):
            index = parse_snapshot(item.name.rpartition("/")[2])
            if index is None or self._first <= index <= self._last:
                yield item

    def folders(self, prefix: str) -> "builtins.list[str]":
        return self._storage.folders(prefix)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._storage.get(name, offset, length)

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        raise NotImplementedError

    def delete(self, names: Iterable[str]) -> None:
        raise NotImplementedError
