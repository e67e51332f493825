"""The commit at which something changed, searched from the newest back, over all generations of one replica.

    snapshots    S1            S2            S3
    commits      |---c---c-----|--c----c-----|---c---c
    answers      yes           yes           no      no        is the table there?
    WAL          passed over   read: here    read first
                               it went

The newest stretch is read first, and before each older one the snapshot at its start is asked. If that answers as the
snapshot after it, the stretch is passed over, and read only if nothing was found elsewhere: it may have changed there
and back.

Its promise: what it finds is a change between two commits that follow each other; that there is none is said only when
all commits were looked at. What is looked for is the caller's (questions.py), and so is how a timeline is searched
(changes.py).
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from replication.errors import (
    InconclusiveError,
    NoRestorePointError,
    ReplicationError,
    RestoreCancelledError,
    RestoreError,
)
from replication.history.cache import TableCache
from replication.history.changes import EACH_MAX, EACH_SECONDS_MAX, Answer, Looker
from replication.history.contract import Found
from replication.history.questions import Wanted, is_known, names_of
from replication.history.versions import Place
from replication.history.wal03.older import older_generations
from replication.history.wal03.stretches import read_from
from replication.history.wal03.timeline import Timeline, read_timeline
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition
from replication.restore.wal03.attempts import Prepared, attempts_at
from replication.restore.wal03.catalog import Snapshot
from replication.sqlite.moment import Query


@dataclass(frozen=True, slots=True)
class _Edge:
    """A commit with its answer: the earliest that was looked at so far, from which the search goes on back."""

    position: Position
    time: datetime
    seen: datetime | None
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Between:
    """A stretch that was passed over, from a snapshot to a later commit with the same answer."""

    source: OpenReplica
    snapshot: Snapshot
    end: Position


@dataclass(slots=True)
class Search:
    """One search. `looks` counts commits that were asked; `is_all` asks for every change and not only the newest."""

    sources: Sequence[OpenReplica]
    options: RestoreOptions
    wanted: Wanted
    cache: TableCache
    stop: threading.Event
    is_all: bool = False
    since: datetime | None = None
    tell: Callable[[str], None] = lambda words: None
    looks: int = 0
    first: Position | None = field(default=None)
    """The earliest commit that was looked at."""
    replica: str = ""
    bytes_read: int = 0
    _counted: int = 0
    _now: float = field(default_factory=time.time)
    _each_left: int = EACH_MAX
    _each_end: float = 0.0
    _between: list[_Between] = field(default_factory=list)
    _unknown: list[str] = field(default_factory=list)
    """In words: which commits were not looked at, and why."""
    _is_known: bool = False
    """Whether any commit knew what is asked of."""
    _first_answer: Answer = None
    _names: str = ""

    def changes(self) -> Iterator[Found]:
        """The changes that are looked for, newest first. Raises whatever a restore and a query raise."""
        is_found = False
        for found in self._generations():
            is_found = True
            yield found
        between, self._between = self._between, []
        if is_found or not between:
            return
        self.tell("It is alike at all these snapshots, so what lies between them is looked at too.")
        for item in between:
            options = replace(self.options, generation=item.end.generation, target=AtPosition(item.end))
            yield from self._in(self._read(item.source, options, item.snapshot))

    def nothing(self) -> ReplicationError:
        """The error for a search that found nothing."""
        mistyped = self.wanted.unknown(self._first_answer, self._names) if not self._is_known else None
        if self._unknown:
            return InconclusiveError(
                f"It is not known whether there is a commit at which {self.wanted.words}: not every one was looked at "
                f"({self.looks} looks). {' '.join(self._unknown)} {mistyped or ''}".rstrip()
            )
        if mistyped is not None:
            return mistyped
        return NoRestorePointError(
            f"There is no commit at which {self.wanted.words}, from {self.first} on: {self.looks} looks."
        )

    def _generations(self) -> Iterator[Found]:
        attempts = attempts_at(self.sources, self.options, self.stop)
        prepared = attempts.prepared
        for words in prepared.warnings:
            self.tell(words)
        self.replica = prepared.source.name
        edge = yield from self._in_generation(prepared, attempts.options)
        if self.options.generation is not None:
            return
        for older in older_generations(prepared, self.stop, self.since):
            try:
                attempts = attempts_at([prepared.source], replace(self.options, generation=older), self.stop)
                edge = yield from self._in_generation(attempts.prepared, attempts.options, edge)
            except RestoreCancelledError:
                raise
            except RestoreError as error:
                self._unknown.append(f"Of generation {older}: {error}")
                self.tell(f"Generation {older} was not looked at to its end: {error}")

    def _in_generation(
        self, prepared: Prepared, options: RestoreOptions, later: _Edge | None = None
    ) -> Generator[Found, None, _Edge]:
        """Search one generation, and return its earliest commit. `later` is that of the generation after it."""
        source = prepared.source
        earlier = [item for item in prepared.offer.catalog.snapshots if item.position < prepared.plan.snapshot.position]
        options = replace(options, generation=prepared.plan.generation)
        edge = yield from self._in(self._read(source, options), later)
        self.first = edge.position
        while earlier and not self._is_before(edge.time):
            here = earlier.pop()
            if not self.is_all and self._answer_of(source, here) == edge.answer:
                self._between.append(_Between(source, here, edge.position))
                edge = _Edge(here.position, here.info.created, None, edge.answer)
            else:
                # Up to where what was looked at begins, which is a commit of both.
                target = replace(options, target=AtPosition(edge.position))
                edge = yield from self._in(self._read(source, target, here))
            self.first = edge.position
        return edge

    def _in(self, timeline: Timeline, later: _Edge | None = None) -> Generator[Found, None, _Edge]:
        """Search one timeline, and return its first commit. `later` comes after its last, in the next generation."""
        looker = Looker(timeline, self._ask, self.stop, self._may_go_on, self._now, size=self.wanted.size)
        ends = timeline.ends()
        before = self.looks
        # A question with another answer each time, such as random(), is found out once, at the first look.
        newest = looker.look(ends[-1]) if before else looker.look_twice(ends[-1])
        if later is not None and self.wanted.matches(newest.answer, later.answer):
            yield from self._found(timeline, ends[-1], newest.answer, later)
        for change in looker.changes(self.wanted.matches, self.is_all, newest):
            self._count(before + looker.looks, timeline)
            after = _edge(timeline, change.after, change.became)
            yield from self._found(timeline, change.before, change.was, after, change.is_sure)
        self._count(before + looker.looks, timeline)
        if not looker.is_whole:
            between = f"From {timeline.position(ends[0])} to {timeline.position(ends[-1])}"
            self._unknown.append(f"{between} too many commits wrote what the answer comes of: -all looks at each.")
        assert looker.oldest is not None
        return _edge(timeline, ends[0], looker.oldest.answer)

    def _found(
        self, timeline: Timeline, before: Place, was: Answer, after: _Edge, is_sure: bool = True
    ) -> Iterator[Found]:
        """Yield a change unless it is older than `since`. It is sure only if no later commits were passed over."""
        earlier = _edge(timeline, before, was)
        if not self._is_before(after.time):
            is_sure &= not self._between and not self._unknown
            yield Found(
                earlier.position,
                after.position,
                earlier.time,
                after.time,
                earlier.seen,
                after.seen,
                was,
                after.answer,
                is_sure,
            )

    def _ask(self, query: Query) -> Answer:
        """Ask one commit, and note whether any commit so far had what the question is about (a table, a row)."""
        answer = self.wanted.question(query)
        if self._first_answer is None and not is_known(answer):
            self._first_answer, self._names = answer, names_of(query)
        self._is_known |= is_known(answer)
        return answer

    def _may_go_on(self) -> bool:
        """Whether there may be one more look from commit to commit."""
        self._each_end = self._each_end or time.monotonic() + EACH_SECONDS_MAX
        self._each_left -= 1
        return self._each_left >= 0 and time.monotonic() < self._each_end

    def _count(self, looks: int, timeline: Timeline) -> None:
        self.looks = looks
        self.bytes_read += timeline.bytes_read - self._counted
        self._counted = timeline.bytes_read

    def _read(self, source: OpenReplica, options: RestoreOptions, snapshot: Snapshot | None = None) -> Timeline:
        """The timeline that ends at the target of `options`: from that snapshot, or the one that a restore takes."""
        self._counted = 0
        if snapshot is not None:
            timeline = read_from(source, snapshot, options, self.cache, self.stop)
        else:
            timeline = read_timeline([source], options, self.cache, cancel=self.stop, is_whole=True)
        for words in timeline.warnings:
            self.tell(words)
        return timeline

    def _is_before(self, time: datetime | None) -> bool:
        return self.since is not None and time is not None and time < self.since

    def _answer_of(self, source: OpenReplica, snapshot: Snapshot) -> Answer:
        """The answer at the commit of a snapshot; None for one of Litestream's, since nobody knows which that is."""
        if snapshot.note is None:
            return None
        at = replace(self.options, generation=None, target=AtPosition(snapshot.position))
        timeline = self._read(source, at, snapshot)
        looker = Looker(timeline, self._ask, self.stop, now=self._now)
        found = looker.look(timeline.ends()[-1])
        self._count(self.looks + 1, timeline)
        return found.answer


def _edge(timeline: Timeline, place: Place, answer: Answer) -> _Edge:
    return _Edge(timeline.position(place), timeline.written_at(place), timeline.seen_at(place), answer)
