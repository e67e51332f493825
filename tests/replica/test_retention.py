"""Retention is a window: whatever was restorable in it stays so, to the same commit, and the rest goes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from replication.errors import NoRestorePointError, ReplicaGapError
from replication.position import Position
from replication.replica.holdings import Holdings
from replication.replica.retention import Removal, expired, lost_of_window, snapshot_needed
from replication.restore.catalog import Catalog, Snapshot, SnapshotNote
from replication.restore.plan import make_plan
from replication.restore.target import AtTime
from replication.storage.names import SegmentInfo, SnapshotInfo

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
