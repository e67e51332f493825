"""Where the cursor of the restore picker is, among the points of all generations of one replica. Pure.

Its promise: every restore point can be reached, step by step or by time, and the point under the cursor is one
that the replica holds. It leaves to the caller to read the segments that `wanted` names: until then the points
inside them are not known, and `position` is None.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from replication.position import Position
from replication.restore.points import Commits, PointMap, Stop, points_of

NEAR_STOPS = 2
"""How far around the cursor segments are read ahead."""
LAST = -1
BY_TIME = None
"""The newest point of a stop that was made by the time asked for, or else the last one before it."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A point: its generation and stop by number, and which of the stop's points.

    `place` counts the points of the stop from its first, or is LAST, or BY_TIME, or names one by its position. `asked`
    is the time that was asked for, if the point was found by time. `forward` says which way to go on from a segment
    that turns out to hold no point.
    """

    generation: int
    stop: int
    place: int | Position | None
    asked: float | None = None
    forward: bool = False


@dataclass(frozen=True, slots=True)
class Picker:
    """All generations, newest first, each with at least one stop; the segments read so far by name; the cursor.

    Segments in `unreadable` are passed over: the store does not give them.
    """

    point_maps: tuple[PointMap, ...]
    cursor: Cursor
    commits: Mapping[str, Commits] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    _points_known: dict[str, tuple[Position, ...]] = field(default_factory=dict, compare=False, repr=False)
    """The points of each stop that was asked for, by its object, as long as nothing new is known of any."""

    # -- what is under the cursor -----------------------------------------------------------------------------------

    @property
    def point_map(self) -> PointMap:
        """The generation of the cursor."""
        return self.point_maps[self.cursor.generation]

    @property
    def stop(self) -> Stop:
        """The stop of the cursor."""
        return self.point_map.stops[self.cursor.stop]

    @property
    def time(self) -> float:
        """When the point was made, or where that is not known its object stored, in seconds since the epoch."""
        return self.time_of(self.stop, self.position)[0]

    @property
    def is_made(self) -> bool:
        """True if that is the time of the commit."""
        return self.time_of(self.stop, self.position)[1]

    def time_of(self, stop: Stop, position: Position | None) -> tuple[float, bool]:
        """The time of a point of a stop, and whether it is that of the commit."""
        stored, commits = _time(stop), self.commits.get(stop.object)
        if commits is None or position is None or stop.begins is None or position.index != stop.begins.index:
            return stored, False
        made = commits.made(position.offset)
        return (min(made, stored), True) if made is not None else (stored, False)

    @property
    def position(self) -> Position | None:
        """The point, or None until its segment was read."""
        place = self.cursor.place
        if isinstance(place, Position):
            return place
        points = self.points(self.stop)
        if not points or place is None or self.unread(self.stop):
            return None
        return points[max(-len(points), min(place, len(points) - 1))]

    @property
    def number(self) -> tuple[int, int] | None:
        """Which point of how many in its object, counted from 1, if that is known."""
        points, position = self.points(self.stop), self.position
        if self.unread(self.stop) or position not in points:
            return None
        return points.index(position) + 1, len(points)

    @property
    def oldest(self) -> float:
        """The time of the oldest point of all."""
        return min(point_map.stops[0].time.timestamp() for point_map in self.point_maps)

    @property
    def newest(self) -> float:
        """The time of the newest point of all."""
        return max(point_map.stops[-1].time.timestamp() for point_map in self.point_maps)

    @property
    def is_unread(self) -> bool:
        """True while the segment under the cursor is still to be read, so that no step leads on."""
        return self.unread(self.stop)

    def wanted(self, rows: int = 0) -> list[Stop]:
        """Stops whose objects to read next, the nearest to the cursor first: around it, and for so many points of each
        side.
        """
        stops, here = self.point_map.stops, self.cursor.stop
        numbers = [here]
        for step in (-1, 1):
            number, have = here + step, 0
            while 0 <= number < len(stops) and (abs(number - here) <= NEAR_STOPS or have < rows):
                numbers.append(number)
                have += len(self.points(stops[number]))
                if self.unread(stops[number]) and abs(number - here) > NEAR_STOPS:
                    break
                number += step
        numbers.sort(key=lambda number: abs(number - here))
        return [stops[number] for number in numbers if self.unread(stops[number])]

    # -- moving -----------------------------------------------------------------------------------------------------

    def stepped(self, step: int) -> "Picker":
        """One point later (1) or earlier (-1), as far as there are any in this generation.

        In a segment that is still to be read it stays: a step would leave out what is not known yet.
        """
        points, position = self.points(self.stop), self.position
        if self.unread(self.stop):
            return self
        if position in points:
            place = points.index(position) + step
            if 0 <= place < len(points):
                return self._at(self.cursor.stop, place, step > 0)
        return self._to_stop(self.cursor.stop + step, step)

    def to_snapshot(self, step: int) -> "Picker":
        """The next snapshot later (1) or earlier (-1)."""
        stops = self.point_map.stops
        number = self.cursor.stop
        held = self.stop.held[:1]
        if step < 0 and held and self.position is not None and self.position > held[0]:
            return self._at(number, held[0], False)
        if step > 0 and held and self.position is not None and self.position < held[0]:
            return self._at(number, held[0], True)
        number += step
        while 0 <= number < len(stops):
            if stops[number].snapshot:
                return self._at(number, stops[number].held[0] if stops[number].held else 0, step > 0)
            number += step
        return self

    def by_seconds(self, seconds: float) -> "Picker":
        """The point so many seconds later or earlier than the time that was asked for, or than the point."""
        asked = self.cursor.asked if self.cursor.asked is not None else self.time
        # Beyond both ends there is nothing to ask for, and the way back would be long.
        return self.at_time(max(min(self.oldest, self.time), min(asked + seconds, max(self.newest, asked))))

    def at_time(self, asked: float) -> "Picker":
        """The newest point at or before a time, in any generation. Without one it is the oldest point of all."""
        best: tuple[float, bool, int, int] | None = None
        for number, point_map in enumerate(self.point_maps):
            stop = bisect_right(point_map.stops, asked, key=_time) - 1
            if stop >= 0:
                rank = (_time(point_map.stops[stop]), number == self.cursor.generation, -number, stop)
                best = max(best, rank) if best is not None else rank
        if best is None:
            number = min(range(len(self.point_maps)), key=lambda item: self.point_maps[item].stops[0].time)
            return replace(self, cursor=Cursor(number, 0, 0, asked, True))._settled()
        number, stop = -best[2], best[3]
        following = self.point_maps[number].stops[stop + 1 : stop + 2]
        if following and following[0].object and following[0].joined:
            # Its object was stored later, but some of what it has may have been made by then.
            return replace(self, cursor=Cursor(number, stop + 1, BY_TIME, asked))._settled()
        return replace(self, cursor=Cursor(number, stop, LAST, asked))._settled()

    def at_position(self, position: Position) -> "Picker | None":
        """The point at a position, or None if no stop can have it."""
        for number, point_map in enumerate(self.point_maps):
            if point_map.generation == position.generation:
                for stop in range(len(point_map.stops) - 1, -1, -1):
                    begins, held = point_map.stops[stop].begins, point_map.stops[stop].held
                    if position in held or (
                        begins is not None and begins.index == position.index and begins.offset < position.offset
                    ):
                        return replace(self, cursor=Cursor(number, stop, position))
        return None

    def to_generation(self, step: int) -> "Picker":
        """The generation below (1) or above (-1), at about the same time."""
        number = self.cursor.generation + step
        if not 0 <= number < len(self.point_maps):
            return self
        stop = bisect_right(self.point_maps[number].stops, self.time, key=_time) - 1
        return replace(self, cursor=Cursor(number, max(0, stop), 0 if stop < 0 else LAST, forward=stop < 0))._settled()

    def to_end(self, step: int) -> "Picker":
        """The last (1) or the first (-1) point of the generation."""
        last = len(self.point_map.stops) - 1
        cursor = Cursor(self.cursor.generation, last if step > 0 else 0, LAST if step > 0 else 0, forward=step < 0)
        return replace(self, cursor=cursor)._settled()

    # -- learning ---------------------------------------------------------------------------------------------------

    def knowing(self, commits: Mapping[str, Commits], unreadable: frozenset[str] = frozenset()) -> "Picker":
        """The picker with these `commits` and `unreadable` segments in place of what was known before."""
        return replace(self, commits=dict(commits), unreadable=unreadable, _points_known={})._settled()

    def changed_maps(self, point_maps: tuple[PointMap, ...]) -> "Picker":
        """The picker on what was listed anew. The cursor stays at its point, or goes to the nearest before it."""
        position, stop, point_map = self.position, self.stop, self.point_map
        number = next((n for n, item in enumerate(point_maps) if item.generation == point_map.generation), None)
        if number is None:
            return opened(point_maps, self.commits)
        stops = point_maps[number].stops
        same = stop.object
        for n, item in enumerate(stops):
            if item.object == same and (same or item.held == stop.held):
                place = position if position in self.points(item) else self.cursor.place
                if isinstance(place, Position) and place not in self.points(item):
                    place = LAST
                return replace(
                    self,
                    point_maps=point_maps,
                    _points_known={},
                    cursor=replace(self.cursor, generation=number, stop=n, place=place),
                )
        nearest = max(0, bisect_right(stops, self.time, key=_time) - 1)
        cursor = Cursor(number, nearest, LAST, self.cursor.asked)
        return replace(self, point_maps=point_maps, _points_known={}, cursor=cursor)._settled()

    # -- inside -----------------------------------------------------------------------------------------------------

    def points(self, stop: Stop) -> tuple[Position, ...]:
        """The points of a stop, as far as they are known."""
        if not stop.object:
            return points_of(stop, None)
        found = self._points_known.get(stop.object)
        if found is None:
            found = self._points_known[stop.object] = points_of(stop, self.commits.get(stop.object))
        return found

    def unread(self, stop: Stop) -> bool:
        """True while the object of a stop is still to be read."""
        name = stop.object
        return bool(name) and name not in self.commits and name not in self.unreadable

    def _at(self, stop: int, place: int | Position, forward: bool) -> "Picker":
        return replace(self, cursor=Cursor(self.cursor.generation, stop, place, forward=forward))

    def _to_stop(self, number: int, step: int) -> "Picker":
        """The first or last point of another stop. Stops that were read and hold none are passed over."""
        stops = self.point_map.stops
        while 0 <= number < len(stops):
            if self.unread(stops[number]) or self.points(stops[number]):
                return self._at(number, 0 if step > 0 else LAST, step > 0)
            number += step
        return self

    def _by_time(self) -> "Picker":
        """The newest point of the stop that was made by the time asked for, or the last one of the stop before."""
        asked = self.cursor.asked
        assert asked is not None
        for position in reversed(self.points(self.stop)):
            time, is_made = self.time_of(self.stop, position)
            if is_made and time <= asked:
                return replace(self, cursor=replace(self.cursor, place=position))
        return replace(self, cursor=replace(self.cursor, stop=self.cursor.stop - 1, place=LAST))._settled()

    def _settled(self) -> "Picker":
        """The picker at a point or at a segment that is still to be read: in one direction, or else in the other."""
        if self.unread(self.stop):
            return self
        if self.cursor.place is BY_TIME:
            return self._by_time()
        if self.points(self.stop):
            return self
        step = 1 if self.cursor.forward else -1
        for direction in (step, -step):
            moved = self._to_stop(self.cursor.stop + direction, direction)
            if moved is not self:
                return replace(moved, cursor=replace(moved.cursor, asked=self.cursor.asked))
        return self


def opened(point_maps: tuple[PointMap, ...], commits: Mapping[str, Commits] | None = None) -> Picker:
    """A picker at the newest point of the first generation. `point_maps` are newest first, none without a stop."""
    cursor = Cursor(0, len(point_maps[0].stops) - 1, LAST)
    return Picker(point_maps, cursor, dict(commits or {}))._settled()


def asked_words(picker: Picker, now: float) -> str:
    """What became of the time asked for, in words; empty if the point was not found by time."""
    asked, time = picker.cursor.asked, picker.time
    if asked is None:
        return ""
    if time > asked:
        return f"nothing is as old: the first point there is, {_long(time - asked)} later"
    behind = asked - time
    covered = any(begin <= asked <= end for begin, end in picker.point_map.runs)
    if covered or behind < 1:
        verb = "made" if picker.is_made else "written"
        return "the newest commit then" + (f", {verb} {_long(behind)} before" if behind >= 1 else "")
    if not lost_after(picker) and all(_time(point_map.stops[-1]) <= asked for point_map in picker.point_maps):
        return f"the newest point there is, {_long(behind)} before"
    return f"nearest earlier point, {_long(behind)} not covered"


def lost_after(picker: Picker) -> str:
    """The object that is missing or damaged between the point and the time asked for; empty if none is."""
    asked, time = picker.cursor.asked, picker.time
    lost = (
        item.name for item in picker.point_map.missing if asked is not None and time <= item.time.timestamp() <= asked
    )
    return next(lost, "")


def _long(seconds: float) -> str:
    """A length of time in its two largest units: 8 s, 3 min 20 s, 2 h 5 min, 4 d 1 h."""
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((n for n, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def _time(stop: Stop) -> float:
    return stop.time.timestamp()
