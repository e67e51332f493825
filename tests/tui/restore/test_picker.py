"""The picker's cursor and the timeline, as pure functions of what a replica holds."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.position import Position
from tests.tui.restore.listed import BEGAN, FRAME, GENERATION, Replica, read
from tui.restore.picker.cursor import asked_words, opened
from tui.text.timeline import ASCII, ZOOM_SECONDS, axis, fitting, row, runs, showing, zoomed

OTHER = "ffeeddccbbaa0011"


@st.composite
def replicas(draw: st.DrawFn) -> Replica:
    replica = Replica().snapshot()
    for _ in range(draw(st.integers(0, 12))):
        what = draw(st.integers(0, 5))
        seconds = draw(st.sampled_from([0.0, 0.25, 1.0, 70.0, 4000.0]))
        # An index ends with a commit, and a snapshot is of one.
        if what == 0 and replica.at_commit:
            replica.restart()
        elif what == 1 and (not replica.snapshots or replica.snapshots[-1].info.index != replica.index):
            if replica.at_commit:
                replica.snapshot(seconds)
        else:
            made = seconds / 2 if seconds and draw(st.booleans()) else None
            replica.segment(draw(st.integers(0, 4)), draw(st.integers(0, 1)), seconds, made)
    return replica


@given(replicas())
def test_every_point_is_reached_step_by_step_both_ways(replica: Replica) -> None:
    picker = read(opened((replica.point_map(),)), replica)
    seen = [picker.position]
    while (moved := read(picker.stepped(-1), replica)).position != seen[-1]:
        picker = moved
        seen.append(picker.position)
    assert seen[::-1] == [position for position, _ in replica.points]
    back = [picker.position]
    while (moved := read(picker.stepped(1), replica)).position != back[-1]:
        picker = moved
        back.append(picker.position)
    assert back == seen[::-1]
    assert read(picker.to_end(-1), replica).position == seen[-1]
    assert read(picker.to_end(1), replica).position == seen[0]


@given(replicas(), st.floats(-100, 20_000))
def test_a_time_finds_the_newest_point_at_or_before_it(replica: Replica, seconds: float) -> None:
    asked = BEGAN.timestamp() + seconds
    picker = read(opened((replica.point_map(),)).at_time(asked), replica)
    # As far as the store is asked at all: an object that came later is of interest where nothing is missing before it.
    before = [position for position, time in replica.points if time <= asked]
    assert picker.position == (before[-1] if before else replica.points[0][0])
    assert picker.cursor.asked == asked


@given(replicas(), st.floats(-100, 20_000), st.integers(0, len(ZOOM_SECONDS) - 1), st.integers(1, 200))
def test_a_row_shows_each_thing_in_the_cell_of_its_time(
    replica: Replica, seconds: float, zoom: int, columns: int
) -> None:
    seen = replica.point_map()
    window = showing(fitting(BEGAN.timestamp(), BEGAN.timestamp() + 1, columns), BEGAN.timestamp() + seconds)
    while window.zoom != zoom:
        window = zoomed(window, BEGAN.timestamp() + seconds, 1 if window.zoom < zoom else -1)
    drawn = row(seen, window, BEGAN.timestamp() + seconds)
    assert len(drawn) == len(axis(window)) == columns
    cursor = window.column(BEGAN.timestamp() + seconds)
    assert drawn.count("▲") == (0 if cursor is None else 1)
    for stop in seen.stops:
        column = window.column(stop.time.timestamp())
        assert column is None or drawn[column] != " "
    for item in seen.snapshots:
        column = window.column(item.timestamp())
        assert column is None or column == cursor or drawn[column] in "S×"


@given(replicas())
def test_all_of_a_generation_fits_into_the_first_window(replica: Replica) -> None:
    seen = replica.point_map()
    first, last = seen.stops[0].time.timestamp(), seen.stops[-1].time.timestamp()
    window = fitting(first, last, 60)
    assert window.column(first) is not None
    assert window.column(last) is not None


def gap() -> Replica:
    """Two runs: indexes 0 and 1, of which 1 was lost, and index 2 with a snapshot of its own."""
    replica = Replica().snapshot().segment(2, seconds=9).restart().segment(3, seconds=10).restart()
    return replica.segment(1, seconds=10).snapshot(seconds=10).segment(2, seconds=10).lose(1)


def test_a_missing_segment_is_a_gap_with_its_mark() -> None:
    seen = gap().point_map()
    began = BEGAN.timestamp()
    assert runs(seen) == [(began + 1, began + 10), (began + 30, began + 50)]
    window = fitting(began, began + 50, 51)
    assert row(seen, window, began + 50) == " S─────────                   ×─────────S─────────▲"
    assert row(seen, window, None, ASCII).isascii()


def test_a_time_in_a_gap_snaps_to_the_earlier_point_and_says_so() -> None:
    replica = gap()
    began = BEGAN.timestamp()
    picker = read(opened((replica.point_map(),)).at_time(began + 25), replica)
    assert picker.time == began + 10
    assert asked_words(picker, began + 50) == "nearest earlier point, 15 s not covered"
    picker = read(picker.by_seconds(4), replica)
    assert (picker.cursor.asked, picker.time) == (began + 29, began + 10)
    assert "19 s not covered" in asked_words(picker, began + 50)
    inside = read(picker.at_time(began + 6), replica)
    assert asked_words(inside, began + 50) == "the newest commit then, written 5 s before"
    early = read(picker.at_time(began - 60), replica)
    assert asked_words(early, began + 50) == "nothing is as old: the first point there is, 1 min 1 s later"
    late = read(picker.at_time(began + 200), replica)
    assert asked_words(late, began + 300) == "the newest point there is, 2 min 30 s before"
    assert asked_words(late.stepped(-1), began + 300) == ""


def test_snapshots_are_jumped_to_and_known_without_reading() -> None:
    replica = gap()
    picker = opened((replica.point_map(),)).to_snapshot(-1)
    assert picker.position == Position(GENERATION, 2, 32 + FRAME)
    assert picker.to_snapshot(-1).position == Position(GENERATION, 0, 0)
    assert picker.to_snapshot(-1).to_snapshot(-1).position == Position(GENERATION, 0, 0)
    assert picker.to_snapshot(-1).to_snapshot(1).position == picker.position


def test_generations_are_changed_at_about_the_same_time() -> None:
    old = Replica(OTHER, BEGAN - timedelta(hours=2)).snapshot().segment(2).segment(1)
    new = Replica().snapshot().segment(1)
    picker = read(opened((new.point_map(), old.point_map())), new, old)
    older = read(picker.to_generation(1), new, old)
    assert older.position == old.points[-1][0]
    assert older.to_generation(1) is older
    assert read(older.to_generation(-1), new, old).position == new.points[0][0]
    assert read(picker.by_seconds(-3600), new, old).position == old.points[-1][0]
    assert read(picker.by_seconds(-3600).by_seconds(3600), new, old).position == new.points[-1][0]


def test_a_segment_that_the_store_does_not_give_is_passed_over() -> None:
    replica = Replica().snapshot().segment(2).segment(2)
    picker = read(opened((replica.point_map(),)), replica)
    lost = replica.segments[1].name
    commits = {name: item for name, item in replica.contents.items() if name != lost}
    picker = picker.knowing(commits, frozenset({lost}))
    assert picker.position == Position(GENERATION, 0, 32 + 2 * FRAME)


def test_in_an_unread_segment_a_step_waits() -> None:
    replica = Replica().snapshot().segment(2)
    picker = opened((replica.point_map(),))
    assert (picker.position, picker.number) == (None, None)
    assert picker.stepped(-1) is picker
    assert read(picker, replica).number == (2, 2)


def test_the_cursor_stays_at_its_point_when_the_replica_was_listed_anew() -> None:
    replica = Replica().snapshot().segment(2).segment(3)
    picker = read(opened((replica.point_map(),)).stepped(-1), replica).stepped(-1)
    at = picker.position
    replica.segment(4)
    again = picker.changed_maps((replica.point_map(),))
    assert again.position == at
    replica.lose(1)
    moved = read(again.changed_maps((replica.point_map(),)), replica)
    assert moved.position is not None
    other = Replica(OTHER).snapshot()
    assert again.changed_maps((other.point_map(),)).position == other.points[-1][0]


@pytest.mark.parametrize(("span", "labels"), [(60, "12:00:00"), (7200, "12:00"), (86400 * 30, "10-20")])
def test_the_axis_says_times_that_suit_the_zoom(span: float, labels: str) -> None:
    drawn = axis(fitting(BEGAN.timestamp(), BEGAN.timestamp() + span, 80))
    assert labels in drawn or "10-2" in drawn
    assert len(drawn.split()) >= 3
