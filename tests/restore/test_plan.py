"""The plan, as a pure function: rules that hold for every listing, and the words on the command line."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.errors import CorruptObjectError, NoRestorePointError, ReplicaGapError, UsageError
from replication.position import Position
from replication.restore.retry import Backoff
from replication.restore.target import (
    AtIndex,
    AtPosition,
    AtTime,
    Latest,
    Target,
    parse_index,
    parse_position,
    parse_time,
)
from replication.restore.wal03.catalog import Catalog, Snapshot
from replication.restore.wal03.plan import Plan, make_plan
from replication.storage.note_fields import NoteFields
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo
from replication.storage.wal03.notes import SnapshotNote, believed, read_snapshot_note
from replication.times import format_time, time_from
from tests.restore.history import BEGAN, GENERATION, note_of

FRAME = 24 + 512
SECOND = timedelta(seconds=1)


def end_of(frames: int) -> int:
    return 32 + frames * FRAME if frames else 0


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """A generation as a writer leaves it, with snapshots anywhere, ours or Litestream's, and times that
    rise."""
    first = draw(st.integers(0, 3))
    clock = BEGAN
    snapshots: list[Snapshot] = []
    segments: list[SegmentInfo] = []
    for index in range(first, first + draw(st.integers(1, 4))):
        cuts = sorted({0, *draw(st.lists(st.integers(1, 6), max_size=3))})
        due = draw(st.booleans()) or not snapshots
        place = draw(st.integers(0, len(cuts)))
        for number, cut in enumerate([*cuts, None]):
            clock += draw(st.integers(0, 2)) * SECOND
            if due and number == place:
                note = None
                if draw(st.booleans()):
                    held = end_of(draw(st.integers(0, 8)))
                    note = SnapshotNote(Position(GENERATION, index, held), 5, 512, None, None, "", "")
                snapshots.append(Snapshot(SnapshotInfo(GENERATION, index, 10, clock), note))
            if cut is not None:
                segments.append(SegmentInfo(GENERATION, index, end_of(cut), 10, clock))
    keep = draw(st.integers(0, len(segments)))
    kept = segments[:keep]
    reach = kept[-1].index + 1 if kept else first
    return Catalog(GENERATION, tuple(s for s in snapshots if s.info.index <= reach), tuple(kept))


@st.composite
def targets(draw: st.DrawFn) -> Target:
    match draw(st.integers(0, 3)):
        case 0:
            return AtIndex(draw(st.integers(0, 8)))
        case 1:
            return AtTime(BEGAN + draw(st.integers(-1, 40)) * SECOND)
        case 2:
            return AtPosition(Position(GENERATION, draw(st.integers(0, 7)), end_of(draw(st.integers(0, 9)))))
        case _:
            return Latest()


def plan_of(catalog: Catalog, target: Target) -> Plan | None:
    try:
        return make_plan(catalog, target)
    except (NoRestorePointError, ReplicaGapError):
        return None


@given(catalogs(), targets())
def test_promise_3_rules_of_every_plan(catalog: Catalog, target: Target) -> None:
    plan = plan_of(catalog, target)
    if plan is None:
        return
    index, places = plan.snapshot.info.index, [(item.index, item.offset) for item in plan.segments]
    assert plan.snapshot in catalog.snapshots
    # In order, nothing below the snapshot's index, nothing left out between the first and the last.
    begin = catalog.segments.index(plan.segments[0]) if places else 0
    assert plan.segments == catalog.segments[begin : begin + len(places)]
    assert not places or places[0] == (index, 0)
    if isinstance(target, AtPosition):
        assert plan.start <= target.position
        assert all(place <= (target.position.index, target.position.offset) for place in places)
    if isinstance(target, AtIndex):
        assert max([index, *(place[0] for place in places)]) <= target.index
    if isinstance(target, AtTime):
        assert all(item.created <= target.time for item in plan.segments)
        assert places or plan.snapshot.info.created <= target.time
    # A snapshot of Litestream inside its own index is proven, unless all of that index is read.
    inside = [item for item in catalog.segments if item.index == index]
    if plan.snapshot.note is None and places and places[-1][0] == index and not isinstance(target, AtIndex):
        whole = not isinstance(target, AtPosition) and plan.segments[-1] == inside[-1]
        if plan.proof in ("same", "start"):
            assert plan.proof_segments == plan.segments
        else:
            assert whole or plan.proof_segments == tuple(inside[inside.index(plan.segments[-1]) :])
    json.dumps(plan.values())
    assert sum(line.startswith(" ") for line in plan.lines()) == plan.objects


@given(catalogs())
def test_the_latest_uses_the_last_segment_or_a_snapshot_beyond_it(catalog: Catalog) -> None:
    plan = plan_of(catalog, Latest())
    if plan is not None and catalog.segments:
        last = catalog.segments[-1]
        assert plan.segments[-1:] == (last,) or plan.snapshot.info.index > last.index


@given(catalogs(), targets(), st.data())
def test_a_plan_never_steps_over_a_missing_index(catalog: Catalog, target: Target, data: st.DataObject) -> None:
    plan = plan_of(catalog, target)
    if plan is None or not plan.segments:
        return
    gone = data.draw(st.sampled_from(sorted({item.index for item in plan.segments})))
    rest = tuple(item for item in catalog.segments if item.index != gone or item.offset)
    other = plan_of(Catalog(GENERATION, catalog.snapshots, rest), target)
    if other is not None and other.segments:
        assert gone not in range(other.snapshot.info.index, other.segments[-1].index + 1)


def segment(index: int, offset: int, second: int) -> SegmentInfo:
    return SegmentInfo(GENERATION, index, offset, 10, BEGAN + second * SECOND)


def snapshot(index: int, second: int, held: int | None = None) -> Snapshot:
    note = None
    if held is not None:
        note = SnapshotNote(Position(GENERATION, index, held), 5, 512, None, None, "", "")
    return Snapshot(SnapshotInfo(GENERATION, index, 10, BEGAN + second * SECOND), note)


def test_promise_3_a_snapshot_of_litestream_needs_something_written_after_it() -> None:
    """It may hold commits whose WAL never arrived."""
    first, second = segment(0, 0, 1), segment(1, 0, 2)
    # Nothing was written after it: it must be proven to hold what the WAL holds.
    catalog = Catalog(GENERATION, (snapshot(0, 0), snapshot(1, 9)), (first, second))
    plan = make_plan(catalog, Latest())
    assert (plan.snapshot.info.index, plan.proof, plan.proof_segments) == (1, "same", (second,))
    # A segment after it, and more than one for a point inside its index.
    catalog = Catalog(GENERATION, (snapshot(0, 0), snapshot(1, 2)), (first, segment(1, 0, 3)))
    assert (make_plan(catalog, Latest()).snapshot.info.index, make_plan(catalog, Latest()).proof) == (1, "")
    inside = AtPosition(Position(GENERATION, 1, end_of(1)))
    ours = (segment(1, 0, 3), segment(1, end_of(2), 4), segment(1, end_of(3), 5))
    for created, expected in ((2, "inside"), (3, "inside"), (4, None), (9, None)):
        catalog = Catalog(GENERATION, (snapshot(1, created),), ours)
        plan_inside = plan_of(catalog, inside)
        assert (plan_inside.proof if plan_inside else None) == expected
    # A later index is enough, whatever the times.
    catalog = Catalog(GENERATION, (snapshot(1, 9),), (*ours, segment(2, 0, 6)))
    assert make_plan(catalog, inside).proof == "inside"


def test_a_newer_snapshot_bridges_a_gap() -> None:
    catalog = Catalog(GENERATION, (snapshot(0, 0, 0), snapshot(2, 5, 0)), (segment(0, 0, 1), segment(2, 0, 6)))
    assert make_plan(catalog, Latest()).snapshot.info.index == 2
    with pytest.raises(ReplicaGapError, match=r"00000001_00000000\.wal\.lz4 is not in the replica"):
        make_plan(catalog, AtIndex(1))


def test_a_snapshot_two_indexes_past_the_last_segment() -> None:
    plan = make_plan(Catalog(GENERATION, (snapshot(0, 0), snapshot(5, 9)), (segment(0, 0, 1),)), Latest())
    assert (plan.snapshot.info.index, plan.segments) == (5, ())


@given(st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1), timezones=st.just(UTC)))
def test_times_round_trip(time: datetime) -> None:
    assert parse_time(format_time(time)).time == time
    assert time_from(time.isoformat()) == time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC)),
        ("2000-01-01T02:00:00+02:00", datetime(2000, 1, 1, tzinfo=UTC)),
        ("2000-01-01T00:00:00.123456789Z", datetime(2000, 1, 1, microsecond=123456, tzinfo=UTC)),
        ("2000-01-01t00:00:00.5z", datetime(2000, 1, 1, microsecond=500000, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    assert parse_time(text).time == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2000-01-01",
        "2000-01-01T00:00:00",
        "2000-13-01T00:00:00Z",
        "2000-01-01 00:00:00Z",
        "٢000-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_time(text)


def test_indexes_and_positions() -> None:
    assert parse_index("1f") == parse_index("0x0000001F") == AtIndex(31)
    for text in ("", "g", "-1", "80000000", "123456789", "1 "):
        with pytest.raises(UsageError, match="not a WAL index"):
            parse_index(text)
    assert parse_position(f"{GENERATION}/0000001f:32") == AtPosition(Position(GENERATION, 31, 32))
    with pytest.raises(UsageError, match="is not a position"):
        parse_position("1f:32")


def test_notes_that_are_not_believed() -> None:
    info = SnapshotInfo(GENERATION, 3, 10, BEGAN)
    good = note_of(Position(GENERATION, 3, 32 + 4120), 5, 4096)

    def read(fields: NoteFields | None) -> SnapshotNote | None:
        return believed(read_snapshot_note(info.name, fields))

    note = read(good)
    assert note is not None
    assert (note.position.offset, note.mode, note.time) == (4152, 0o640, BEGAN)
    for wrong in (
        {"v": 2},
        {"position": f"{GENERATION}/00000003:4153"},
        {"position": "somewhere"},
        {"pages": 0},
        {"pages": "5"},
        {"page_size": 5},
    ):
        assert read({**good, **wrong}) is None
    assert read({**good, "mode": 0o7777}).mode == 0o777  # type: ignore[union-attr]
    assert read(None) is None


def test_a_note_of_another_snapshot_is_damage() -> None:
    info = SnapshotInfo(GENERATION, 3, 10, BEGAN)
    for position in (f"{GENERATION}/00000004:4152", f"{'f' * 16}/00000003:4152"):
        other = {**note_of(Position(GENERATION, 3, 4152), 5, 4096), "position": position}
        with pytest.raises(CorruptObjectError, match=position):
            read_snapshot_note(info.name, other)


@given(st.integers(1, 10**6), st.booleans(), st.floats(0, 1))
def test_waits_are_bounded(failures: int, throttled: bool, chance: float) -> None:
    backoff = Backoff()
    assert 0 < backoff.delay(failures, throttled, chance) <= backoff.seconds_max
