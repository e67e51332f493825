"""The commits around the cursor of the picker as rows, with what the segments that were read tell of each. Pure.

Its promise: a row is a restore point, rows follow each other without one left out, and where something between them is
still to be read they end.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from replication.position import Position
from replication.restore.points import Commits, Stop
from replication.sqlite.format import WAL_HEADER_SIZE
from tui.restore.picker.cursor import Picker

LARGE_FACTOR = 8
"""A commit of so many times the frames of the others is marked."""


@dataclass(frozen=True, slots=True)
class Near:
    """One commit. `time` is when it was made or, where that is not known (`is_made` is false), its object stored.

    `frames` are those that it wrote, if that is known.
    """

    position: Position
    time: float
    is_made: bool
    frames: int | None
    is_snapshot: bool


def around(picker: Picker, before: int, after: int) -> tuple[list[Near], int]:
    """So many commits before and after the cursor, oldest first, as far as is known, and the number of the cursor's.

    Nothing, while that one is still to be read.
    """
    at = picker.position
    if at is None or at not in picker.points(picker.stop):
        return [], 0
    earlier = list(_from(picker, -1, before))[::-1]
    return [*earlier, _near(picker, picker.cursor.stop, at), *_from(picker, 1, after)], len(earlier)


class Sizes:
    """How large the commits are that were read: each object is looked through once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int, int, int]] = {}
        """By object: commits, frames of all, frames of the largest, and where that ends."""

    def largest(self, picker: Picker) -> tuple[Position | None, int]:
        """The commit of the generation that wrote far more than the others that were read, if one did; and of how
        many.
        """
        count = total = most = 0
        found: Position | None = None
        for number, stop in enumerate(picker.point_map.stops):
            commits = picker.commits.get(stop.object)
            if commits is None or stop.begins is None or not commits.frame_size:
                continue
            if stop.object not in self._known:
                self._known[stop.object] = _sized(commits, _begin(picker, number, commits))
            commits_here, frames, largest, end = self._known[stop.object]
            count, total = count + commits_here, total + frames
            if largest > most:
                most, found = largest, Position(stop.begins.generation, stop.begins.index, end)
        is_far = count > 1 and most * (count - 1) >= LARGE_FACTOR * (total - most)
        return (found if is_far else None), count


def _sized(commits: Commits, begin: int | None) -> tuple[int, int, int, int]:
    count = total = most = at = 0
    for end in commits.ends:
        if begin is not None:
            frames = (end - begin) // commits.frame_size
            count, total = count + 1, total + frames
            if frames > most:
                most, at = frames, end
        begin = end
    return count, total, most, at


def _from(picker: Picker, step: int, count: int) -> Iterator[Near]:
    """The commits after the cursor (1) or before it (-1), the nearest first."""
    stops, number, at = picker.point_map.stops, picker.cursor.stop, picker.position
    while count > 0 and 0 <= number < len(stops) and not picker.unread(stops[number]):
        points = picker.points(stops[number])
        if at is not None:
            here = points.index(at)
            points, at = (points[here + 1 :] if step > 0 else points[:here]), None
        for position in points[::step][:count]:
            yield _near(picker, number, position)
            count -= 1
        number += step


def _near(picker: Picker, number: int, position: Position) -> Near:
    stop = picker.point_map.stops[number]
    time, is_made = picker.time_of(stop, position)
    return Near(position, time, is_made, _written(picker, number, stop, position), position in stop.held)


def _written(picker: Picker, number: int, stop: Stop, position: Position) -> int | None:
    commits = picker.commits.get(stop.object)
    if commits is None or not commits.frame_size or stop.begins is None or position.index != stop.begins.index:
        return None
    here = _place(commits, position.offset)
    if here is None:
        return None
    begin = commits.ends[here - 1] if here else _begin(picker, number, commits)
    return (position.offset - begin) // commits.frame_size if begin is not None else None


def _place(commits: Commits, offset: int) -> int | None:
    here = bisect_left(commits.ends, offset)
    return here if here < len(commits.ends) and commits.ends[here] == offset else None


def _begin(picker: Picker, number: int, commits: Commits) -> int | None:
    """Where the first commit of an object begins, which may be in an object before it; None if that is not known."""
    stops = picker.point_map.stops
    begins = stops[number].begins
    assert begins is not None
    if begins.offset == 0:
        return WAL_HEADER_SIZE
    before = _before(stops, picker.commits, number)
    return begins.offset if before is not None and before.extent.end == begins.offset == before.ends[-1] else None


def _before(stops: tuple[Stop, ...], known: Mapping[str, Commits], number: int) -> Commits | None:
    """The commits of the object before one, if it was read and has any."""
    for stop in reversed(stops[max(0, number - 2) : number]):
        if stop.object:
            found = known.get(stop.object)
            return found if found is not None and found.ends else None
    return None
