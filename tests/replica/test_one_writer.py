"""Promise 8, one history, one writer: a volume, a virtual machine or a folder that was copied goes on in two places.

Whoever uploads second notices it by what is there, says who the other is, and goes on with a history of its own. No
commit of either is lost, and the history that both had is from then on the first one's alone.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest

from replication.database.source_files import WRITTEN
from replication.errors import CorruptObjectError, NoRestorePointError, StorageError
from replication.replica.disowned import disowned
from replication.replica.wal03.send_state import SendState
from replication.storage import container
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.wal03.names import segment_name
from replication.storage.writer import Writer
from tests.replica.bench import Bench

STEPS = 40
SEEDS = range(int(os.environ.get("ONE_WRITER_FIRST", "1")), int(os.environ.get("ONE_WRITER_LAST", "12")) + 1)
ORIGINAL, CLONE = Writer("production", 11, "2026-01-01T00:00:00Z"), Writer("staging", 22, "2026-02-02T00:00:00Z")
ALARM, UNCERTAIN = "another program writes the same history", "the replica holds another history"


def named(bench: Bench, writer: Writer) -> None:
    """Let the replicas of a bench be those of a host."""
    for replica in bench.replicas.values():
        replica._writer = writer


@pytest.fixture
def original(bench: Bench) -> Bench:
    """A database that was replicated for a while, over two indexes."""
    bench.replica()
    named(bench, ORIGINAL)
    bench.commit()
    bench.settle()
    bench.database.checkpoint()
    for _ in range(3):
        bench.commit()
        bench.settle()
    return bench


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.close()


def go(bench: Bench, steps: str) -> None:
    """c commits and uploads, k checkpoints, so that the next commit begins an index, s takes a snapshot."""
    for step in steps:
        if step == "k":
            bench.database.checkpoint()
        elif step == "s":
            bench.replica().snapshot()
        else:
            bench.commit()
            bench.settle()


def parted(first: Bench, second: Bench, other: Writer, certain: bool = True) -> None:
    """The second has found the first out, and each has its own history with all of its commits."""
    generations = [bench.database.generations[-1] for bench in (first, second)]
    assert first.reasons() in ([], ["no generation exists"]), first.reasons()
    assert second.reasons(), "it has begun none"
    assert str(other) in second.reasons()[-1]
    alarms = [values for _, message, values in second.told if message == (ALARM if certain else UNCERTAIN)]
    assert len(alarms) == 1, alarms
    warning = second.replica().warning
    assert f"host {other.host}, pid {other.pid}, running since {other.since}" in warning
    assert warning == alarms[0]["warning"]
    assert disowned(second.folder / "meta") == {generations[0]: certain}
    for bench, generation in zip((first, second), generations, strict=True):
        points = bench.numbers("a", generation)
        assert points == list(range(points[0], len(bench.states)))
        assert bench.restored("a", bench.database.position) == bench.app.sha256()
    # All that the first one had before the clone, too.
    assert first.numbers("a", generations[0])[0] == 1


@pytest.mark.parametrize("running", [True, False], ids=["running", "started"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("c", "c"),
        ("ccc", "c"),
        ("c", "ccc"),
        ("kc", "c"),
        ("c", "kc"),
        ("kc", "kc"),
        ("kckc", "c"),
        ("kckc", "kc"),
        ("ckc", "c"),
        ("ckc", "ckc"),
        ("c", "sc"),
        ("kcs", "kcs"),
    ],
)
def test_promise_8_a_clone_that_uploads_second_gets_a_history_of_its_own(
    original: Bench, benches: list[Bench], running: bool, before: str, after: str
) -> None:
    clone = original.clone(running)
    benches.append(clone)
    named(clone, CLONE)
    go(original, before)
    held = {name: original.storages["a"].read(name) for name in original.storages["a"].names()}
    clone.commit()
    clone.replica().sync()
    assert clone.replica().warning or not running, "it is noticed at the first upload"
    go(clone, after)
    # Nothing that was there was written over.
    assert {name: original.storages["a"].read(name) for name in held} == held
    go(original, "ckcs")
    go(clone, "ckcs")
    # One that has just begun may as well have been set back to an older copy.
    parted(original, clone, ORIGINAL, certain=running)


@pytest.mark.parametrize("running", [True, False], ids=["running", "started"])
@pytest.mark.parametrize("before", ["c", "kc", "ckc"])
def test_promise_8_where_the_clone_is_the_first_the_original_gets_the_new_history(
    original: Bench, benches: list[Bench], running: bool, before: str
) -> None:
    clone = original.clone(running)
    benches.append(clone)
    named(clone, CLONE)
    go(clone, before)
    go(original, "c")
    go(clone, "kc")
    go(original, "kc")
    assert clone.reasons() == []
    assert str(CLONE) in original.reasons()[-1]
    assert "host staging, pid 22" in original.replica().warning
    for bench in (clone, original):
        points = bench.numbers("a", bench.database.generations[-1])
        assert points == list(range(points[0], len(bench.states)))
        assert bench.restored("a", bench.database.position) == bench.app.sha256()


@pytest.mark.parametrize("pending", [1, 3])
def test_promise_8_what_both_had_to_send_is_sent_once(original: Bench, benches: list[Bench], pending: int) -> None:
    """Commits from before the clone, not uploaded yet: of whoever comes second they are taken for its own."""
    for _ in range(pending):
        original.commit()
    clone = original.clone(True)
    benches.append(clone)
    named(clone, CLONE)
    original.settle()
    clone.settle()
    assert clone.reasons() == []
    assert clone.replica().warning == ""
    go(original, "c")
    go(clone, "c")
    parted(original, clone, ORIGINAL)


def test_promise_8_an_end_mark_of_another_is_not_written_behind(original: Bench, benches: list[Bench]) -> None:
    """Whoever begins an index leaves nothing to write in the one before."""
    clone = original.clone(True)
    benches.append(clone)
    named(clone, CLONE)
    end = original.database.position
    assert end is not None
    go(original, "kc")
    mark = original.storages["a"].read(segment_name(end))
    assert b"".join(DEFAULT_CODEC.open("mark", [mark])) == b""
    assert Writer.noted(DEFAULT_CODEC.open("object", [mark]).note or {}) == ORIGINAL
    clone.commit()
    clone.replica().sync()
    assert "holds the end of an index that goes on here" in str(clone.told)
    go(clone, "c")
    parted(original, clone, ORIGINAL)


def test_promise_8_a_snapshot_is_not_written_over_anothers(original: Bench, benches: list[Bench]) -> None:
    clone = original.clone(True)
    benches.append(clone)
    named(clone, CLONE)
    go(original, "cs")
    snapshot = original.storages["a"].names()[1]
    held = original.storages["a"].read(snapshot)
    clone.commit()
    # As if nothing were to be sent: a snapshot is all that this one would write.
    clone.replica()._state = SendState(clone.database.position)
    clone.replica().snapshot()
    assert original.storages["a"].read(snapshot) == held
    assert "holds a snapshot of commits that this database does not have" in str(clone.told)
    go(original, "c")
    go(clone, "c")
    assert "host production, pid 11" in clone.replica().warning
    assert clone.restored("a", clone.database.position) == clone.app.sha256()
    original.numbers("a", original.database.generations[-1])


def test_a_first_snapshot_whose_answer_was_lost_is_gone_on_with(bench: Bench) -> None:
    bench.commit()
    bench.replica()
    bench.storages["a"].lose_acknowledgement()
    with pytest.raises(StorageError):
        bench.replica().sync()
    bench.commit()
    bench.settle()
    bench.check()
    assert bench.reasons() == ["no generation exists"]
    assert bench.replica().warning == ""


def test_an_end_mark_whose_answer_was_lost_is_our_own(bench: Bench) -> None:
    bench.replica()
    go(bench, "ck")
    bench.commit()
    bench.storages["a"].lose_acknowledgement()
    with pytest.raises(StorageError):
        bench.replica().sync()
    bench.settle()
    bench.restart()
    go(bench, "ckc")
    bench.check()
    assert bench.reasons() == ["no generation exists"]


def test_promise_8_a_restore_does_not_choose_between_two_that_parted(original: Bench, benches: list[Bench]) -> None:
    """Else the newest would be whichever took a snapshot last: the clone's rows in the place of production's."""
    clone = original.clone(True)
    benches.append(clone)
    go(original, "c")
    go(clone, "cc")
    go(original, "cc")
    with pytest.raises(NoRestorePointError, match="Two programs"):
        original.restored()
    for bench in (original, clone):
        assert bench.restored("a", bench.database.position) == bench.app.sha256()


def test_a_database_that_was_set_back_is_still_restored_as_it_is_now(original: Bench, benches: list[Bench]) -> None:
    """The history that it was set back from goes on nowhere, so that nothing is unclear."""
    back = original.clone(False)
    benches.append(back)
    go(original, "cc")
    original.close()
    go(back, "cc")
    assert "set back to an older copy" in back.replica().warning
    assert back.restored() == back.app.sha256()
    back.app.execute("SELECT 1")


def test_retention_leaves_what_another_goes_on_with(original: Bench, benches: list[Bench]) -> None:
    clone = original.clone(True)
    benches.append(clone)
    go(original, "c")
    go(clone, "c")
    held = [name for name in original.storages["a"].names() if original.database.generations[-1] in name]
    later = original.clock.now.replace(year=2030)
    original.clock.now = later
    go(clone, "kcs")
    clone.replica().enforce_retention(60.0, later.replace(hour=23))
    assert [name for name in original.storages["a"].names() if original.database.generations[-1] in name] == held


def update(bench: Bench, row: int) -> None:
    """A commit of one frame, as long as any other of them; the replica gets it."""
    bench.write(f"UPDATE t SET b=randomblob(800) WHERE a={row}")
    bench.database.sync()
    bench.replica().sync()


@pytest.fixture
def wide(bench: Bench) -> Bench:
    """A database of which each row has a page of its own."""
    bench.replica()
    for _ in range(8):
        bench.commit(800)
    bench.settle()
    bench.database.checkpoint()
    update(bench, 1)
    return bench


def test_promise_8_an_index_does_not_go_on_from_that_of_a_copy(wide: Bench, benches: list[Bench]) -> None:
    """Somebody emptied the place, a copy began the history there again, and the first one's next index fits by length.

    To be of one length is no more than chance.
    """
    clone = wide.clone(False)
    benches.append(clone)
    store = wide.storages["a"]
    update(wide, 3)
    store.delete(store.names())
    update(clone, 3)
    assert clone.database.position == wide.database.position, "so that only the frames tell one from the other"
    wide.database.checkpoint()
    update(wide, 5)
    for position in (None, wide.database.position):
        with pytest.raises(CorruptObjectError, match="two programs have written this replica"):
            wide.restored("a", position)
    assert wide.restored("a", clone.database.position) == clone.app.sha256()


@pytest.mark.parametrize("rows", [(2, 3), (2, 3, 4)], ids=["as long", "longer"])
def test_promise_9_what_is_written_behind_wal_of_a_copy_is_not_called_restorable(
    bench: Bench, benches: list[Bench], rows: tuple[int, ...]
) -> None:
    """The numbers of both fit together, and a restore would refuse what is there, or find a hole in it."""
    bench.replica()
    for _ in range(8):
        bench.commit(800)
    bench.settle()
    clone = bench.clone(False)
    benches.append(clone)
    for row in rows:
        bench.write(f"UPDATE t SET b=randomblob(800) WHERE a={row}")
    bench.settle()
    store = bench.storages["a"]
    store.delete(store.names())
    clone.settle()
    clone.write("UPDATE t SET b=randomblob(800) WHERE a=2")
    update(clone, 3)
    assert (clone.database.position == bench.database.position) == (len(rows) == 2)
    bench.database.checkpoint()
    update(bench, 5)
    for _ in range(2):
        bench.replica().enforce_retention(0.0, bench.clock.now)
        bench.settle()
    assert bench.replica().standing.proven
    assert bench.restored("a", bench.database.position) == bench.app.sha256()


def test_promise_8_a_snapshot_is_not_gone_on_from_with_wal_of_a_copy(wide: Bench, benches: list[Bench]) -> None:
    """What two wrote, each to a place of its own, was put together by somebody: a snapshot of one, WAL of the other."""
    clone = wide.clone(False)
    benches.append(clone)
    store = wide.storages["a"]
    update(wide, 3)
    update(wide, 5)
    theirs = {name: store.read(name) for name in store.names() if "/wal/00000001" in name}
    store.delete(store.names())
    update(clone, 3)
    store.delete([name for name in store.names() if "/wal/" in name])
    for name, data in theirs.items():
        store.put(name, [data])
    with pytest.raises(CorruptObjectError, match="two programs have written this replica"):
        wide.restored()


def test_promise_3_retention_keeps_what_was_ours_when_the_window_began(original: Bench, benches: list[Bench]) -> None:
    """A copy went on from there in a generation of its own, long before we had anything to send again."""
    clone = original.clone(False)
    benches.append(clone)
    shared, before = original.database.position, original.app.sha256()
    original.database.request_generation("asked for")
    go(original, "c")
    original.clock.now += timedelta(hours=1)
    clone.database.request_generation("asked for")
    go(clone, "c")
    clone.replica().enforce_retention(1800.0, original.clock.now)
    assert clone.restored("a", shared) == before, "it was the newest of this database for half of the window"
    clone.restart(lambda: setattr(original.clock, "now", original.clock.now + timedelta(hours=1)))
    go(clone, "c")
    clone.replica().enforce_retention(1800.0, original.clock.now)
    assert shared is not None
    assert not any(shared.generation in name for name in original.storages["a"].names())


@pytest.mark.parametrize("ahead", ["kcs", "kckcs", "ckcs"])
def test_promise_3_retention_keeps_what_was_ours_where_a_copy_went_on_with_the_generation(
    original: Bench, benches: list[Bench], monkeypatch: pytest.MonkeyPatch, ahead: str
) -> None:
    """The copy took snapshots in it long before the window, while we had nothing to send: none of them is ours."""
    times = SimpleNamespace(time=time.time, monotonic=lambda: original.clock.now.timestamp())
    monkeypatch.setattr("replication.replica.wal03.snapshots.time", times)
    clone = original.clone(running=False)
    benches.append(clone)
    shared, before = original.database.position, clone.app.sha256()
    assert shared is not None
    go(original, ahead)
    original.clock.now += timedelta(hours=1)
    go(clone, "c")
    clone.replica().enforce_retention(1800.0, original.clock.now)
    assert clone.restored("a", shared) == before, "it was the newest of this database for half of the window"
    # Once our own generation is as old as the window, what we had before is over.
    clone.restart(lambda: setattr(original.clock, "now", original.clock.now + timedelta(hours=1)))
    go(clone, "c")
    clone.replica().enforce_retention(1800.0, original.clock.now)
    assert not any(shared.generation in name for name in original.storages["a"].names())


@pytest.mark.parametrize("ahead", ["kcs", "kckcs", "ckcs"])
def test_promise_3_retention_goes_by_what_we_have_sent(
    original: Bench, benches: list[Bench], monkeypatch: pytest.MonkeyPatch, ahead: str
) -> None:
    """A copy that is further in the same generation, and not met yet, makes nothing old that is our newest."""
    times = SimpleNamespace(time=time.time, monotonic=lambda: original.clock.now.timestamp())
    monkeypatch.setattr("replication.replica.wal03.snapshots.time", times)
    go(original, "c")
    clone = original.clone(running=True)
    benches.append(clone)
    named(clone, CLONE)
    newest, here = original.app.sha256(), original.database.position
    go(clone, ahead)
    original.clock.now += timedelta(hours=1)
    go(clone, "kcs")
    original.replica().enforce_retention(1800.0, original.clock.now)
    assert original.restored("a", here) == newest


@pytest.mark.parametrize("host", ["of the first", "of a third"])
def test_promise_3_retention_keeps_what_another_went_on_with_where_nothing_marks_the_end(
    bench: Bench, benches: list[Bench], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The WAL was empty when the first left, and the store's clock was back for a while: its times tell nothing."""
    times = SimpleNamespace(time=time.time, monotonic=lambda: bench.clock.now.timestamp())
    monkeypatch.setattr("replication.replica.wal03.snapshots.time", times)
    bench.replica()
    bench.commit()
    bench.restart(lambda: bench.app.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    bench.settle()
    clone = bench.clone(running=False)
    benches.append(clone)
    bench.database.request_generation("asked for")
    go(bench, "cks")
    bench.clock.now -= timedelta(hours=2)
    go(clone, "ckcs")
    newest, here = clone.app.sha256(), clone.database.position
    assert here is not None
    assert clone.reasons() == []
    # Right again: what the other one has is its newest, and twenty minutes old at most.
    bench.clock.now += timedelta(hours=2, minutes=20)
    if host == "of a third":
        bench.restart()
        bench.settle()
    go(bench, "kcs")
    bench.replica().enforce_retention(600.0, bench.clock.now)
    assert clone.restored("a", here) == newest


def step(bench: Bench, chance: random.Random) -> None:
    """Anything that one of the two may do; a store that fails is met again."""
    what = chance.choice(["commit", "commit", "commit", "copy", "upload", "upload", "checkpoint", "snapshot", "lose"])
    with suppress(StorageError):
        match what:
            case "commit":
                bench.commit(chance.choice([10, 900, 3000]), sync=chance.random() < 0.7)
            case "copy":
                bench.database.sync()
            case "upload":
                bench.replica().sync()
            case "checkpoint":
                bench.database.checkpoint()
            case "snapshot":
                bench.replica().snapshot()
            case _:
                bench.storages["a"].lose_acknowledgement()
                bench.replica().sync()


@pytest.mark.parametrize("seed", SEEDS)
def test_promise_8_in_any_order(original: Bench, benches: list[Bench], seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(chance.randrange(6)):
        step(original, chance)
    clone = original.clone(chance.random() < 0.5)
    benches.append(clone)
    pair = [original, clone]
    for _ in range(STEPS):
        step(chance.choice(pair), chance)
        if chance.random() < 0.05:
            chance.choice(pair).restart()
    for bench in chance.sample(pair, 2):
        bench.commit()
        bench.settle()
    generations = [bench.database.generations[-1] for bench in pair]
    assert generations[0] != generations[1]
    for bench, generation in zip(pair, generations, strict=True):
        points = bench.numbers("a", generation)
        assert points == sorted(points)
        assert sorted({*points}) == list(range(points[0], points[-1] + 1))
        assert bench.restored("a", bench.database.position) == bench.app.sha256()
    # One of the two has kept the history that both had, and it is that one's alone.
    kept = [bench for bench in pair if len(bench.reasons()) == (bench is original)]
    assert len(kept) <= 1
    told = [bench for bench in pair if any(message in (ALARM, UNCERTAIN) for _, message, _ in bench.told)]
    # A clone whose files are not proven to be those that were followed parts at its start, before anybody meets.
    assert told or clone.reasons()[0].startswith(("wal", WRITTEN)), clone.reasons()


@pytest.fixture
def clone(original: Bench, benches: list[Bench]) -> Bench:
    """A copy of the volume as it is at first, which goes on by itself."""
    clone = original.clone(False)
    benches.append(clone)
    named(clone, CLONE)
    return clone


def finds_the_other(clone: Bench) -> None:
    """What the original has uploaded meanwhile is told, a new generation begins, and all of it can be restored."""
    clone.settle()
    assert "holds other WAL than this database" in str(clone.told)
    go(clone, "c")
    assert str(ORIGINAL) in clone.reasons()[-1]
    assert clone.restored("a", clone.database.position) == clone.app.sha256()


def test_promise_8_who_goes_on_where_the_other_left_the_history_is_told(original: Bench, benches: list[Bench]) -> None:
    """Both are at the end of an index; one begins a generation there, and the other the next index."""
    go(original, "ck")
    clone = original.clone(False)
    benches.append(clone)
    named(clone, CLONE)
    clone.database.request_generation("asked for")
    clone.settle()
    go(original, "cc")
    assert "was left here" in original.reasons()[-1]
    assert str(CLONE) in original.reasons()[-1]
    assert [message for _, message, _ in original.told].count(ALARM) == 1
    go(clone, "c")
    for bench in (original, clone):
        points = bench.numbers("a", bench.database.generations[-1])
        assert points == list(range(points[0], len(bench.states)))
        assert bench.restored("a", bench.database.position) == bench.app.sha256()
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        original.restored()


@pytest.mark.parametrize("left", ["generation", "index"])
def test_promise_8_an_end_mark_past_the_end_of_what_is_here_is_anothers(
    original: Bench, clone: Bench, left: str
) -> None:
    """A mark has no content that could differ: where it stands is what shows that another wrote up to it."""
    go(original, "c")
    if left == "generation":
        original.database.request_generation("asked for")
        original.settle()
    else:
        # Its next index has begun, and nothing of that is uploaded yet.
        original.database.checkpoint()
        original.commit()
        replica = original.replica()
        assert replica.position is not None
        replica._end_index(replica.position)
    finds_the_other(clone)


@pytest.mark.parametrize("first", ["original", "clone"])
def test_promise_8_two_that_parted_before_they_met_are_not_taken_for_one_after_the_other(
    original: Bench, benches: list[Bench], first: str
) -> None:
    """Each begins a generation for a reason of its own. Who comes second finds the other's, which came from here."""
    clone = original.clone(False)
    benches.append(clone)
    one, two = (original, clone) if first == "original" else (clone, original)
    for bench in (one, two):
        bench.database.request_generation("asked for")
        go(bench, "cc")
    assert two.restored() == two.app.sha256(), "as long as nobody goes on with the other one it is the newer"
    go(one, "c")
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        original.restored()
    # Also by what a later snapshot says, once the first one is gone.
    go(two, "kcs")
    store = original.storages["a"]
    generation = two.database.generations[-1]
    store.delete([name for name in store.names() if f"/{generation}/snapshots/00000000" in name])
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        original.restored()
    for bench in (original, clone):
        assert bench.restored("a", bench.database.position) == bench.app.sha256()


@pytest.mark.parametrize("later", ["", "again"], ids=["once", "begun again"])
def test_promise_8_who_goes_on_where_an_index_begins_is_seen_by_a_restore(
    bench: Bench, benches: list[Bench], later: str
) -> None:
    """The WAL was empty when one of them left, so that no end mark is there for the other one to meet."""
    bench.replica()
    bench.commit()
    bench.restart(lambda: bench.app.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    bench.settle()
    at = bench.database.position
    assert at is not None
    assert at.offset == 0
    clone = bench.clone(False)
    benches.append(clone)
    bench.database.request_generation("asked for")
    bench.settle()
    if later:
        bench.database.request_generation("asked for")
        go(bench, "cks")
    assert bench.restored() == bench.app.sha256(), "as long as nobody goes on there it is the newer"
    # By the times of the store it is the older: its clock was set back.
    clone.clock.now -= timedelta(hours=1)
    go(clone, "c")
    assert clone.database.position is not None
    assert clone.database.position.generation == at.generation
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        clone.restored()
    for one in (bench, clone):
        assert one.restored("a", one.database.position) == one.app.sha256()


def test_promise_8_a_generation_of_which_nothing_is_here_may_be_what_another_goes_on_with(
    bench: Bench, benches: list[Bench]
) -> None:
    """The copy was made while the WAL was empty, and begins when the other one has sent its first commits."""
    bench.replica()
    bench.commit()
    bench.restart(lambda: bench.app.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    bench.settle()
    clone = bench.clone(False)
    benches.append(clone)
    go(bench, "c")
    clone.database.request_generation("asked for")
    go(clone, "c")
    go(bench, "c")
    with pytest.raises(NoRestorePointError, match="Two programs went on"):
        bench.restored()
    for one in (bench, clone):
        assert one.restored("a", one.database.position) == one.app.sha256()


def test_wal_reaches_the_first_snapshot_also_where_the_rest_of_an_old_generation_is_left(
    original: Bench, benches: list[Bench]
) -> None:
    """A commit comes while it is found that another goes on there: the snapshot has it, and so must the segment."""
    clone = original.clone(True)
    benches.append(clone)
    named(clone, CLONE)
    go(original, "c")
    clone.commit()
    clone.database.request_generation("asked for")
    clone.database.sync()
    replica = clone.replica()

    def committing(level: str, message: str, **values: object) -> None:
        clone.emit(level, message, **values)
        if message == "rest of an old generation not sent":
            clone.commit(sync=False)

    replica._emit = committing
    replica.sync()
    clone.restart()
    go(clone, "c")
    assert clone.reasons()[-1] == "asked for"
    assert clone.restored("a", clone.database.position) == clone.app.sha256()


@pytest.mark.parametrize("left", ["generation", "index"])
def test_promise_8_an_end_mark_where_both_end_proves_nothing_of_what_is_before_it(
    original: Bench, clone: Bench, left: str
) -> None:
    """Both made a commit of one size, the first sent its own and left; that the second one has sent nothing is seen."""
    go(original, "c")
    end = original.database.position
    if left == "generation":
        original.database.request_generation("asked for")
        original.settle()
    else:
        assert end is not None
        original.replica()._end_index(end)
    clone.commit()
    assert clone.database.position == end, "so that the mark stands just where both end"
    finds_the_other(clone)


def test_who_wrote_an_object_is_in_its_note(original: Bench) -> None:
    go(original, "cks")
    store = original.storages["a"]
    for name in store.names():
        note = DEFAULT_CODEC.open("object", [store.read(name)]).note
        assert note is not None
        assert Writer.noted(note) == ORIGINAL
        assert len(container.encode_note(note)) < 150 or "/snapshots/" in name or name.endswith("_00000000.wal.lz4")


@pytest.mark.parametrize(
    "note",
    [
        {},
        {"host": "h", "pid": "1", "since": "2026-01-01T00:00:00Z"},
        {"host": "h\x1b[31m", "pid": 1, "since": "2026-01-01T00:00:00Z"},
        {"host": "h" * 65, "pid": 1, "since": "2026-01-01T00:00:00Z"},
        {"host": "h", "pid": 1, "since": "yesterday"},
    ],
)
def test_promise_7_a_writer_that_a_note_misnames_is_none(note: dict[str, str | int]) -> None:
    assert Writer.noted(note) is None


@pytest.mark.parametrize("spoilt", [-1, 30, 60], ids=["content", "note", "its middle"])
@pytest.mark.parametrize("generation", [False, True], ids=["an index", "a generation"])
def test_an_end_mark_that_is_torn_is_written_again_and_stops_nothing(
    bench: Bench, spoilt: int, generation: bool
) -> None:
    """The program ended right after it had put the mark, and somebody's disk flipped a bit of it."""
    replica, storage = bench.replica(), bench.storages["a"]
    bench.commit()
    bench.settle()
    before = set(storage.names())
    if generation:
        bench.database.request_generation("for the test")
        bench.database.sync()
    else:
        bench.database.checkpoint()
        bench.commit()
    end = replica.position
    assert end is not None
    replica._end_index(end, bench.database.generations[-1] if generation else "")
    [mark] = set(storage.names()) - before
    data = bytearray(b"".join(storage.get(mark)))
    data[spoilt] ^= 4
    storage.put(mark, [bytes(data)])
    bench.restart()
    bench.commit()
    bench.settle()
    assert list(replica.client.read(mark)) == []
    assert replica.client.segment_note(mark) is not None
    assert bench.restored() == bench.app.sha256()
