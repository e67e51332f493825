"""What waits for one replica is bounded: beyond that it begins anew, and nobody else pays for it."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from replication.errors import NoRestorePointError, ReplicaGapError, ReplicationError, StorageError
from replication.position import Position
from replication.replica import waiting
from replication.replica.wal03.left import read_left
from replication.replica.wal03.replica import Replica
from replication.restore.open_replica import OpenReplica
from replication.restore.points import points_of
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtIndex, AtPosition, AtTime
from replication.restore.wal03.catalog import read_catalog
from replication.restore.wal03.points import point_map, read_commits
from replication.space import Disk
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import restore_points
from tests.replica.bench import Bench

DOWN = StorageError("the store is down")
LIMIT_BYTES = 30_000


def clean(bench: Bench, limit: int = LIMIT_BYTES) -> None:
    bench.database.max_backlog_bytes = limit
    waiting.clean(bench.database, list(bench.replicas.values()))


def commits(bench: Bench, count: int, alive: tuple[str, ...] = ("a",), limit: int = LIMIT_BYTES) -> None:
    """Commits with a checkpoint after each, so that each begins an index; the living replicas get them at once."""
    for _ in range(count):
        bench.commit(5000)
        bench.database.checkpoint()
        for name in alive:
            bench.replica(name).sync()
        for name in bench.replicas:
            if name not in alive:
                with pytest.raises(StorageError):
                    bench.replica(name).sync()
        clean(bench, limit)


def die(bench: Bench, name: str) -> None:
    for verb in ("put", "get", "list"):
        bench.storages[name].fail(verb, DOWN, 100_000)


@pytest.fixture
def two(bench: Bench) -> Bench:
    """Two replicas that have all, one of which is dead from now on."""
    bench.replica("a")
    bench.replica("b")
    commits(bench, 3, ("a", "b"))
    bench.commit()
    bench.settle()
    die(bench, "b")
    return bench


def local_bytes(bench: Bench) -> int:
    return sum(path.stat().st_size for path in bench.database.meta_path.rglob("*.wal"))


def where(replica: Replica) -> Position:
    assert replica.position is not None
    return replica.position


def test_promise_6_what_waits_for_a_dead_replica_is_bounded_and_the_living_one_notices_nothing(two: Bench) -> None:
    last = where(two.replica("b"))
    for _ in range(30):
        commits(two, 1)
        assert local_bytes(two) < LIMIT_BYTES + 40_000
    replica = two.replica("b")
    assert replica.left is not None
    assert "begin anew with a snapshot once its store answers: " in replica.lost
    assert f"no restore point between {last} and then" in replica.lost
    told = [values for level, message, values in two.told if message == "replica is set to begin anew"]
    assert len(told) == 1
    assert two.reasons() == ["no generation exists"]
    two.check("a")


def test_a_living_replica_that_is_too_slow_waits_for_no_answer_of_its_store(bench: Bench) -> None:
    """Its store answers: it begins anew at its next turn, and nobody is sent to look for an outage."""
    replica = bench.replica("a")
    commits(bench, 3)
    for _ in range(30):
        bench.commit(5000)
        bench.database.checkpoint()
    clean(bench)
    assert replica.lost.startswith("set to begin anew with a snapshot: ")
    bench.settle()
    assert replica.lost == ""
    assert bench.restored("a") == bench.app.sha256()


def test_promise_6_it_begins_anew_in_the_same_generation(two: Bench) -> None:
    last = where(two.replica("b"))
    before = two.points("a")
    commits(two, 30)
    two.settle()
    replica = two.replica("b")
    assert replica.left is None
    assert read_left(two.database.meta_path, "b") is None
    assert replica.lost == ""
    assert f"no restore points between {last} and" in replica.standing.lost
    assert two.reasons() == ["no generation exists"]
    assert two.restored("b") == two.app.sha256()
    commits(two, 3, ("a", "b"))
    two.settle()
    points = two.points("b")
    assert points[: len(before)] == before
    states = {sha: number for number, sha in enumerate(two.states)}
    numbers = [states[two.restored("b", point)] for point in points]
    assert numbers == sorted(numbers)
    assert numbers[-1] == len(two.states) - 1
    two.check("a")


def test_promise_3_positions_in_the_hole_are_refused(two: Bench, tmp_path: Path) -> None:
    last = where(two.replica("b"))
    missed = len(two.points("a"))
    commits(two, 30)
    hole = two.points("a")[missed:]
    two.settle()
    commits(two, 2, ("a", "b"))
    client = ReplicaClient(two.storages["b"])
    catalog = read_catalog(client, last.generation)
    assert len(catalog.snapshots) == 2
    held = set(two.points("b"))
    refused = 0
    for position in hole:
        if position in held:
            assert two.restored("b", position) == two.restored("a", position)
            continue
        refused += 1
        with pytest.raises((NoRestorePointError, ReplicaGapError)):
            two.restored("b", position)
    assert refused > 20
    for index in range(last.index + 1, catalog.snapshots[-1].info.index):
        with pytest.raises((NoRestorePointError, ReplicaGapError)):
            restore([OpenReplica("b", client.storage)], tmp_path / "out.db", RestoreOptions(AtIndex(index)))


def test_promise_3_what_a_picker_offers_of_it_can_be_restored(two: Bench) -> None:
    commits(two, 30)
    two.settle()
    commits(two, 2, ("a", "b"))
    two.settle()
    client = ReplicaClient(two.storages["b"])
    generation = where(two.replica("b")).generation
    found = point_map(read_catalog(client, generation))
    assert found.missing, "nothing says that there is a hole"
    offered: list[Position] = []
    for stop in found.stops:
        offered += points_of(stop, read_commits(client, stop.begins) if stop.begins is not None else None)
    assert offered[-1] == where(two.replica("b"))
    assert all(two.restored("b", position) in two.states for position in offered)


def test_promise_9_it_is_proven_and_retention_keeps_the_window(two: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(time=time.time, monotonic=lambda: two.clock.now.timestamp())
    monkeypatch.setattr("replication.replica.wal03.snapshots.time", now)
    commits(two, 30)
    two.settle()
    replica = two.replica("b")
    replica.prove()
    assert replica.standing.broken == ""
    assert replica.standing.proven
    clock = two.clock
    for _ in range(3):
        commits(two, 2, ("a", "b"))
        assert replica.enforce_retention(10**6, clock()) == 0
        assert replica.standing.broken == ""
    points = restore_points(ReplicaClient(two.storages["b"]), where(replica).generation)
    removed = 0
    for _ in range(12):
        commits(two, 4, ("a", "b"))
        removed += replica.enforce_retention(20, clock())
        assert replica.standing.broken == ""
        assert two.restored("b") == two.app.sha256()
    assert removed
    assert points
    assert not [values for level, message, values in two.told if "retention stopped" in message]
    assert two.reasons() == ["no generation exists"]


@pytest.mark.parametrize("when", ["while it is dead", "after it was let go of", "before it is reached"])
def test_promise_8_a_restart_at_any_time_costs_the_living_one_nothing(two: Bench, when: str) -> None:
    commits(two, 4)
    if when == "while it is dead":
        two.replica("b").save_position()
        two.restart()
    commits(two, 26)
    if when == "after it was let go of":
        two.restart()
    commits(two, 3)
    if when == "before it is reached":
        two.restart()
    assert two.replica("b").left is not None
    two.settle()
    assert two.replica("b").left is None
    assert two.reasons() == ["no generation exists"]
    assert two.restored("b") == two.app.sha256()
    two.check("a")


@pytest.mark.parametrize("verb", ["get", "list", "put"])
@pytest.mark.parametrize("restart", [False, True])
def test_promise_8_whatever_fails_while_it_begins_anew_it_is_tried_again(two: Bench, verb: str, restart: bool) -> None:
    """Each request fails once, its answer is lost once, and the program ends there."""
    commits(two, 30)
    two.storages["b"].clear_faults()
    for number in range(12):
        storage = two.storages["b"]
        if verb == "put" and number % 2:
            storage.lose_acknowledgement(1)
        else:
            storage.fail(verb, DOWN, 1)  # type: ignore[arg-type]
        try:
            two.replica("b").sync()
        except StorageError:
            if restart:
                two.restart()
        two.commit()
        two.replica("a").sync()
    two.settle()
    assert two.replica("b").left is None
    assert two.reasons() == ["no generation exists"]
    assert two.restored("b") == two.app.sha256()
    two.check("a")


@pytest.mark.parametrize("meanwhile", [0, 3])
def test_promise_8_ended_after_the_snapshot_it_goes_on_with_that(
    two: Bench, monkeypatch: pytest.MonkeyPatch, meanwhile: int
) -> None:
    commits(two, 30)
    two.storages["b"].clear_faults()

    def end(step: str) -> None:
        if step == "replica: snapshot stored":
            raise KeyboardInterrupt

    monkeypatch.setattr("replication.steps.hook", end)
    with pytest.raises(KeyboardInterrupt):
        two.replica("b").sync()
    monkeypatch.undo()
    two.restart()
    assert two.replica("b").left is not None
    for _ in range(meanwhile):
        two.commit(1000)
        two.database.checkpoint()
    two.settle()
    assert two.replica("b").left is None
    assert two.reasons() == ["no generation exists"]
    client = ReplicaClient(two.storages["b"])
    assert len(client.snapshots(where(two.replica("b")).generation)) == 2
    assert two.restored("b") == two.app.sha256()


@pytest.mark.parametrize("restart", [False, True])
def test_promise_8_an_upload_whose_answer_was_lost_is_known_again(two: Bench, restart: bool) -> None:
    """The usual death: the last upload arrived, and nobody here knows."""
    two.storages["b"].clear_faults()
    two.commit(3000)
    two.storages["b"].lose_acknowledgement(1)
    with pytest.raises(StorageError):
        two.replica("b").sync()
    die(two, "b")
    commits(two, 30)
    assert two.replica("b").left is not None
    if restart:
        two.restart()
    two.settle()
    assert two.reasons() == ["no generation exists"]
    assert two.restored("b") == two.app.sha256()
    assert restore_points(ReplicaClient(two.storages["b"]), where(two.replica("b")).generation)


@pytest.mark.parametrize("restart", [False, True])
def test_promise_8_another_program_that_went_on_there_is_found(two: Bench, restart: bool) -> None:
    """A clone that could write where we could not: its history is not continued by ours, nor ours by it."""
    clone = two.clone(running=True)
    clone.storages["b"].clear_faults()
    clone.commit(4000)
    clone.replica("b").sync()
    theirs = clone.states[-1]
    die(two, "b")
    commits(two, 30)
    assert two.replica("b").left is not None
    if restart:
        two.restart()
    two.settle()
    assert len(two.reasons()) == 2
    generation = where(two.replica("b")).generation
    assert two.restored("b") == two.app.sha256()
    old = next(name for name in ReplicaClient(two.storages["b"]).generations() if name != generation)
    client = ReplicaClient(two.storages["b"])
    points = restore_points(client, old)
    assert two.restored("b", points[-1]) == theirs
    assert len(read_catalog(client, old).snapshots) == 1
    clone.close()


@pytest.mark.parametrize("restart", [False, True])
def test_promise_8_a_clone_that_comes_later_is_kept_off(two: Bench, restart: bool) -> None:
    clone = two.clone(running=True)
    commits(two, 30)
    if restart:
        two.restart()
    two.settle()
    clone.commit(4000)
    clone.settle()
    assert clone.reasons()
    assert two.restored("b", where(two.replica("b"))) == two.app.sha256()
    assert clone.restored("b", where(clone.replica("b"))) == clone.app.sha256()
    clone.close()


def test_a_replica_that_was_never_reached_begins_where_the_database_is(bench: Bench) -> None:
    bench.replica("a")
    bench.replica("b")
    die(bench, "b")
    commits(bench, 30)
    assert local_bytes(bench) < LIMIT_BYTES + 40_000
    bench.settle()
    assert bench.reasons() == ["no generation exists"]
    assert bench.restored("b") == bench.app.sha256()
    bench.check("a")
    bench.check("b")


def test_a_replica_that_comes_back_in_time_lacks_nothing(two: Bench) -> None:
    commits(two, 2)
    two.settle()
    two.check("b")
    two.check("a")


def test_what_was_let_go_of_and_is_still_there_is_sent(two: Bench) -> None:
    """Between the decision and the removal of a file."""
    two.commit(5000)
    two.replica("b").leave_behind("a test")
    two.settle()
    assert two.replica("b").left is None
    two.check("b")


def test_promise_6_older_generations_that_wait_for_a_dead_replica_are_bounded_too(two: Bench) -> None:
    for _ in range(6):
        commits(two, 2)
        two.database.request_generation("test")
        two.commit(5000)
        two.replica("a").sync()
        clean(two)
    assert local_bytes(two) < LIMIT_BYTES + 40_000
    assert two.replica("b").left is not None
    two.settle()
    assert two.restored("b") == two.app.sha256()
    assert where(two.replica("b")) == where(two.replica("a"))
    two.check("a")


def test_promise_6_the_wal_goes_as_soon_as_the_living_have_it(two: Bench) -> None:
    """What is kept for the dead ends with it; nothing else stays but the index in use and the one before it."""
    commits(two, 30)
    here = two.database.position
    assert here is not None
    assert two.database.shadow.indexes(here.generation) == [here.index - 1, here.index]


def test_promise_6_in_the_last_tenth_of_the_disk_next_to_nothing_waits(
    two: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "of", lambda folder: Disk(10**9, 10**9 // 5))
    commits(two, 10, limit=10**9)
    assert two.replica("b").left is None
    monkeypatch.setattr(Disk, "of", lambda folder: Disk(10**6, 10**6 // 11))
    commits(two, 1, limit=10**9)
    assert two.replica("b").left is not None
    assert "the last tenth of which is the application's" in two.replica("b").lost
    monkeypatch.undo()
    two.settle()
    assert two.restored("b") == two.app.sha256()


def test_promise_6_a_snapshot_for_which_too_much_waits_is_ended(bench: Bench) -> None:
    """No checkpoint runs while it is read, so that the WAL grows, and our copy of it."""
    bench.replica("a")
    commits(bench, 3)
    with bench.database.image() as image:
        pieces = image.chunks()
        while not image.ended:
            bench.commit(5000)
            clean(bench)
            assert Path(f"{bench.path}-wal").stat().st_size < LIMIT_BYTES
        with pytest.raises(ReplicationError, match="the snapshot took too long and was ended"):
            list(pieces)
    bench.settle()
    bench.check()


def test_promise_3_a_time_in_the_hole_gives_what_the_replica_had_then(two: Bench, tmp_path: Path) -> None:
    last = where(two.replica("b"))
    state = two.app.sha256()
    commits(two, 30)
    moment = two.clock()
    two.settle()
    client = ReplicaClient(two.storages["b"])
    result = restore([OpenReplica("b", client.storage)], tmp_path / "out.db", RestoreOptions(AtTime(moment)))
    assert result.position == last
    assert two.restored("b", last) == state
    with pytest.raises((NoRestorePointError, ReplicaGapError)):
        two.restored("b", Position(last.generation, last.index, last.offset + 1048))
    assert AtPosition(last)
