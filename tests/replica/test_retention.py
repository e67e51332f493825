"""Retention is a window: whatever was restorable in it stays so, to the same commit, and the rest goes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.errors import NoRestorePointError, ReplicaGapError
from replication.position import Position
from replication.replica.wal03.holdings import Holdings
from replication.replica.wal03.retention import Removal, expired, lost_of_window, snapshot_needed
from replication.restore.target import AtTime
from replication.restore.wal03.catalog import Catalog, Snapshot
from replication.restore.wal03.plan import make_plan
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo
from replication.storage.wal03.notes import SnapshotNote

GENERATION, OTHER = "00112233445566aa", "ffeeddccbbaa9988"
BEGAN = datetime(2024, 5, 1, tzinfo=UTC)
PAGE_SIZE, FIRST_SEGMENT_BYTES, SEGMENT_BYTES = 4096, 32 + 4120, 4120


@dataclass(frozen=True, slots=True)
class Written:
    """What a replica holds of one generation, and when its last object was written."""

    catalog: Catalog
    end: datetime

    @property
    def holdings(self) -> Holdings:
        catalog = self.catalog
        offsets = {item.info.index: item.position.offset for item in catalog.snapshots}
        return Holdings(catalog.generation, [item.info for item in catalog.snapshots], catalog.segments, offsets)

    def without(self, names: set[str]) -> Catalog:
        catalog = self.catalog
        return Catalog(
            catalog.generation,
            tuple(item for item in catalog.snapshots if item.info.name not in names),
            tuple(item for item in catalog.segments if item.name not in names),
        )


@st.composite
def written(draw: st.DrawFn) -> Written:
    """A generation as the engine writes one: a snapshot, then segments, indexes and snapshots as time goes on."""
    time, index, offset = BEGAN, 0, 0
    snapshots: dict[int, Snapshot] = {}
    segments: list[SegmentInfo] = []
    steps = draw(st.lists(st.sampled_from(["segment", "index", "snapshot"]), max_size=25))
    for step in ["snapshot", *steps]:
        time += timedelta(seconds=draw(st.integers(1, 20)))
        if step == "segment":
            segments.append(SegmentInfo(GENERATION, index, offset, 100, time))
            offset += SEGMENT_BYTES if offset else FIRST_SEGMENT_BYTES
        elif step == "index" and offset:
            index, offset = index + 1, 0
        elif step == "snapshot" and index not in snapshots:
            note = SnapshotNote(Position(GENERATION, index, offset), 1, PAGE_SIZE, None, None, "", "")
            snapshots[index] = Snapshot(SnapshotInfo(GENERATION, index, 100, time), note)
    return Written(Catalog(GENERATION, tuple(snapshots[key] for key in sorted(snapshots)), tuple(segments)), time)


def objects(removals: list[Removal]) -> set[str]:
    return {name for removal in removals if not removal.whole for name in removal.names}


def generations(removals: list[Removal]) -> list[str]:
    return [removal.generation for removal in removals if removal.whole]


def last_object(catalog: Catalog, time: datetime) -> object:
    """The commit that a restore to `time` ends at, or None if there is no such restore."""
    try:
        plan = make_plan(catalog, AtTime(time))
    except (NoRestorePointError, ReplicaGapError):
        return None
    return max([plan.start, *(item.position for item in plan.segments)])


@settings(deadline=None)
@given(replica=written(), retention=st.integers(1, 200), later=st.integers(0, 300))
def test_the_whole_window_stays_restorable(replica: Written, retention: int, later: int) -> None:
    now = replica.end + timedelta(seconds=later)
    forget = expired([replica.holdings], GENERATION, now, retention)
    assert generations(forget) == []
    after = replica.without(objects(forget))
    for back in range(retention + 1):
        time = now - timedelta(seconds=back)
        assert last_object(after, time) == last_object(replica.catalog, time)


@settings(deadline=None)
@given(replica=written(), retention=st.integers(1, 200), later=st.integers(0, 300))
def test_after_a_fresh_snapshot_nothing_older_than_two_windows_is_left(
    replica: Written, retention: int, later: int
) -> None:
    """A snapshot is asked for once all are older than the window; a window later, what was before it can go."""
    now = replica.end + timedelta(seconds=later)
    # Times in whole seconds: the window begins a second early.
    assert snapshot_needed([replica.holdings], GENERATION, now, retention) == (
        max(item.info.created for item in replica.catalog.snapshots) < now - timedelta(seconds=retention + 1)
    )
    catalog = replica.catalog
    index = max(item.info.index for item in catalog.snapshots) + 1
    fresh = SnapshotInfo(GENERATION, index, 100, now)
    kept = Holdings(GENERATION, [*(item.info for item in catalog.snapshots), fresh], catalog.segments)
    forget = expired([kept], GENERATION, now + timedelta(seconds=retention + 1), retention)
    assert {item.info.name for item in catalog.snapshots} <= objects(forget)
    assert fresh.name not in objects(forget)


@settings(deadline=None)
@given(replica=written(), retention=st.integers(1, 200), later=st.integers(0, 300))
def test_an_older_generation_goes_as_a_whole_and_only_then(replica: Written, retention: int, later: int) -> None:
    now = replica.end + timedelta(seconds=later)
    current = Holdings(OTHER, [SnapshotInfo(OTHER, 0, 100, now)], [])
    end = now + timedelta(seconds=retention + 1)
    early = expired([replica.holdings, current], OTHER, end - timedelta(seconds=1), retention)
    assert generations(early) == []
    newest = replica.holdings.newest
    assert newest is not None
    forget = expired([replica.holdings, current], OTHER, end, retention)
    assert generations(forget) == ([GENERATION] if newest < now else [])


@settings(deadline=None)
@given(replica=written(), retention=st.integers(1, 200), later=st.integers(1, 300), age=st.integers(0, 200))
def test_what_was_in_use_when_the_window_began_stays(replica: Written, retention: int, later: int, age: int) -> None:
    """An idle database is replaced: all that there is of it is older than the window, and not yet to be forgotten."""
    began = replica.end + timedelta(seconds=later)
    current = Holdings(OTHER, [SnapshotInfo(OTHER, 0, 100, began)], [])
    now = began + timedelta(seconds=min(age, retention - 1))
    forget = expired([replica.holdings, current], OTHER, now, retention)
    assert generations(forget) == []
    start = now - timedelta(seconds=retention)
    after = replica.without(objects(forget))
    assert last_object(after, start) == last_object(replica.catalog, start)


def test_nothing_goes_while_the_generation_in_use_has_no_snapshot() -> None:
    old = Holdings(GENERATION, [SnapshotInfo(GENERATION, 0, 100, BEGAN)], [])
    forget = expired([old, Holdings(OTHER, [], [])], OTHER, BEGAN + timedelta(days=365), 1)
    assert forget == []


def test_zero_keeps_everything() -> None:
    old = Holdings(GENERATION, [SnapshotInfo(GENERATION, 0, 100, BEGAN), SnapshotInfo(GENERATION, 1, 100, BEGAN)], [])
    assert expired([old], GENERATION, BEGAN + timedelta(days=365), 0) == []


@settings(deadline=None)
@given(replica=written(), retention=st.integers(1, 200), later=st.integers(0, 300), age=st.integers(1, 200))
def test_the_generation_in_use_stays_whatever_else_is_there(
    replica: Written, retention: int, later: int, age: int
) -> None:
    """Nothing was written to it for long, and somebody began another generation in the same place since then."""
    began = replica.end + timedelta(seconds=later)
    other = Holdings(OTHER, [SnapshotInfo(OTHER, 0, 100, began)], [])
    now = began + timedelta(seconds=retention + age)
    forget = expired([replica.holdings, other], GENERATION, now, retention)
    assert GENERATION not in generations(forget)
    assert last_object(replica.without(objects(forget)), now) == last_object(replica.catalog, now)


def snapshot_at(generation: str, index: int, seconds: float) -> SnapshotInfo:
    return SnapshotInfo(generation, index, 100, BEGAN + timedelta(seconds=seconds))


def segment_at(generation: str, index: int, offset: int, seconds: float) -> SegmentInfo:
    return SegmentInfo(generation, index, offset, 100, BEGAN + timedelta(seconds=seconds))


def test_promise_3_which_generation_was_in_use_is_told_by_notes_and_not_by_times() -> None:
    """Three within a second, as a store with whole seconds has them; the middle one by name was the last."""
    first, second, last = "3" * 16, "9" * 16, "5" * 16
    begun = [
        Holdings(first, [snapshot_at(first, 0, 10)], []),
        Holdings(second, [snapshot_at(second, 0, 10)], [], before=frozenset({first})),
        Holdings(last, [snapshot_at(last, 0, 10)], [], before=frozenset({first, second})),
    ]
    new = Holdings(OTHER, [snapshot_at(OTHER, 0, 500)], [], before=frozenset({first, second, last}))
    now = BEGAN + timedelta(seconds=510)
    assert sorted(generations(expired([*begun, new], OTHER, now, 100))) == [first, second]
    # Without a note nothing orders them: all stay, until one that certainly came later is as old as the window.
    unnoted = [Holdings(held.generation, held.snapshots, held.segments) for held in begun]
    assert generations(expired([*unnoted, new], OTHER, now, 100)) == []
    assert len(generations(expired([*unnoted, new], OTHER, now + timedelta(seconds=100), 100))) == 3


def test_promise_3_a_copy_that_parted_before_the_window_ends_nothing_of_ours() -> None:
    """It went on with our history while we had nothing to send: until we did, that is our newest."""
    shared, copy, later = "3" * 16, "9" * 16, "5" * 16
    old = Holdings(shared, [snapshot_at(shared, 0, 10)], [segment_at(shared, 0, 0, 11)], {0: 0})
    theirs = Holdings(copy, [snapshot_at(copy, 0, 300)], [], before=frozenset({shared}))
    known = {"before": frozenset({shared, copy}), "beside": frozenset({copy})}
    ours = Holdings(later, [snapshot_at(later, 0, 450)], [], **known)  # type: ignore[arg-type]
    now = BEGAN + timedelta(seconds=510)
    assert generations(expired([old, theirs, ours], later, now, 100)) == []
    assert lost_of_window([old, theirs, ours], old.names, now, 100) == Position(shared, 0, 0)
    # The generation before the one that both had is no more than it was, and once both have left, all that goes.
    now += timedelta(seconds=100)
    assert sorted(generations(expired([old, theirs, ours], later, now, 100))) == [shared, copy]
    assert lost_of_window([old, theirs, ours], [*old.names, *theirs.names], now, 100) is None
    # One that we began after that is no reason to keep what we had left by then.
    last = Holdings(OTHER, [snapshot_at(OTHER, 0, 600)], [], before=known["before"] | {later}, beside=known["beside"])
    assert sorted(generations(expired([old, theirs, ours, last], OTHER, now, 100))) == [shared, copy]


@pytest.mark.parametrize("told", ["beside", "past the end"])
def test_promise_3_a_copy_that_goes_on_with_the_generation_makes_nothing_in_it_old(told: str) -> None:
    """Its snapshot is from before the window, and of a history that is not ours: we parted within the window."""
    shared, later = "3" * 16, "5" * 16
    snapshots = [snapshot_at(shared, 0, 10), snapshot_at(shared, 1, 21)]
    old = Holdings(shared, snapshots, [segment_at(shared, 0, 0, 11), segment_at(shared, 1, 0, 20)], {0: 0, 1: 4152})
    known = {"beside": {shared}} if told == "beside" else {"lefts": {Position(shared, 0, 4153)}}
    frozen = {key: frozenset(value) for key, value in known.items()}
    ours = Holdings(later, [snapshot_at(later, 0, 450)], [], before=frozenset({shared}), **frozen)  # type: ignore[arg-type]
    below = [snapshots[0].name, old.segments[0].name]
    now = BEGAN + timedelta(seconds=510)
    for current in (shared, later):
        assert expired([old, ours], current, now, 100) == []
    assert lost_of_window([old, ours], below, now, 100) == Position(shared, 0, 0)
    # Once we have been apart for as long as the window, nothing of ours is in there any more.
    now += timedelta(seconds=100)
    assert objects(expired([old, ours], shared, now, 100)) == {*below}
    assert lost_of_window([old, ours], below, now, 100) is None
    # Nor does one that we began after that keep it.
    last = Holdings(OTHER, [snapshot_at(OTHER, 0, 600)], [], before=frozenset({shared, later}), **frozen)  # type: ignore[arg-type]
    assert objects(expired([old, ours, last], shared, now, 100)) == {*below}


def test_promise_3_what_we_had_of_a_generation_is_kept_although_a_copy_has_left_it_for_long() -> None:
    """The copy went on there, took a snapshot, and then left it too; we had nothing to send, and met it just now."""
    shared, copy, later = "3" * 16, "9" * 16, "5" * 16
    snapshots = [snapshot_at(shared, 0, 10), snapshot_at(shared, 1, 300)]
    segments = [segment_at(shared, 0, 0, 11), segment_at(shared, 1, 0, 301)]
    old = Holdings(shared, snapshots, segments, {0: 0, 1: 4152})
    theirs = Holdings(copy, [snapshot_at(copy, 0, 310)], [], before=frozenset({shared}), beside=frozenset({shared}))
    known = {"before": frozenset({shared, copy}), "beside": frozenset({shared, copy})}
    ours = Holdings(later, [snapshot_at(later, 0, 450)], [], **known)  # type: ignore[arg-type]
    below = [snapshots[0].name, segments[0].name]
    now = BEGAN + timedelta(seconds=510)
    assert expired([old, theirs, ours], later, now, 100) == []
    assert lost_of_window([old, theirs, ours], below, now, 100) == Position(shared, 0, 0)
    now += timedelta(seconds=100)
    assert sorted(generations(expired([old, theirs, ours], later, now, 100))) == [shared, copy]


def test_promise_3_notes_that_name_each_other_cost_nothing() -> None:
    """In a ring each of them is said to be older than the next: then none is over."""
    names = ["3" * 16, "9" * 16]
    ring = [
        Holdings(name, [snapshot_at(name, 0, 10)], [], before=frozenset({other}))
        for name, other in zip(names, names[::-1], strict=True)
    ]
    current = Holdings(OTHER, [snapshot_at(OTHER, 0, 500)], [])
    assert expired([*ring, current], OTHER, BEGAN + timedelta(seconds=510), 100) == []


def test_promise_3_a_snapshot_without_a_note_may_hold_all_of_its_index() -> None:
    """Litestream's: what comes in its index and in the window may be older than what it holds."""
    segments = [
        segment_at(GENERATION, 0, 0, 1),
        segment_at(GENERATION, 1, 0, 300),
        segment_at(GENERATION, 1, 4152, 480),
    ]
    snapshots = [snapshot_at(GENERATION, 0, 0), snapshot_at(GENERATION, 1, 310)]
    now = BEGAN + timedelta(seconds=510)
    assert expired([Holdings(GENERATION, snapshots, segments)], GENERATION, now, 100) == []
    noted = Holdings(GENERATION, snapshots, segments, {0: 0, 1: 4152})
    assert objects(expired([noted], GENERATION, now, 100)) == {snapshots[0].name, segments[0].name}


def test_promise_3_a_clock_that_was_set_back_makes_nothing_older() -> None:
    times = [0, 100, 490, 5, 6]
    segments = [segment_at(GENERATION, index, 0, time) for index, time in enumerate(times)]
    snapshots = [snapshot_at(GENERATION, index, time) for index, time in enumerate(times)]
    held = Holdings(GENERATION, snapshots, segments, dict.fromkeys(range(5), 0))
    assert objects(expired([held], GENERATION, BEGAN + timedelta(seconds=510), 100)) == {
        snapshots[0].name,
        segments[0].name,
    }


@settings(deadline=None)
@given(replica=written(), retention=st.integers(1, 200), later=st.integers(0, 300), data=st.data())
def test_promise_3_on_paper_whatever_the_window_would_lose_is_seen(
    replica: Written, retention: int, later: int, data: st.DataObject
) -> None:
    """Any objects at all are to be removed: if it is allowed, then every moment of the window stays as it was."""
    now = replica.end + timedelta(seconds=later)
    names = set(data.draw(st.lists(st.sampled_from(replica.holdings.names), max_size=4)))
    lost = lost_of_window([replica.holdings], names, now, retention)
    after = replica.without(names)

    def end(segment: Position) -> Position:
        return Position(
            GENERATION, segment.index, segment.offset + (SEGMENT_BYTES if segment.offset else FIRST_SEGMENT_BYTES)
        )

    def state(catalog: Catalog, back: int) -> object:
        """The end of the last commit."""
        try:
            plan = make_plan(catalog, AtTime(now - timedelta(seconds=back)))
        except (NoRestorePointError, ReplicaGapError):
            return None
        found = max([plan.start, *(end(item.position) for item in plan.segments)])
        if found.index and not found.offset:
            # The start of an index is the end of the one before.
            ends = [end(item.position) for item in replica.catalog.segments if item.index < found.index]
            found = max(ends, default=found)
        return found

    if lost is None:
        assert [state(after, back) for back in range(retention + 1)] == [
            state(replica.catalog, back) for back in range(retention + 1)
        ]


@pytest.mark.parametrize("number", range(6))
def test_promise_3_on_paper_each_object_that_the_window_needs_is_missed(number: int) -> None:
    """Two indexes, each with a snapshot; the first has its last commits in the window."""
    segments = [segment_at(GENERATION, 0, 0, 10), segment_at(GENERATION, 0, 4152, 420)]
    segments += [segment_at(GENERATION, 1, 0, 440), segment_at(GENERATION, 1, 4152, 480)]
    snapshots = [snapshot_at(GENERATION, 0, 5), snapshot_at(GENERATION, 1, 450)]
    held = Holdings(GENERATION, snapshots, segments, {0: 32, 1: 4152})
    name = [*(item.name for item in snapshots), *(item.name for item in segments)][number]
    lost = lost_of_window([held], [name], BEGAN + timedelta(seconds=510), 100)
    # The second snapshot leads to nothing that the first does not lead to as well.
    assert (lost is None) == (number == 1)
