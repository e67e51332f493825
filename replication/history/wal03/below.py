"""A replica as if it had no snapshots after one index, so that a plan begins at an earlier one and reads more WAL."""

import builtins
from collections.abc import Iterable, Iterator

from replication.restore.open_replica import OpenReplica
from replication.storage.base import ObjectInfo, Storage
from replication.storage.wal03.names import parse_snapshot


def below_snapshot(source: OpenReplica, index: int) -> OpenReplica:
    """Return the replica with the snapshots up to an index."""
    return OpenReplica(source.name, _Below(source.storage, index), codec=source.codec)


class _Below(Storage):
    """A store as if it had no snapshot after one index: only read."""

    def __init__(self, storage: Storage, index: int) -> None:
        self.type, self.address = storage.type, storage.address
        self._storage = storage
        self._index = index

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for item in self._storage.list(prefix):
            index = parse_snapshot(item.name.rpartition("/")[2])
            if index is None or index <= self._index:
                yield item

    def folders(self, prefix: str) -> "builtins.list[str]":
        return self._storage.folders(prefix)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._storage.get(name, offset, length)

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        raise NotImplementedError

    def delete(self, names: Iterable[str]) -> None:
        raise NotImplementedError
