"""Which generation and which replica, when none is named."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from replication.errors import (
    AccessDeniedError,
    CorruptObjectError,
    NoRestorePointError,
    ReplicaGapError,
    ReplicationError,
    StorageError,
)
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.retry import Backoff
from replication.restore.target import AtIndex, AtPosition, AtTime, Latest, Target
from replication.restore.wal03.choose import choose
from replication.sqlite.wal import WALHeader
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segment_name, snapshot_name
from replication.storage.wal03.notes import REACHED_MAX
from tests.restore.history import BEGAN, GENERATION, History, ReplicaBuilder, note_of, publish, scripts, write_history
from tests.restore.test_every_commit import sha

OLD, NEW, OTHER = "ffff000000000001", "0000000000000002", "8888000000000003"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), 4096, list(scripts()))


def add(
    storage: MemoryStorage,
    generation: str,
    counter: int,
    began: timedelta,
    previous: str | None = None,
    objects: int = 2,
    earlier: str = "",
    reached: str = "",
) -> ReplicaBuilder:
    """A generation whose database has this file change counter; ours if `previous` is given."""
    builder = ReplicaBuilder(storage, generation, BEGAN + began)
    head = b"SQLite format 3\0" + bytes(8) + counter.to_bytes(4, "big") + bytes(4096 - 28)
    note = None
    if previous is not None:
        time = (BEGAN + began).isoformat()
        more = {"previous": previous, "earlier": earlier, "reached": reached, "time": time}
        note = note_of(Position(generation, 0, 0), 1, 4096, **more)
    builder.snapshot(0, head, note)
    for number in range(objects):
        builder.wal(number, b"not looked at", [])
    return builder


def chosen(*storages: MemoryStorage, target: Target | None = None) -> str:
    sources = [OpenReplica(f"replica {n}", storage) for n, storage in enumerate(storages)]
    return choose(sources, target or Latest(), None, threading.Event()).generation


def test_notes_tell_the_order_whatever_the_times_say() -> None:
    storage = MemoryStorage()
    add(storage, OLD, 900, 2 * DAY, previous="")
    add(storage, NEW, 1, DAY, previous=OLD)
    assert chosen(storage) == NEW
    add(storage, OTHER, 0, timedelta(0), previous=NEW)
    assert chosen(storage) == OTHER


def test_promise_3_the_clocks_of_hosts_alone_order_nothing() -> None:
    """The link between is gone, and the store's times too: what a host's clock said is no proof."""
    storage = MemoryStorage()
    add(storage, OLD, 900, timedelta(0), previous="")
    add(storage, NEW, 1, DAY, previous="1111111111111111")
    # A copy without its times.
    for name in storage.names():
        storage.replace(name, storage.read(name), BEGAN)
    with pytest.raises(NoRestorePointError, match=f"-generation: {NEW} .*{OLD}"):
        chosen(storage)


def test_promise_3_the_store_decides_where_a_host_had_another_time() -> None:
    """The newer generation is of a host whose clock was behind; its database has gone on."""
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0), previous="")
    builder = add(storage, NEW, 6, DAY, previous="")
    head = b"SQLite format 3\0" + bytes(8) + (6).to_bytes(4, "big") + bytes(4096 - 28)
    behind = note_of(Position(NEW, 0, 0), 1, 4096, time=(BEGAN - DAY).isoformat())
    builder.now = BEGAN + DAY
    builder.snapshot(0, head, behind)
    assert chosen(storage) == NEW
    # Without the change counter the store alone speaks for it: a copy in the order of names looks the same.
    builder.now = BEGAN + DAY
    builder.snapshot(0, head.replace((6).to_bytes(4, "big"), (5).to_bytes(4, "big"), 1), behind)
    with pytest.raises(NoRestorePointError, match=r"clock of its host.*-generation"):
        chosen(storage)


def test_notes_in_a_ring_end_in_an_answer() -> None:
    storage = MemoryStorage()
    add(storage, OLD, 1, timedelta(0), previous=NEW)
    add(storage, NEW, 2, DAY, previous=OLD)
    assert chosen(storage) == NEW


def test_promise_3_what_all_of_a_ring_call_older_is_not_the_newest_whatever_its_times_say() -> None:
    storage = MemoryStorage()
    add(storage, OTHER, 9, 2 * DAY, previous="")
    add(storage, OLD, 1, timedelta(0), previous=NEW, earlier=OTHER)
    add(storage, NEW, 2, DAY, previous=OLD, earlier=OTHER)
    assert chosen(storage) == NEW


def test_promise_3_the_clocks_of_two_stores_order_no_generations_that_never_met_in_one() -> None:
    near, far = MemoryStorage(), MemoryStorage()
    add(near, OLD, 2, timedelta(0), previous="")
    add(far, NEW, 2, DAY, previous="")
    with pytest.raises(NoRestorePointError, match="-generation"):
        chosen(near, far)


def test_promise_3_a_note_from_after_the_time_calls_nothing_older_at_that_time() -> None:
    """Two hosts parted. That the one had begun by then only a store says whose clock is behind."""
    near, far = MemoryStorage(), MemoryStorage()
    add(near, OLD, 2, timedelta(0), previous="")
    add(near, NEW, 2, 2 * DAY, previous=OLD)
    add(far, NEW, 2, -DAY, previous="")
    assert chosen(near, far) == NEW
    with pytest.raises(NoRestorePointError, match=f"{NEW}.*{OLD}"):
        chosen(near, far, target=AtTime(BEGAN + DAY))
    assert chosen(near, target=AtTime(BEGAN + DAY)) == OLD
    assert chosen(near, far, target=AtTime(BEGAN + 3 * DAY)) == NEW


def test_promise_3_a_note_from_after_the_time_takes_no_order_away() -> None:
    """The older one goes on much later, in a replica that it had never been in, and there it is the newer."""
    near, far = MemoryStorage(), MemoryStorage()
    add(near, OLD, 2, timedelta(0), previous="")
    for storage in (near, far):
        add(storage, NEW, 2, DAY, previous=OLD)
    add(far, OLD, 2, 400 * DAY, previous=NEW)
    assert chosen(near, far, target=AtTime(BEGAN + 2 * DAY)) == NEW


@pytest.mark.parametrize("seen", [True, False], ids=["seen by one before", "seen by none"])
def test_promise_3_what_a_full_note_does_not_place_is_placed_by_those_before_or_by_the_stores_times(seen: bool) -> None:
    """A place with so many generations that the newest one's note tells of eight how far they had come."""
    storage = MemoryStorage()
    full = " ".join(f"{number:016x}/00000000:0" for number in range(REACHED_MAX))
    add(storage, OLD, 2, timedelta(0), previous="", objects=1)
    end = f"{OLD}/00000000:13"
    add(storage, OTHER, 2, DAY, previous=OLD, reached=end if seen else "")
    add(storage, NEW, 2, 2 * DAY, previous=OTHER, earlier=OLD, reached=full)
    assert chosen(storage) == NEW
    last = max(item.name for item in storage.list("") if f"/{OLD}/wal/" in item.name)
    data = storage.read(last)
    storage.replace(last, data, BEGAN + 3 * DAY)
    if seen:
        assert chosen(storage) == NEW, "nothing was written since, whatever the times say"
        storage.replace(segment_name(Position(OLD, 0, 13)), data, BEGAN + 3 * DAY)
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        chosen(storage)


def test_promise_3_of_two_copies_that_name_each_other_salts_and_counters_prove_nothing() -> None:
    """Each has met the other in a place of its own; the one that wrote last had fewer commits and restarts."""
    storage = MemoryStorage()
    add(storage, OLD, 9, timedelta(0), previous=NEW)
    add(storage, NEW, 2, DAY, previous=OLD)
    times = {item.name: item.modified for item in storage.list("")}
    for generation, salt in ((OLD, 10), (NEW, 7)):
        for number in range(2):
            name = segment_name(Position(generation, number, 0))
            wal = WALHeader(False, 4096, 1, salt + number, salt, (0, 0)).pack()
            storage.replace(name, b"".join(DEFAULT_CODEC.seal([wal])), times[name])
    assert chosen(storage) == NEW
    for name in storage.names():
        storage.replace(name, storage.read(name), BEGAN)
    with pytest.raises(NoRestorePointError, match=f"-generation: {NEW} .*{OLD}"):
        chosen(storage)


def test_litestream_goes_by_time_and_counter() -> None:
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0))
    add(storage, NEW, 6, DAY)
    assert chosen(storage) == NEW


def test_promise_3_a_copy_without_times_goes_by_the_salts_and_by_nothing_else() -> None:
    """The change counter alone is no proof: a database that was set back has a lower one."""
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0))
    add(storage, NEW, 6, timedelta(0))
    for name in storage.names():
        storage.replace(name, storage.read(name), BEGAN)
    with pytest.raises(NoRestorePointError, match=f"-generation: {NEW} .*{OLD}"):
        chosen(storage)
    for generation, salt in ((OLD, 7), (NEW, 10)):
        wal = WALHeader(False, 4096, 1, salt, salt, (0, 0)).pack()
        for number in range(2):
            name = segment_name(Position(generation, number, 0))
            storage.replace(name, b"".join(DEFAULT_CODEC.seal([wal])), BEGAN)
    assert chosen(storage) == NEW


def test_promise_3_two_generations_within_one_second_are_in_the_order_of_their_times() -> None:
    """Litestream restarted, on a store with times in whole seconds, and nothing but updates in between."""
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0))
    add(storage, NEW, 5, timedelta(0))
    seconds = {OLD: (1, 2), NEW: (2, 3)}
    for generation, (first, last) in seconds.items():
        for name in storage.names():
            if generation in name:
                time = BEGAN + timedelta(seconds=first if "snapshots" in name else last)
                storage.replace(name, storage.read(name), time)
    assert chosen(storage) == NEW


def test_a_copy_in_the_order_of_names_is_not_believed() -> None:
    """Copied one after the other, the old generation has the newest times; its change counter gives it
    away."""
    storage = MemoryStorage()
    add(storage, OLD, 5, DAY)
    add(storage, NEW, 6, timedelta(0))
    with pytest.raises(NoRestorePointError, match=r"-generation: .*change counter 6.*change counter 5"):
        chosen(storage)


def test_no_times_and_equal_counters_are_not_guessed() -> None:
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0))
    add(storage, NEW, 5, timedelta(0))
    with pytest.raises(NoRestorePointError, match="Neither"):
        chosen(storage)


def test_a_generation_without_a_snapshot_is_never_chosen() -> None:
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0))
    add(storage, NEW, 6, DAY)
    storage.delete([snapshot_name(NEW, 0)])
    with pytest.raises(NoRestorePointError, match=f"{NEW} is newer.*no snapshot.*{OLD}"):
        chosen(storage)
    assert choose([OpenReplica("x", storage)], Latest(), OLD, threading.Event()).generation == OLD
    storage.delete([snapshot_name(OLD, 0)])
    with pytest.raises(NoRestorePointError, match=f"{NEW}, {OLD}"):
        chosen(storage)


def test_a_time_chooses_the_generation_that_had_begun() -> None:
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0))
    add(storage, NEW, 6, DAY)
    assert chosen(storage, target=AtTime(BEGAN + DAY - timedelta(seconds=1))) == OLD
    assert chosen(storage, target=AtTime(BEGAN + 2 * DAY)) == NEW
    with pytest.raises(NoRestorePointError, match="the replica holds"):
        chosen(storage, target=AtTime(BEGAN - DAY))


def test_promise_3_a_store_whose_clock_went_back_makes_a_generation_no_older_than_its_beginning() -> None:
    """Its last segment has a time from before it began: at that time the one before it was in use."""
    storage = MemoryStorage()
    add(storage, OLD, 1, timedelta(0), previous="")
    add(storage, NEW, 2, 2 * DAY, previous=OLD)
    last = max(name for name in storage.names() if f"/{NEW}/wal/" in name)
    storage.replace(last, storage.read(last), BEGAN - DAY)
    assert chosen(storage, target=AtTime(BEGAN + DAY)) == OLD
    assert chosen(storage, target=AtTime(BEGAN + 3 * DAY)) == NEW


def test_a_position_names_its_generation() -> None:
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0))
    add(storage, NEW, 6, DAY)
    assert chosen(storage, target=AtPosition(Position(OLD, 0, 0))) == OLD


def test_the_replica_that_reaches_furthest() -> None:
    behind, ahead = MemoryStorage(), MemoryStorage()
    add(behind, NEW, 6, DAY, objects=2)
    add(ahead, NEW, 6, timedelta(0), objects=3)
    sources = [OpenReplica("behind", behind), OpenReplica("ahead", ahead)]
    assert choose(sources, Latest(), None, threading.Event()).source.name == "ahead"
    add(behind, OTHER, 7, 2 * DAY, objects=1)
    assert choose(sources, Latest(), None, threading.Event()).source.name == "behind"


def test_an_unreachable_replica_is_a_warning_while_another_answers() -> None:
    out, good = MemoryStorage(), MemoryStorage()
    add(good, NEW, 6, DAY)
    out.fail("folders", AccessDeniedError("no permission"), times=10)
    sources = [OpenReplica("out", out), OpenReplica("good", good)]
    answer = choose(sources, Latest(), None, threading.Event())
    assert (answer.source.name, len(answer.warnings)) == ("good", 1)
    assert "no permission" in answer.warnings[0]
    with pytest.raises(AccessDeniedError):
        choose(sources[:1], Latest(), None, threading.Event())


def test_an_empty_replica_and_a_damaged_note() -> None:
    storage = MemoryStorage()
    with pytest.raises(NoRestorePointError, match="nothing has been replicated"):
        chosen(storage)
    with pytest.raises(NoRestorePointError, match="is not in memory"):
        choose([OpenReplica("x", storage)], Latest(), OLD, threading.Event())
    add(storage, OLD, 5, timedelta(0), previous="")
    name = snapshot_name(OLD, 0)
    whole = storage.read(name)
    storage.replace(name, whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    with pytest.raises(CorruptObjectError, match="note"):
        chosen(storage)


def test_another_replica_takes_over_when_the_best_one_fails(history: History, tmp_path: Path) -> None:
    broken, good = MemoryStorage(), MemoryStorage()
    publish(history, broken, noted=True)
    publish(history, good, noted=True)
    ReplicaBuilder(broken, began=BEGAN + DAY).noted_snapshot(history.commits[-1], 4096)
    name = snapshot_name(history.commits[-1].at().generation, 2)
    broken.replace(name, broken.read(name)[:-1])
    sources = [OpenReplica("broken", broken), OpenReplica("good", good)]
    result = restore(sources, tmp_path / "older", RestoreOptions(backoff=Backoff(base_seconds=0)))
    assert (result.replica, sha(tmp_path / "older")) == ("broken", history.commits[-1].sha)
    assert name in result.warnings[0]
    base = snapshot_name(history.commits[-1].at().generation, 0)
    broken.replace(base, broken.read(base)[:-1])
    sources = [OpenReplica("broken", broken), OpenReplica("good", good)]
    result = restore(sources, tmp_path / "out", RestoreOptions(backoff=Backoff(base_seconds=0)))
    assert (result.replica, sha(tmp_path / "out")) == ("good", history.commits[-1].sha)
    assert name in result.warnings[0]
    good.fail("get", StorageError("out"), times=10_000)
    with pytest.raises(CorruptObjectError):
        restore(sources, tmp_path / "other", RestoreOptions(backoff=Backoff(base_seconds=0)))


def test_a_newer_generation_that_cannot_be_restored_from_is_never_passed_over_silently() -> None:
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0), previous="")
    add(storage, NEW, 6, DAY, previous="")
    name = snapshot_name(NEW, 0)
    whole = storage.read(name)
    newer = next(item.modified for item in storage.list("") if item.name == name)
    storage.replace(name, whole[:40] + bytes([whole[40] ^ 1]) + whole[41:], newer)
    with pytest.raises(CorruptObjectError, match=f"{name}.*{OLD}"):
        chosen(storage)
    storage.delete([name])
    with pytest.raises(NoRestorePointError, match=f"{NEW} is newer.*{OLD}"):
        chosen(storage)
    # One that is older, or that began after the moment asked for, is nobody's concern.
    assert choose([OpenReplica("x", storage)], AtTime(BEGAN + DAY / 2), None, threading.Event()).warnings == ()


def test_promise_3_no_replica_takes_over_that_is_behind(history: History, tmp_path: Path) -> None:
    """It would give an older commit for the newest: both are named instead."""
    broken, behind = MemoryStorage(), MemoryStorage()
    publish(history, broken, noted=True)
    publish(history, behind, noted=True)
    names = sorted(name for name in behind.names() if "/wal/" in name)
    behind.delete(names[-1:])
    broken.replace(names[0], broken.read(names[0])[:-1])
    sources = [OpenReplica("broken", broken), OpenReplica("behind", behind)]
    with pytest.raises(CorruptObjectError, match=r"Replica behind: it can be restored up to .*-replica behind"):
        restore(sources, tmp_path / "out", RestoreOptions(backoff=Backoff(base_seconds=0)))
    assert list(tmp_path.iterdir()) == []
    result = restore(sources[1:], tmp_path / "out", RestoreOptions(backoff=Backoff(base_seconds=0)))
    assert result.replica == "behind"


@pytest.mark.parametrize("which", [0, -1], ids=["its first segment", "its last segment"])
def test_promise_3_a_refusal_offers_nothing_of_a_replica_that_is_known_to_be_damaged(
    history: History, tmp_path: Path, which: int
) -> None:
    broken, torn = MemoryStorage(), MemoryStorage()
    publish(history, broken, noted=True)
    publish(history, torn, noted=True)
    base = snapshot_name(history.commits[-1].at().generation, 0)
    broken.replace(base, broken.read(base)[:-1])
    name = sorted(name for name in torn.names() if "/wal/00000002" in name)[which]
    torn.replace(name, torn.read(name)[:-1])
    sources = [OpenReplica("broken", broken), OpenReplica("torn", torn)]
    with pytest.raises(CorruptObjectError) as caught:
        restore(sources, tmp_path / "out", RestoreOptions(backoff=Backoff(base_seconds=0)))
    assert f"Replica torn: {name} is damaged" in str(caught.value)
    assert "can be restored up to" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", ["near", "far"])
def test_promise_3_an_index_that_no_replica_has_is_not_the_one_before_it(
    history: History, tmp_path: Path, first: str
) -> None:
    """One replica went away before it, and the other began after it."""
    near, far = MemoryStorage(), MemoryStorage()
    publish(history, near, noted=True)
    near.delete([name for name in near.names() if "/wal/" in name and "/wal/00000000_" not in name])
    ReplicaBuilder(far, GENERATION, BEGAN + DAY).noted_snapshot(history.commits[-1], 4096, begins=1)
    sources = [OpenReplica("near", near), OpenReplica("far", far)]
    sources.sort(key=lambda source: source.name != first)
    with pytest.raises(ReplicationError, match=r"has no index 00000001.*|00000001_00000000.wal.lz4 is not in the"):
        restore(sources, tmp_path / "out.db", RestoreOptions(AtIndex(1), GENERATION))
    assert list(tmp_path.iterdir()) == []
    for index, right in ((0, history.commits[len(history.ends(0)) - 1]), (2, history.commits[-1])):
        result = restore(sources, tmp_path / f"{index}.db", RestoreOptions(AtIndex(index), GENERATION))
        assert (result.position, sha(tmp_path / f"{index}.db")) == (right.at(), right.sha)


@pytest.mark.parametrize("mark", [True, False], ids=["an end mark after it", "nothing after it"])
@pytest.mark.parametrize("target", ["latest", "time", "index"])
def test_promise_3_wal_that_a_snapshot_holds_is_not_missed(
    history: History, tmp_path: Path, mark: bool, target: str
) -> None:
    """The start of the index is lost, and the snapshot of its last commit is there."""
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    builder = ReplicaBuilder(storage, GENERATION)
    builder.now = max(item.modified for item in storage.list(""))
    last = history.commits[-1]
    builder.noted_snapshot(last, 4096)
    if mark:
        builder.put(segment_name(last.at()), b"", {"v": 1})
    storage.delete([segment_name(Position(GENERATION, last.index, 0))])
    targets: dict[str, Target] = {
        "latest": Latest(),
        "time": AtTime(builder.now + DAY),
        "index": AtIndex(last.index),
    }
    asked = targets[target]
    result = restore([OpenReplica("r", storage)], tmp_path / "out.db", RestoreOptions(asked))
    assert (result.position, sha(tmp_path / "out.db")) == (last.at(), last.sha)
    # One commit that it does not hold, and all is missed.
    storage.delete([snapshot_name(GENERATION, last.index)])
    builder.noted_snapshot(history.commits[-2], 4096)
    with pytest.raises(ReplicaGapError):
        restore([OpenReplica("r", storage)], tmp_path / "other.db", RestoreOptions(asked))


def test_promise_3_a_snapshot_from_after_the_time_holds_nothing_of_what_was_asked(
    history: History, tmp_path: Path
) -> None:
    """The start of an index is lost, so that the replica has no plan; what it had by then is known all the same."""
    near, far = MemoryStorage(), MemoryStorage()
    publish(history, near, noted=True)
    publish(history, far, noted=True)
    last = history.commits[-1]
    time = max(item.modified for item in far.list(""))
    builder = ReplicaBuilder(far, GENERATION)
    builder.now = time + DAY
    builder.noted_snapshot(last, 4096)
    far.delete([segment_name(Position(GENERATION, last.index, 0))])
    near.delete(sorted(name for name in near.names() if "/wal/" in name)[-1:])
    sources = [OpenReplica("near", near), OpenReplica("far", far)]
    with pytest.raises(ReplicationError, match=r"far"):
        restore(sources, tmp_path / "out.db", RestoreOptions(AtTime(time)))
    assert list(tmp_path.iterdir()) == []
    result = restore(sources, tmp_path / "out.db", RestoreOptions(AtTime(time + 2 * DAY)))
    assert (result.position, sha(tmp_path / "out.db")) == (last.at(), last.sha)


def test_promise_3_what_ends_within_the_second_in_which_a_lost_one_went_on_is_not_called_newer() -> None:
    """Times in whole seconds: the end mark of the old generation, and WAL of one whose snapshot is lost."""
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0), previous="", objects=1)
    ReplicaBuilder(storage, NEW, BEGAN).wal(0, b"not looked at", [])
    for name in storage.names():
        storage.replace(name, storage.read(name), BEGAN)
    with pytest.raises(NoRestorePointError, match=f"Generation {NEW} is newer.*no snapshot"):
        chosen(storage)


def test_promise_3_in_a_copy_a_generation_has_begun_with_its_first_object() -> None:
    """A later object of it may have an earlier time there."""
    storage = MemoryStorage()
    add(storage, OLD, 5, timedelta(0), previous="")
    builder = add(storage, NEW, 6, 2 * DAY, previous=OLD)
    builder.now = BEGAN + DAY
    builder.put(segment_name(Position(NEW, 1, 4152)), b"not looked at")
    assert chosen(storage, target=AtTime(BEGAN + DAY + DAY / 2)) == OLD
    assert chosen(storage, target=AtTime(BEGAN + 3 * DAY)) == NEW
