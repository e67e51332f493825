"""The commits around the cursor, and what the segments that were read tell of them, as pure functions."""

from hypothesis import given
from hypothesis import strategies as st

from replication.history.log import Entry, Touched
from replication.position import Position
from tests.tui.restore.listed import BEGAN, FRAME, GENERATION, Replica, read
from tui.restore.picker.commits import Told, lines
from tui.restore.picker.cursor import Picker, opened
from tui.restore.picker.near import Near, Sizes, around
from tui.text.style import Style

STYLE = Style(False, False, BEGAN.timestamp())
PLAIN = Style(True, False, BEGAN.timestamp())


def all_read(picker: Picker, replica: Replica, rows: int) -> Picker:
    """All that a screen with so many rows reads."""
    while wanted := picker.wanted(rows):
        picker = picker.knowing({**picker.commits, wanted[0].object: replica.contents[wanted[0].object]})
    return picker


def picked(replica: Replica, rows: int) -> Picker:
    return all_read(opened((replica.point_map(),)), replica, rows)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(1, 12), st.integers(0, 20))
def test_rows_follow_each_other_and_none_is_left_out(commits: list[int], room: int, back: int) -> None:
    replica = Replica().snapshot()
    for count in commits:
        replica.segment(count)
    picker = picked(replica, room)
    for _ in range(back):
        picker = read(picker.stepped(-1), replica)
    picker = all_read(picker, replica, room)
    rows, here = around(picker, room, room)
    points = [position for position, _ in replica.points]
    at = points.index(rows[here].position)
    assert rows[here].position == picker.position
    assert [row.position for row in rows] == points[max(0, at - room) : at + room + 1]


def test_frames_and_times_are_those_of_the_segments() -> None:
    replica = Replica().snapshot().segment(2, seconds=10, made=8).segment(1, frames=1, seconds=10)
    rows, here = around(picked(replica, 5), 5, 5)
    assert here == len(rows) - 1
    began = BEGAN.timestamp()
    assert [(row.frames, row.is_made, row.time - began) for row in rows] == [
        (None, False, 1),
        (1, True, 3),
        (1, True, 7),
        (2, False, 21),
    ]


def test_one_commit_that_is_far_larger_stands_out_and_says_of_how_many() -> None:
    replica = Replica().snapshot()
    for _ in range(12):
        replica.segment(2)
    assert Sizes().largest(picked(replica, 99)) == (None, 24)
    large = Replica().snapshot().segment(3).segment(3)
    info = large.segments[1]
    ends = large.contents[info.name].ends
    for number in range(1, 3):
        ends[number] += 20 * FRAME
    assert Sizes().largest(picked(large, 9)) == (Position(GENERATION, 0, ends[1]), 6)


def entry(position: Position, *tables: Touched, whole: bool = True) -> Entry:
    return Entry(position, BEGAN, None, 1204, 4_700_000, tables, whole)


def shown(rows: list[Near], told: Told, width: int = 80, style: Style = STYLE) -> list[str]:
    return [line.plain.rstrip() for line in lines(rows, 1, told, width, style)]


def near(second: float, offset: int, made: bool = True) -> Near:
    return Near(Position(GENERATION, 3, offset), BEGAN.timestamp() + second, made, 2, False)


def test_a_row_says_what_was_lost_in_words() -> None:
    rows = [near(-86400, 100), near(1.26, 200), near(2, 300)]
    told = Told(
        {
            rows[0].position: None,
            rows[1].position: entry(
                rows[1].position, Touched("lines", -3), Touched("[b]x[/]", 1), Touched("orders", -18211, "gone")
            ),
        },
        rows[1].position,
        213,
        512,
        is_reading=True,
    )
    assert shown(rows, told, 120) == [
        "  COMMITTED    COMMIT          PAGES     BYTES  TABLES",
        "  10-19 12:00  00000003:100        2    1.0 KB",
        "> 12:00:01.2   00000003:200    1,204    4.7 MB  orders gone −18,211, lines −3, [b]x[/] +1  ← largest of 213",
        "  12:00:02.0   00000003:300        2    1.0 KB  …",
    ]
    narrow = shown(rows, told, 60, PLAIN)
    assert narrow[2] == "> 12:00:01.2   3:200    4.7 MB  orders gone -18,211, l…  <"
    assert all(len(line) <= 60 for line in narrow)
    assert all(line.replace("…", "").isascii() for line in narrow)


def test_which_time_it_is_is_said() -> None:
    told = Told({}, None, 0, 512)
    assert "STORED" in shown([near(1, 100, False), near(2, 200, False)], told)[0]
    mixed = shown([near(1, 100), near(2, 200, False)], told)
    assert "TIME" in mixed[0]
    assert "≤12:00:02.0" in mixed[2]
    assert "12:00:01.0" in mixed[1]
    assert "≤" not in mixed[1]
