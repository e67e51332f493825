"""Snapshots of a generation that is under way: what they hold, and that they cost no restore point."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from replication.database.image import Image
from replication.errors import StorageError
from replication.replica.wal03 import upload
from replication.storage.codecs import DEFAULT_CODEC
from tests.replica.bench import Bench


def snapshots(bench: Bench) -> list[str]:
    return [name for name in bench.storages["a"].names() if "/snapshots/" in name]


@pytest.fixture
def settled(bench: Bench) -> Bench:
    bench.replica()
    bench.commit()
    bench.settle()
    return bench


def test_a_snapshot_in_the_index_of_the_only_one_waits_for_the_next_index(settled: Bench) -> None:
    [first] = snapshots(settled)
    settled.commit()
    said = settled.replica().snapshot()
    assert said == "a snapshot will be written with the next commit, which begins a new index"
    assert snapshots(settled) == [first]
    settled.commit()
    settled.settle()
    assert len(snapshots(settled)) == 2
    settled.check()


def test_promise_3_a_snapshot_in_a_new_index_is_written_at_once_and_never_over_one(settled: Bench) -> None:
    settled.database.checkpoint()
    settled.commit()
    assert settled.replica().snapshot() == "snapshot 00000001 written"
    assert settled.replica().snapshot() == "the newest snapshot holds the newest commit already"
    settled.commit()
    held = settled.storages["a"].read(snapshots(settled)[1])
    # The one of index 0 leads to every commit before, and is removed one day: then this one would be all there is.
    assert "next commit" in settled.replica().snapshot()
    assert settled.storages["a"].read(snapshots(settled)[1]) == held
    settled.commit()
    settled.settle()
    assert len(snapshots(settled)) == 3
    settled.check()
    assert settled.numbers("a", settled.database.generation_info.generation)[0] == 1


def test_a_snapshot_says_which_commit_it_holds_and_why_its_generation_began(settled: Bench) -> None:
    [name] = snapshots(settled)
    note = DEFAULT_CODEC.open("object", [settled.storages["a"].read(name)]).note
    assert note is not None
    assert note["reason"] == "no generation exists"
    assert note["previous"] == ""
    assert note["page_size"] == 1024
    settled.database.request_generation("test")
    settled.database.sync()
    settled.settle()
    newer = next(item for item in snapshots(settled) if item != name)
    note = DEFAULT_CODEC.open("object", [settled.storages["a"].read(newer)]).note
    assert note is not None
    assert note["reason"] == "test"
    assert note["previous"] == name.split("/")[1]


def test_wal_goes_before_the_snapshot_that_holds_it(settled: Bench) -> None:
    settled.database.checkpoint()
    settled.commit(5000)
    settled.commit(5000)
    settled.storages["a"].fail("put", StorageError("down"))
    with pytest.raises(StorageError):
        settled.replica().snapshot()
    assert len(snapshots(settled)) == 1
    settled.settle()
    settled.check()


def test_a_store_that_was_emptied_is_noticed_and_filled_again(settled: Bench) -> None:
    storage = settled.storages["a"]
    storage.delete(storage.names())
    settled.commit()
    settled.replica().sync()
    settled.replica().enforce_retention(3600.0, datetime.now(UTC))
    settled.settle()
    assert settled.reasons()[-1] == "replica a lost its snapshots"
    assert settled.restored() == settled.app.sha256()


def test_what_was_sent_is_not_sent_again_at_a_restart(settled: Bench) -> None:
    before = settled.storages["a"].calls["put"]
    settled.restart()
    settled.settle()
    assert settled.storages["a"].calls["put"] == before


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_a_verification_right_after_a_restart_without_a_commit(settled: Bench, with_snapshot: bool) -> None:
    # The WAL has begun a new life, whose only frames are those of a transaction that is still open.
    before = settled.database.position
    settled.database.checkpoint()
    settled.app.execute("BEGIN")
    for _ in range(40):
        settled.app.execute("INSERT INTO t(b) VALUES(randomblob(900))")
    settled.settle()
    # Nothing counts of it, and so nothing has begun for us.
    assert settled.database.position == before
    if with_snapshot:
        assert settled.replica().snapshot() == "the newest snapshot holds the newest commit already"
    result = settled.replica().verify(threading.Event())
    assert (result.outcome, result.words) == ("ok", "restored, checked, and equal to the database")
    settled.app.execute("ROLLBACK")


def test_a_verification_begins_the_generation_in_the_replica_if_need_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Commits come all the time, so that a first snapshot would be of a later one than was looked at before.
    replica = bench.replica()
    image = bench.database.image

    @contextmanager
    def image_then_commit() -> Iterator[Image]:
        with image() as found:
            yield found
        bench.commit()

    monkeypatch.setattr(bench.database, "image", image_then_commit)
    result = replica.verify(threading.Event())
    assert (result.outcome, result.words) == ("ok", "restored, checked, and equal to the database")


def test_the_first_segment_reaches_what_the_first_snapshot_holds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever restores with all WAL of the index, as Litestream does, must not put older pages over newer ones."""
    monkeypatch.setattr(upload, "SEGMENT_BYTES_MAX", 4096)
    for _ in range(10):
        bench.commit()
    here = bench.database.position
    assert here is not None
    assert here.offset > 2 * upload.SEGMENT_BYTES_MAX
    client = bench.replica().client
    bench.replica().sync()
    first = client.segments(here.generation)[0]
    assert sum(map(len, client.read(first.name))) == here.offset
    bench.check()


def test_damaged_wal_below_a_snapshot_of_the_newest_commit_is_found(settled: Bench) -> None:
    settled.database.checkpoint()
    for _ in range(3):
        settled.commit()
        settled.settle()
    assert settled.replica().snapshot() == "snapshot 00000001 written"
    storage = settled.storages["a"]
    name = [name for name in storage.names() if "/wal/00000001_" in name][1]
    rotten = bytearray(storage.read(name))
    rotten[-5] ^= 1
    storage.replace(name, bytes(rotten))
    result = settled.replica().verify(threading.Event())
    assert (result.outcome, name in result.words) == ("failed", True), result.words
    settled.commit()
    settled.settle()
    assert settled.restored() == settled.app.sha256()


def test_a_replica_that_was_emptied_is_noticed_at_the_next_snapshot(settled: Bench) -> None:
    storage = settled.storages["a"]
    storage.delete(storage.names())
    settled.commit()
    settled.replica().snapshot()
    settled.settle()
    settled.commit()
    settled.settle()
    settled.check()
