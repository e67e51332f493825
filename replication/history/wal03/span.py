"""Two moments of one replica and the pages that were written between them, by the frames of the WAL.

Its promise: both are what a restore of them would give, and a page that is not told is alike at both. Where they are of
different generations, or the WAL between them is not there, all pages of both are compared, and that is said.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from replication.errors import CorruptObjectError, NoRestorePointError, ObjectNotFoundError, ReplicaGapError
from replication.history.cache import TableCache
from replication.history.contract import Moment
from replication.history.span import PageSet, Span
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
    """What a target leads to, before any WAL is read: a commit, or the last one up to a place."""

    target: Target
    generation: str
    last: Place
    exact: Position | None


@dataclass(frozen=True, slots=True)
class _Reader:
    sources: Sequence[OpenReplica]
    options: RestoreOptions
    cache: TableCache
    progress: Callable[[RestoreProgress], None]
    stop: threading.Event
    tell: Callable[[str], None]

    def bound(self, target: Target) -> _Bound:
        """Raises as a restore that is prepared."""
        attempts = attempts_at(self.sources, self._options(target), self.stop)
        plan = attempts.prepared.plan
        last = place_of(plan.stop) if plan.stop else place_of(plan.following.position) if plan.following else _END
        return _Bound(attempts.options.target, plan.generation, last, plan.stop)

    def read(self, target: Target) -> Timeline:
        return self._said(read_timeline(self.sources, self._options(target), self.cache, self.progress, self.stop))

    def back(self, bound: _Bound, to: _Bound) -> "tuple[Timeline, Timeline, Position, PageSet] | None":
        """From the later commit to the earlier one: the timelines of both, the earlier one, and what was written.

        None if there is no WAL to go back by.
        """
        late: Timeline | None = None
        written = PageSet(bytearray(1))
        said: set[str] = set()

        def tell(words: str) -> None:
            if words not in said:
                said.add(words)
                self.tell(words)

        try:
            for timeline in stretches(self.sources, self._options(bound.target), self.cache, self.stop, tell):
                late = late or timeline
                ends = timeline.ends()
                here = next((end for end in reversed(ends) if end <= to.last), None)
                begin = ends[0] if here is None else here
                written.add(timeline.pages_between(begin, ends[-1]))
                if here is not None:
                    if to.exact is not None and here != to.last:
                        # Raises: no commit ends there.
                        timeline.moment(to.exact)
                    return late, timeline, timeline.position(here), written
        except _NO_WAL:
            if late is None:
                raise
        return None

    def _options(self, target: Target) -> RestoreOptions:
        generation = None if isinstance(target, AtPosition) else self.options.generation
        return replace(self.options, target=target, generation=generation)

    def _said(self, timeline: Timeline) -> Timeline:
        for words in timeline.warnings:
            self.tell(words)
        return timeline


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
    """Read both moments. `tell` is told what a restore would warn of. Raises whatever a restore raises."""
    reader = _Reader(sources, options, cache, progress, stop, tell)
    bounds = [reader.bound(target) for target in (begin, end)]
    is_forward = bounds[0].last <= bounds[1].last
    early, late = bounds if is_forward else bounds[::-1]
    found = reader.back(late, early) if early.generation == late.generation else None
    if found is None:
        first, second = (reader.read(bound.target) for bound in bounds)
        was, became = first.moment(), second.moment()
        written = _compared(was, became, stop)
        is_other = early.generation != late.generation
        why = "they are of two generations" if is_other else "the WAL between them is not whole"
        remark = f"{why}: every page of both was read and compared"
        return Span(second.replica, was, became, first.end, second.end, written, (remark,))
    newest, oldest, position, written = found
    moments = [(oldest.moment(position), position), (newest.moment(), newest.end)]
    (was, first_end), (became, last_end) = moments if is_forward else moments[::-1]
    written.add_from(min(was.pages, became.pages) + 1, max(was.pages, became.pages))
    return Span(newest.replica, was, became, first_end, last_end, written)


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
