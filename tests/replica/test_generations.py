"""Across generations: what an old one still has to send goes first, and nothing is passed over."""

from datetime import datetime, timedelta, tzinfo

import pytest

from replication.errors import StorageError
from tests.foreign import Shell
from tests.replica.bench import Bench

DOWN = StorageError("the store is down")


def test_pending_wal_of_an_old_generation_goes_before_the_new_one_begins(bench: Bench) -> None:
    replica = bench.replica()
    bench.commit()
    bench.settle()
    storage = bench.storages["a"]
    old = bench.database.position
    assert old is not None
    storage.fail("put", DOWN, times=1000)
    for _ in range(3):
        bench.commit()
        with pytest.raises(StorageError):
            replica.sync()
    bench.database.checkpoint()
    last = bench.commit()
    assert last is not None
    bench.database.request_generation("test")
    bench.commit()
    with pytest.raises(StorageError):
        replica.sync()
    assert bench.database.position is not None
    assert bench.database.position.generation != old.generation
    bench.settle()
    bench.check()
    # All of the old generation, over its last index too: the states up to the one before the change.
    assert bench.numbers("a", old.generation)[-1] == len(bench.states) - 2


def test_generations_that_begin_one_after_another_during_an_outage_lose_nothing_that_had_begun(bench: Bench) -> None:
    bench.replica()
    bench.commit()
    bench.settle()
    first = bench.database.position
    assert first is not None
    bench.storages["a"].fail("put", DOWN, times=1000)
    for _ in range(3):
        bench.commit()
        bench.database.request_generation("test")
        bench.commit()
    bench.settle()
    bench.check()
    assert bench.numbers("a", first.generation)[-1] == 2


def test_each_replica_gets_all_of_each_generation_that_it_began(bench: Bench) -> None:
    # B is left behind in the first generation, so that its WAL stays here; A went on to the second.
    a, b = bench.replica("a"), bench.replica("b")
    bench.commit()
    bench.settle()
    bench.storages["b"].fail("put", DOWN, times=1000)
    bench.commit()
    bench.database.request_generation("second")
    bench.commit()
    a.sync()
    second = bench.database.position
    assert second is not None
    with pytest.raises(StorageError):
        b.sync()
    # Now A is down as well, and has WAL of the second generation to send when the third begins.
    bench.commit()
    bench.clean()
    bench.database.request_generation("third")
    bench.commit()
    bench.restart()
    bench.settle()
    bench.check("a")
    bench.check("b")
    assert bench.numbers("a", second.generation)[-1] == len(bench.states) - 2


def test_a_replica_that_was_left_out_for_a_while_is_never_given_a_gap(bench: Bench) -> None:
    bench.replica("a")
    b = bench.replica("b")
    bench.commit()
    bench.replica("a").sync()
    # B gets its snapshot, and nothing after it.
    bench.storages["b"].fail("put", DOWN)
    with pytest.raises(StorageError):
        b.sync()
    bench.storages["b"].lose_acknowledgement()
    with pytest.raises(StorageError):
        b.sync()
    # The configuration goes without B for some indexes, whose shadow WAL is removed meanwhile.
    del bench.replicas["b"]
    for _ in range(4):
        bench.commit()
        bench.database.checkpoint()
        bench.commit()
        bench.replica("a").sync()
        bench.clean()
    bench.replica("b")
    bench.settle()
    bench.check("a")
    bench.check("b")


def test_an_interrupted_first_snapshot_is_written_again(bench: Bench) -> None:
    replica = bench.replica()
    bench.commit()
    storage = bench.storages["a"]
    storage.fail("put", DOWN, times=2)
    for _ in range(2):
        with pytest.raises(StorageError):
            replica.sync()
    assert storage.names() == []
    bench.commit()
    bench.settle()
    bench.check()
    assert bench.reasons() == ["no generation exists"]


def test_a_headless_generation_is_not_continued(bench: Bench) -> None:
    replica = bench.replica()
    bench.commit()
    bench.settle()
    storage = bench.storages["a"]
    storage.delete([name for name in storage.names() if "/snapshots/" in name])
    bench.restart()
    replica = bench.replica()
    bench.commit()
    replica.sync()
    bench.settle()
    assert bench.reasons()[-1] == "replica a has WAL but no snapshot"
    assert bench.restored() == bench.app.sha256()


def test_a_torn_last_segment_is_written_again(bench: Bench) -> None:
    bench.replica()
    bench.commit()
    bench.settle()
    bench.commit(5000)
    bench.settle()
    storage = bench.storages["a"]
    last = [name for name in storage.names() if "/wal/" in name][-1]
    whole = storage.read(last)
    for size in (0, 1, 7, len(whole) // 2, len(whole) - 1):
        storage.replace(last, whole[:size])
        bench.restart()
        bench.settle()
        bench.check()
    assert len(bench.reasons()) == 1


def test_a_diverged_replica_is_never_appended_to(bench: Bench) -> None:
    bench.replica()
    bench.commit()
    bench.settle()
    storage = bench.storages["a"]
    last = [name for name in storage.names() if "/wal/" in name][-1]
    bench.commit()
    bench.settle()
    # Somebody else wrote here: the last segment holds other frames than ours.
    newest = [name for name in storage.names() if "/wal/" in name][-1]
    storage.replace(newest, storage.read(last))
    bench.restart()
    bench.commit()
    bench.replica().sync()
    bench.settle()
    assert "holds other WAL than this database" in bench.reasons()[-1]
    assert bench.restored() == bench.app.sha256()


def test_promise_7_names_that_are_not_of_the_format_are_told_once_and_change_nothing(bench: Bench) -> None:
    bench.replica()
    bench.commit()
    bench.settle()
    here = bench.database.position
    assert here is not None
    storage = bench.storages["a"]
    ours = storage.names()
    odd = [
        f"generations/{here.generation}/wal/ffffffff_00000000.wal",
        f"generations/{here.generation}/wal/FFFFFFFF_00000000.wal.lz4",
        f"generations/{here.generation}/wal/00000001_1.wal.lz4",
        f"generations/{here.generation}/wal/00000001_123456789.wal.lz4",
        f"generations/{here.generation}/wal/\n00000001_00000000.wal.lz4",
        f"generations/{here.generation}/snapshots/ffffffff.snapshot.lz4.tmp",
        "generations/FFFFFFFFFFFFFFFF/snapshots/ffffffff.snapshot.lz4",
        "generations/short/wal/00000000_00000000.wal.lz4",
    ]
    for name in odd:
        storage.replace(name, b"junk")
    bench.restart()
    bench.commit()
    bench.settle()
    bench.check()
    bench.replica().enforce_retention(1.0, bench.clock())
    assert {*odd} <= {*storage.names()}
    assert {*ours} - {*storage.names()} == set()
    assert bench.reasons() == ["no generation exists"]


@pytest.mark.parametrize("unsent", [0, 1, 5])
def test_a_clock_set_back_does_not_make_an_old_generation_the_newest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, unsent: int
) -> None:
    """Generations that came and went while the store was away: no note there names them, but the later does."""
    bench.replica()
    bench.commit()
    bench.settle()
    for number in range(unsent):
        bench.database.request_generation(f"test {number}")
        bench.commit()
    bench.clock.now -= timedelta(days=1)

    class Back(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Back":
            real = datetime.now(tz) - timedelta(days=1)
            return cls.fromtimestamp(real.timestamp(), tz)

    monkeypatch.setattr("replication.replica.wal03.snapshots.datetime", Back)
    bench.database.request_generation("the last")
    bench.commit()
    bench.settle()
    bench.check()


def test_a_wal_emptied_by_one_and_begun_by_another_goes_on(bench: Bench) -> None:
    """Whoever never restarted the WAL begins an empty one with salts by chance."""
    bench.replica()
    bench.commit()
    bench.settle()
    with Shell(bench.path).open() as other:
        for _ in range(3):
            bench.database.checkpoint()
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]
            bench.commit()
    bench.settle()
    bench.check()
    here = bench.database.position
    assert here is not None
    assert here.index == 3
    assert bench.reasons() == ["no generation exists"]


def test_a_wal_begun_by_one_who_rolled_back_goes_on(bench: Bench) -> None:
    """The salts that the header then has are nobody's: the next writer goes on from those of the life before."""
    bench.replica()
    bench.commit()
    bench.database.checkpoint()
    bench.commit()
    bench.database.checkpoint()
    with Shell(bench.path).open() as other:
        other.execute("PRAGMA cache_size=8")
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]
        with Shell(bench.path).open() as another:
            another.execute("PRAGMA cache_size=8")
            another.execute("BEGIN IMMEDIATE")
            for _ in range(40):
                another.execute("INSERT INTO t(b) VALUES(randomblob(900))")
            bench.database.sync()
            another.execute("ROLLBACK")
        bench.commit()
    bench.settle()
    bench.check()
    assert bench.reasons() == ["no generation exists"]
