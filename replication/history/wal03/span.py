"""Two moments of one replica and the pages that were written between them, by the frames of the WAL.

    stretches    S1 ---c---[early]---c--- S2 ---c--- S3 ---c---[late]
    written                      |<----------------------------->|        by all frames between, stretch by stretch back

Its promise: both are what a restore of them would give, and a page that is not in the answer is alike at both. Where
they are of two generations, or the WAL between them is not whole, all pages are compared, and a remark says so.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from replication.errors import CorruptObjectError, NoRestorePointError, ObjectNotFoundError, ReplicaGapError
from replication.history.cache import TableCache
from replication.history.contract import Moment
from replication.history.span import PageSet, Span, Times
from replication.history.versions import Place, place_of
from replication.history.wal03.stretches import stretches
from replication.history.wal03.timeline import Timeline, read_timeline
from replication.position import Position
from replication.restore.meter import RestoreProgress
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.retry import check
from replication.restore.target import AtPosition, Target
from replication.restore.wal03.attempts import attempts_at

_NO_WAL = (NoRestorePointError, ReplicaGapError, CorruptObjectError, ObjectNotFoundError)
_END: Place = 1 << 64


@dataclass(frozen=True, slots=True)
class _Bound:
    """What a target leads to, as far as a plan tells before any WAL is read: the last commit up to the place `last`.

    `exact` is that commit, if the target names it.
    """

    target: Target
    generation: str
    last: Place
    exact: Position | None


@dataclass(frozen=True, slots=True)
class _Point:
    """A commit of a timeline."""

    timeline: Timeline
    position: Position

    @property
    def moment(self) -> Moment:
        return self.timeline.moment(self.position)

    @property
    def times(self) -> Times:
        end = place_of(self.position)
        return Times(self.timeline.seen_at(end), self.timeline.written_at(end))


@dataclass(frozen=True, slots=True)
class _Way:
    """The way from a commit back to an earlier one: the pages written between, and the stored bytes that were read."""

    early: _Point
    late: _Point
    written: PageSet
    passed_bytes: int


@dataclass(frozen=True, slots=True)
class _Reader:
    sources: Sequence[OpenReplica]
    options: RestoreOptions
    cache: TableCache
    progress: Callable[[RestoreProgress], None]
    stop: threading.Event
    tell: Callable[[str], None]

    def bound(self, target: Target) -> _Bound:
        """What a target leads to. Raises what a restore raises before it fetches anything."""
        attempts = attempts_at(self.sources, self._options(target), self.stop)
        plan = attempts.prepared.plan
        last = place_of(plan.stop) if plan.stop else place_of(plan.following.position) if plan.following else _END
        return _Bound(attempts.options.target, plan.generation, last, plan.stop)

    def alone(self, target: Target) -> _Point:
        """The commit of a target, by a timeline of its own. Raises whatever a restore raises."""
        timeline = read_timeline(self.sources, self._options(target), self.cache, self.progress, self.stop)
        for words in timeline.warnings:
            self.tell(words)
        return _Point(timeline, timeline.end)

    def way(self, late: _Bound, early: _Bound) -> _Way | None:
        """The way back through the stretches; None if the WAL between is not whole.

        Raises whatever a restore of the later one raises.
        """
        newest: Timeline | None = None
        written, passed, said = PageSet(bytearray(1)), 0, set[str]()

        def tell(words: str) -> None:
            if words not in said:
                said.add(words)
                self.tell(words)

        try:
            options = replace(self.options, target=late.target, generation=late.generation)
            for timeline in stretches(self.sources, options, self.cache, self.stop, tell):
                newest = newest or timeline
                ends = timeline.ends()
                here = next((end for end in reversed(ends) if end <= early.last), None)
                written.add(timeline.pages_between(ends[0] if here is None else here, ends[-1]))
                if here is not None:
                    # Raises if no commit ends where one was asked for.
                    position = early.exact or timeline.position(here)
                    timeline.moment(position)
                    return _Way(_Point(timeline, position), _Point(newest, newest.end), written, passed)
                passed += timeline.bytes_read if timeline is not newest else 0
        except _NO_WAL:
            if newest is None:
                raise
        return None

    def _options(self, target: Target) -> RestoreOptions:
        generation = None if isinstance(target, AtPosition) else self.options.generation
        return replace(self.options, target=target, generation=generation)


def read_span(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    begin: Target,
    end: Target,
    cache: TableCache,
    progress: Callable[[RestoreProgress], None],
    stop: threading.Event,
    tell: Callable[[str], None],
) -> Span:
    """Return both moments and what was written between. `tell` is told what a restore of them would warn of.

    Raises whatever a restore of either raises.
    """
    reader = _Reader(sources, options, cache, progress, stop, tell)
    bounds = [reader.bound(target) for target in (begin, end)]
    is_forward = bounds[0].last <= bounds[1].last
    early, late = bounds if is_forward else bounds[::-1]
    is_other = early.generation != late.generation
    way = None if is_other else reader.way(late, early)
    if way is not None:
        first, second = (way.early, way.late) if is_forward else (way.late, way.early)
        was, became = first.moment, second.moment
        written, passed = way.written, way.passed_bytes
        written.add_from(min(was.pages, became.pages) + 1, max(was.pages, became.pages))
        remarks: tuple[str, ...] = ()
    else:
        first, second = (reader.alone(bound.target) for bound in bounds)
        was, became = first.moment, second.moment
        written, passed = _compared(was, became, stop), 0
        why = "they are of two generations" if is_other else "the WAL between them is not whole"
        remarks = (f"{why}: every page of both was read and compared",)
    timelines = (first.timeline,) if first.timeline is second.timeline else (first.timeline, second.timeline)
    return Span(
        second.timeline.replica,
        was,
        became,
        first.position,
        second.position,
        written,
        first.times,
        second.times,
        timelines,
        passed,
        remarks,
    )


def _compared(was: Moment, became: Moment, stop: threading.Event) -> PageSet:
    """The pages that differ, and those that only one of both has: all of them where pages are of another size."""
    written = PageSet(bytearray(1))
    both = min(was.pages, became.pages) if was.page_size == became.page_size else 0
    for number in range(1, both + 1):
        check(stop)
        if was.page(number) != became.page(number):
            written.add_from(number, number)
    written.add_from(both + 1, max(was.pages, became.pages))
    return written
