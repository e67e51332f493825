"""The restore points of a replica as values, the same for every layout: for a picker, and to be drawn.

A list tells where points are, which are its *stops*; the points at a stop are known when its object was read.
"""

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol

from replication.position import Position


@dataclass(frozen=True, slots=True)
class Stop:
    """Where restore points are: an object in reach that has commits, or a snapshot by itself.

    `time` is when its object was written, never before that of an earlier stop. `object` names the one whose commits
    tell the points here, and `begins` says where that begins; of a snapshot by itself they are "" and None. `held` are
    points that noted snapshots hold here, known without reading the object. Commits before `least` are out of reach.
    `snapshot` is true where a snapshot can be aimed at; `joined` if nothing is missing since the stop before.
    `only_last` where nothing but the last commit can be had, of a snapshot that Litestream has just written. `size` are
    the stored bytes of the object that has the commits.
    """

    time: datetime
    object: str
    begins: Position | None
    held: tuple[Position, ...]
    least: Position
    snapshot: bool
    joined: bool
    only_last: bool = False
    size: int = 0

    @property
    def label(self) -> str:
        """The object for people, in short."""
        return self.object.rpartition("/")[2].partition(".")[0]


@dataclass(frozen=True, slots=True)
class Missing:
    """An object that is not there, or damaged: what follows, from `time` on, is out of reach until a snapshot."""

    time: datetime
    name: str


@dataclass(frozen=True)
class PointMap:
    """One generation: its stops in the order of their positions, the times of its snapshots, what is missing.

    `reason` says why the generation began and `previous` which came before, where its snapshot has a note.
    """

    generation: str
    stops: tuple[Stop, ...]
    snapshots: tuple[datetime, ...]
    missing: tuple[Missing, ...]
    damaged: tuple[str, ...]
    reason: str
    previous: str

    @cached_property
    def runs(self) -> tuple[tuple[float, float], ...]:
        """The stretches of time, in seconds since the epoch, within which every moment has a restore point."""
        found: list[tuple[float, float]] = []
        for stop in self.stops:
            time = stop.time.timestamp()
            if stop.joined and found:
                found[-1] = (found[-1][0], time)
            else:
                found.append((time, time))
        return tuple(found)

    def stored(self, begin: float, end: float) -> int:
        """The bytes of the objects with commits that were stored from one time on and before another."""
        times, sums = self._sums
        return sums[bisect_left(times, end)] - sums[bisect_left(times, begin)]

    @cached_property
    def _sums(self) -> tuple[list[float], list[int]]:
        times = [stop.time.timestamp() for stop in self.stops]
        return times, [0, *accumulate(stop.size for stop in self.stops)]


@dataclass(frozen=True, slots=True)
class Extent:
    """What was learned by reading an object: where it ends and, by its note, where the index before ended."""

    end: int
    previous: Position | None


@dataclass(frozen=True, slots=True)
class Commits:
    """What one object holds: the offset after each commit, and the pages of the database then.

    A page takes `frame_size` bytes. `times` tells when commits were made, where the object notes that: offsets up to
    which everything was, and milliseconds since the epoch by the clock of the store.
    """

    ends: "array[int]"
    pages: "array[int]"
    extent: Extent
    frame_size: int = 0
    times: tuple[tuple[int, int], ...] = ()

    def made(self, offset: int) -> float | None:
        """When the commit that ends there was made, in seconds since the epoch, if that is known."""
        return next((time / 1000 for end, time in self.times if end >= offset), None)


def points_of(stop: Stop, commits: Commits | None) -> tuple[Position, ...]:
    """The restore points at a stop in order; without its `commits` only those that snapshots hold."""
    found = set(stop.held)
    if commits is not None and stop.begins is not None:
        least = stop.least.offset
        index, generation = stop.begins.index, stop.begins.generation
        ends = commits.ends[-1:] if stop.only_last else commits.ends
        found.update(Position(generation, index, end) for end in ends if end >= least)
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class Listed:
    """A replica as it was listed: its generations with restore points, newest first, and how many have none.

    `passed_over` says of other replicas why they were not taken, `others` what those have that were not needed.
    """

    replica: str
    address: str
    point_maps: tuple[PointMap, ...]
    without_points: int
    passed_over: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned by reading an object: everything to give to the picker anew."""

    point_maps: tuple[PointMap, ...] | None
    commits: Mapping[str, Commits]
    unreadable: frozenset[str]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Fetch:
    """What restoring a point would fetch: in short, its bytes as stored, and line by line with every object."""

    words: str
    size: int
    lines: tuple[str, ...]
    plan: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The same for programs, with the replica, of a restore that was planned by its flags."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What such a restore would warn of."""


class PointReader(Protocol):
    """Reads the points of some replicas of one database, one list at a time. Every method may wait for the store."""

    def list(self, name: str | None = None) -> Listed:
        """List the replica of that name, or that which answers best: the one that restoring the latest state would
        take.

        Raises StorageError if it, or none of them, answers, and NoBackupError if there is nothing to restore.
        """

    def read(self, stop: Stop) -> Learned:
        """Read what is at one stop of the list; what cannot be read is said in the result, and not raised."""

    def plan(self, position: Position) -> Fetch:
        """What restoring a point would fetch, by the list as it was.

        Raises RestoreError, and KeyError for a generation that is not in the list.
        """

    def is_by_itself(self, position: Position) -> bool:
        """True if restoring a point would take a snapshot of which nothing tells which commit it holds."""
