"""A store that lists late, or carries out an upload long after its answer was lost: no restore point may suffer."""

import random
from collections.abc import Iterable, Iterator
from contextlib import suppress

import pytest

from replication.errors import StorageError
from replication.restore.wal03.catalog import read_catalog
from replication.storage.base import ObjectInfo
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.replica.bench import Bench

STEPS = 40


class LateStorage(MemoryStorage):
    """Lists what was there when it was frozen; keeps the next upload back when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: set[str] | None = None
        self.keep_back = False
        self.ignores_create = False
        """As some servers do: what arrives late then takes the place of what is there."""
        self._kept: list[tuple[str, bytes, bool]] = []

    def freeze(self) -> None:
        self.listed = set(self.names())

    def thaw(self) -> None:
        self.listed = None

    def arrive(self) -> None:
        """What was kept back is carried out at last."""
        for name, data, create in self._kept:
            if not create or self.ignores_create or name not in self.names():
                self.replace(name, data)
        self._kept.clear()

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        if not self.keep_back:
            return super().put(name, chunks, create=create)
        self._kept.append((name, b"".join(chunks), create))
        self.keep_back = False
        raise StorageError("no answer in time")

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        for item in super()._list(prefix):
            if self.listed is None or item.name in self.listed:
                yield item

    def folders(self, prefix: str) -> list[str]:
        return sorted({item.name.removeprefix(prefix).partition("/")[0] for item in self._list(prefix)})


@pytest.fixture
def store(bench: Bench) -> LateStorage:
    """The store of the bench's replica, which has a snapshot and a commit."""
    made = bench.storages["a"] = LateStorage()
    bench.replica()
    bench.commit()
    bench.settle()
    return made


@pytest.mark.parametrize("hidden", [1, 3])
@pytest.mark.parametrize("indexes", [1, 2])
def test_what_a_listing_lacks_is_found_by_its_name(bench: Bench, store: LateStorage, hidden: int, indexes: int) -> None:
    store.freeze()
    for number in range(indexes):
        if number:
            bench.database.checkpoint()
        for _ in range(hidden):
            bench.commit()
            bench.settle()
    bench.restart()
    bench.commit()
    bench.settle()
    bench.commit()
    bench.settle()
    store.thaw()
    bench.check()
    assert len(bench.reasons()) == 1


def test_a_generation_that_no_listing_shows_is_not_begun_twice(bench: Bench, store: LateStorage) -> None:
    store.listed = set()
    for _ in range(3):
        bench.commit()
        bench.settle()
    bench.restart()
    bench.commit()
    with pytest.raises(StorageError, match="listings are late"):
        bench.replica().sync()
    store.thaw()
    bench.settle()
    bench.check()
    assert len(bench.reasons()) == 1


def test_a_snapshot_that_no_listing_shows_is_not_written_over(bench: Bench, store: LateStorage) -> None:
    bench.commit()
    bench.settle()
    bench.database.checkpoint()
    bench.commit()
    bench.settle()
    store.freeze()
    bench.replica().snapshot()
    before = [item for item in store.names() if "/snapshots/" in item]
    held = [store.read(item) for item in before]
    for _ in range(3):
        bench.commit()
        bench.settle()
    bench.replica().snapshot()
    assert store.read(before[0]) == held[0]
    store.thaw()
    bench.settle()
    bench.check()


@pytest.mark.parametrize("commits", [0, 1, 5])
def test_an_upload_that_arrives_after_its_retry_changes_nothing(bench: Bench, store: LateStorage, commits: int) -> None:
    store.keep_back = True
    bench.commit()
    with pytest.raises(StorageError):
        bench.replica().sync()
    for _ in range(commits):
        bench.commit()
    bench.settle()
    store.arrive()
    bench.commit()
    bench.settle()
    bench.check()


@pytest.mark.parametrize("again", [0, 1, 3])
@pytest.mark.parametrize("commits", [1, 5])
def test_promise_8_an_upload_that_arrives_after_its_program_ended_shortens_nothing(
    bench: Bench, store: LateStorage, commits: int, again: int
) -> None:
    """The next program knows nothing of it, and has cut that segment longer. Nor does it take it for another's."""
    store.keep_back = True
    bench.commit()
    with pytest.raises(StorageError):
        bench.replica().sync()
    bench.restart()
    for _ in range(commits):
        bench.commit()
    if again:
        bench.settle()
    store.arrive()
    for _ in range(again):
        bench.commit()
        bench.settle()
    bench.settle()
    bench.check()
    assert len(bench.reasons()) == 1
    assert bench.replica().warning == ""


@pytest.mark.parametrize("heeds", [True, False], ids=["creates", "ignores"])
@pytest.mark.parametrize("seed", range(4))
def test_in_any_order(bench: Bench, store: LateStorage, seed: int, heeds: bool) -> None:
    chance = random.Random(seed)
    store.ignores_create = not heeds
    for _ in range(STEPS):
        match chance.choice(
            ["commit", "commit", "commit", "freeze", "thaw", "restart", "keep", "checkpoint", "snapshot"]
        ):
            case "commit":
                bench.commit(chance.choice([10, 3000]))
            case "freeze":
                store.freeze()
            case "thaw":
                store.thaw()
            case "restart":
                if not heeds:
                    # A program that has just begun knows nothing of the uploads of the one before.
                    store.arrive()
                bench.restart()
            case "keep":
                store.keep_back = True
            case "checkpoint":
                bench.database.checkpoint()
            case _:
                with suppress(StorageError):
                    bench.replica().snapshot()
        with suppress(StorageError):
            bench.replica().sync()
        if chance.random() < 0.2:
            store.arrive()
    store.thaw()
    store.keep_back = False
    bench.settle()
    store.arrive()
    assert read_catalog(ReplicaClient(store), bench.database.generations[-1]).snapshots
    bench.check()
