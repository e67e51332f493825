"""What is called ok is restorable: a listing is checked, a loss is named and mended, a late listing is no loss."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from replication.errors import AccessDeniedError, StorageError
from replication.position import Position
from replication.replica.duties import Intervals
from replication.replica.runner import ReplicaRunner
from replication.replica.wal03 import snapshots
from replication.replica.wal03.holdings import Holdings
from replication.replica.wal03.keeping import PROBES_MAX
from replication.replica.wal03.proof import Expected, prove
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo
from tests.replica.bench import Bench, Timed
from tests.replica.test_late_store import LateStorage

GENERATION = "00112233445566aa"
TIME = datetime(2024, 5, 1, tzinfo=UTC)
NOT_DUE = 1e9


def holding(snapshots: Iterable[int], segments: Iterable[tuple[int, int]]) -> Holdings:
    return Holdings(
        GENERATION,
        [SnapshotInfo(GENERATION, index, 1, TIME) for index in snapshots],
        [SegmentInfo(GENERATION, *place, 1, TIME) for place in segments],
    )


WHOLE = [(0, 0), (0, 4152), (1, 0), (1, 4152), (1, 8272)]


@pytest.mark.parametrize(
    ("snapshots", "segments", "restorable", "end", "by_snapshot"),
    [
        ([0], WHOLE, True, (1, 9000), True),
        ([0, 1], WHOLE[2:], True, (1, 9000), False),
        ([0], WHOLE[1:], False, (0, 0), True),
        ([0], WHOLE[:1] + WHOLE[2:], False, (0, 4152), True),
        ([0], WHOLE[:2], False, (1, 0), False),
        ([0], WHOLE[:3] + WHOLE[4:], False, (1, 4152), False),
        ([1], WHOLE[:3] + WHOLE[4:], False, (1, 4152), False),
        ([0, 1], WHOLE[:1] + WHOLE[2:4], False, (1, 8272), False),
        ([], WHOLE, False, None, True),
        ([], [], False, None, False),
        ([2], WHOLE, False, None, True),
    ],
)
def test_promise_9_what_a_listing_proves(
    snapshots: list[int],
    segments: list[tuple[int, int]],
    restorable: bool,
    end: tuple[int, int] | None,
    by_snapshot: bool,
) -> None:
    expected = Expected()
    expected.adopt(holding([0], WHOLE))
    proof = prove(holding(snapshots, segments), Position(GENERATION, 1, 9000), expected)
    assert (proof.restorable, proof.by_snapshot) == (restorable, by_snapshot)
    assert proof.end == (Position(GENERATION, *end) if end else None)
    assert bool(proof.missing) == (not restorable)


def test_an_index_in_which_nothing_was_committed_yet_needs_nothing() -> None:
    expected = Expected()
    expected.adopt(holding([0], WHOLE))
    assert prove(holding([0], WHOLE), Position(GENERATION, 2, 0), expected).restorable
    assert prove(holding([0], []), Position(GENERATION, 0, 0), Expected()).restorable


@pytest.fixture
def settled(bench: Bench) -> Bench:
    """Two indexes, each with a few segments; one snapshot."""
    bench.replica()
    for number in range(4):
        bench.commit()
        bench.settle()
        if number == 1:
            bench.database.checkpoint()
    check(bench)
    return bench


def check(bench: Bench, retention_seconds: float = 0.0) -> None:
    bench.replica().enforce_retention(retention_seconds, bench.clock.now)


def named(bench: Bench, part: str) -> list[str]:
    return [name for name in bench.storages["a"].names() if part in name]


def words(bench: Bench) -> list[str]:
    return [message for _, message, _ in bench.told]


def test_promise_9_ok_has_the_time_of_its_proof(settled: Bench) -> None:
    standing = settled.replica().standing
    assert standing.proven > 0
    assert (standing.broken, standing.lost) == ("", "")


@pytest.mark.parametrize("commit", [True, False], ids=["busy", "idle"])
def test_promise_9_a_snapshot_that_a_lifecycle_rule_removed_is_made_again_at_once(settled: Bench, commit: bool) -> None:
    """Without any retention of ours; all WAL is there, and a snapshot is all that is wanting."""
    settled.storages["a"].delete(named(settled, "/snapshots/"))
    if commit:
        settled.commit()
        settled.settle()
    check(settled)
    assert settled.restored() == settled.app.sha256()
    assert settled.reasons() == ["no generation exists"]
    assert "not restorable" in words(settled)
    assert "restorable again" in words(settled)
    standing = settled.replica().standing
    assert standing.broken == ""
    assert "all restore points up to" in standing.lost
    settled.commit()
    settled.settle()
    settled.check()


def test_promise_9_where_the_rule_removed_wal_as_well_a_generation_begins(settled: Bench) -> None:
    storage = settled.storages["a"]
    storage.delete([*named(settled, "/snapshots/"), *named(settled, "/wal/00000001_00000000")])
    check(settled)
    assert "lost its snapshots" in settled.replica().standing.broken
    settled.settle()
    settled.replica().prove()
    assert settled.replica().standing.broken == ""
    assert settled.reasons()[-1] == "replica a lost its snapshots"
    assert settled.restored() == settled.app.sha256()


@pytest.mark.parametrize("lost", ["all of it", "its first segment"])
def test_a_loss_in_an_old_generation_is_mended_by_the_one_that_has_begun(settled: Bench, lost: str) -> None:
    """Its first snapshot is about to come: another generation, or another snapshot, would be one for nothing."""
    storage = settled.storages["a"]
    names = storage.names()
    storage.delete(names if lost == "all of it" else [next(name for name in names if "/wal/" in name)])
    settled.database.request_generation("asked for")
    settled.commit()
    settled.replica().enforce_retention(60.0, settled.clock.now)
    # At once, and not with the next commit.
    assert settled.restored() == settled.app.sha256()
    settled.settle()
    assert settled.reasons() == ["no generation exists", "asked for"]
    snapshots = [name for name in storage.names() if "/snapshots/" in name]
    assert len([name for name in snapshots if settled.database.generations[-1] in name]) == 1
    assert settled.restored() == settled.app.sha256()


@pytest.mark.parametrize("which", range(4))
def test_promise_9_a_hole_that_lost_renames_left_is_found_and_named(settled: Bench, which: int) -> None:
    """A mount acknowledged it and has forgotten it. All segments here but end marks, which no restore needs."""
    contents = [name for name in named(settled, "/wal/") if sum(map(len, settled.replica().client.read(name)))]
    settled.storages["a"].delete([contents[which]])
    settled.commit()
    settled.settle()
    check(settled)
    [(_, _, values)] = [item for item in settled.told if item[1] == "not restorable"]
    assert contents[which] in str(values["reason"])
    assert str(settled.replica().position or "up to")[:16] in str(values["lost"])
    settled.settle()
    assert settled.restored() == settled.app.sha256()
    # A hole in an index that is over is passed by with a snapshot; in the one in use only a generation helps.
    assert len(settled.reasons()) == (1 if "/00000000_" in contents[which] else 2)


def test_promise_9_a_late_listing_is_no_loss_and_proves_nothing(bench: Bench) -> None:
    store = bench.storages["a"] = LateStorage()
    bench.replica()
    bench.commit()
    bench.settle()
    check(bench)
    before = bench.replica().standing
    store.freeze()
    for _ in range(2 * PROBES_MAX):
        bench.commit()
        bench.settle()
    check(bench, 1.0)
    assert bench.replica().standing == before
    store.listed = set()
    check(bench, 1.0)
    assert bench.replica().standing == before
    assert "not restorable" not in words(bench)
    store.thaw()
    check(bench)
    assert bench.replica().standing.proven > before.proven
    assert len(bench.reasons()) == 1
    bench.check()


def test_promise_9_while_it_is_not_proven_nothing_is_removed(settled: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = settled.storages["a"]
    storage.delete(named(settled, "/wal/00000000_00000000"))
    monkeypatch.setattr(settled.replica(), "_snapshot", lambda anew=False: "not now")
    before = storage.names()
    settled.clock.now = settled.clock.now.replace(year=2030)
    check(settled, 1.0)
    assert storage.names() == before


def test_promise_9_a_generation_that_begins_is_looked_for_at_once(bench: Bench) -> None:
    runner = ReplicaRunner(bench.replica(), bench.database, Intervals(0, 0, 0, NOT_DUE), bench.emit)
    bench.commit()
    runner.run()
    runner.duties.run()
    assert bench.replica().standing.proven > 0
    assert runner.status(0.0).proven == bench.replica().standing.proven


class ForgetfulStorage(MemoryStorage):
    """Takes what it is given, and forgets it."""

    forgets = False

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        stored = super().put(name, chunks, create=create)
        if self.forgets:
            super().delete([name])
        return stored


def test_promise_9_a_first_snapshot_that_is_not_there_is_an_error(bench: Bench) -> None:
    store = bench.storages["a"] = ForgetfulStorage()
    store.forgets = True
    runner = ReplicaRunner(bench.replica(), bench.database, Intervals(0, 0, 0, NOT_DUE), bench.emit)
    bench.commit()
    runner.run()
    runner.duties.run()
    status = runner.status(0.0)
    assert status.state == "error"
    assert "not restorable: replica a lost its snapshots" in status.last_error


@pytest.mark.parametrize("error", [AccessDeniedError("may not delete"), StorageError("down")])
def test_a_duty_that_fails_is_a_warning_of_its_own_and_no_error(bench: Bench, error: StorageError) -> None:
    runner = ReplicaRunner(bench.replica(), bench.database, Intervals(0, 0, 1.0, 1e-9), bench.emit)
    bench.commit()
    runner.run()
    runner.duties.run()
    storage = bench.storages["a"]
    for _ in range(5):
        bench.commit()
        runner.hurry()
        storage.fail("list", error)
        storage.fail("folders", error)
        runner.run()
        runner.duties.run()
        storage.clear_faults()
        assert bench.replica().position == bench.database.position
        status = runner.status(0.0)
        assert (status.state, status.last_error, status.errors_in_a_row) == ("ok", "", 0)
        assert status.duty_warning == f"retention failed, commits go on: {error}"
    runner.hurry()
    runner.duties.run()
    assert runner.status(0.0).duty_warning == ""
    told = [(level, message) for level, message, _ in bench.told if message.startswith("retention ")]
    assert told == [("warning", "retention failed"), ("info", "retention goes on")]


def test_a_duty_that_fails_stops_no_other_duty(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removing is refused, as by a key without that right or an Object Lock: snapshots and proofs go on."""
    timed = Timed(bench)
    monkeypatch.setattr(snapshots, "time", timed.module())
    storage = bench.storages["a"]
    runner = ReplicaRunner(bench.replica(), bench.database, Intervals(0, 1e-9, 1.0, 1e-9), bench.emit)
    bench.commit()
    bench.settle()
    for number in range(5):
        before = [name for name in storage.names() if "/snapshots/" in name]
        bench.database.checkpoint()
        bench.commit()
        timed.wait(100.0)
        proven = runner.status(0.0).proven
        storage.fail("delete", AccessDeniedError("may not delete"), times=10)
        runner.hurry()
        runner.run()
        runner.duties.run()
        storage.clear_faults()
        status = runner.status(0.0)
        assert status.state == "ok"
        if number > 2:
            # By then there is something to remove.
            assert status.duty_warning == "retention failed, commits go on: may not delete"
        assert status.proven > proven
        assert len([name for name in storage.names() if "/snapshots/" in name]) == len(before) + 1
    bench.check()
