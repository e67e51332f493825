"""What a start asks of a store, and what of that it may leave out: never what only the store can prove."""

from collections.abc import Callable
from pathlib import Path

import pytest

from replication.errors import StorageError
from replication.local.files import REMEMBERED_NAME
from tests.replica.bench import Bench


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """With a replica that has a snapshot, and a later commit in the same index."""
    bench.replica()
    bench.commit()
    bench.settle()
    bench.commit()
    bench.settle()
    return bench


def asked_at_a_start(bench: Bench) -> dict[str, int]:
    """The calls of a start, and of shipping what was committed meanwhile."""
    bench.restart()
    bench.write("INSERT INTO t(b) VALUES(randomblob(100))")
    calls = bench.storages["a"].calls
    calls.clear()
    bench.settle()
    return {str(verb): times for verb, times in calls.items()}


def test_a_start_asks_for_a_listing_the_last_segment_and_the_one_after_it(bench: Bench) -> None:
    assert asked_at_a_start(bench) == {"list": 1, "get": 2, "put": 1}
    bench.check()


def test_of_a_later_index_the_snapshot_is_not_asked_for(bench: Bench) -> None:
    bench.database.checkpoint()
    bench.commit()
    bench.settle()
    (bench.folder / "meta" / REMEMBERED_NAME).unlink()
    assert asked_at_a_start(bench) == {"list": 1, "get": 2, "put": 1}
    bench.check()


def nothing(path: Path) -> None:
    path.unlink()


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def of_another_size(path: Path) -> None:
    path.write_text(path.read_text().replace('"stored": ', '"stored": 1'))


def not_ours(path: Path) -> None:
    path.write_text('["a"]')


@pytest.mark.parametrize("change", [nothing, torn, of_another_size, not_ours])
def test_without_a_memory_that_fits_the_snapshot_is_asked(bench: Bench, change: Callable[[Path], None]) -> None:
    change(bench.folder / "meta" / REMEMBERED_NAME)
    assert asked_at_a_start(bench) == {"list": 1, "get": 3, "put": 1}
    bench.check()


def test_wal_that_was_lost_before_what_the_snapshot_holds_is_still_found(bench: Bench) -> None:
    """The last segment went from the replica, and the newest snapshot holds it: nothing may be appended to that."""
    bench.commit()
    bench.database.checkpoint()
    bench.commit()
    bench.settle()
    bench.commit()
    bench.settle()
    bench.replica().snapshot()
    storage = bench.storages["a"]
    last = max(name for name in storage.names() if "/wal/" in name)
    storage.delete([last])
    bench.restart()
    bench.commit()
    bench.settle()
    assert bench.reasons()[-1] == "replica a lacks WAL that its newest snapshot holds"
    bench.check()


def test_while_a_snapshot_is_stored_the_one_before_is_not_remembered(bench: Bench) -> None:
    """A crash may come between the two, and the new one have the size of the old."""
    bench.database.checkpoint()
    bench.commit()
    bench.settle()
    bench.storages["a"].fail("put", StorageError("down"))
    with pytest.raises(StorageError):
        bench.replica().snapshot()
    assert (bench.folder / "meta" / REMEMBERED_NAME).read_text() == "{}\n"
