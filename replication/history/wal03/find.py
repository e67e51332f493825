"""The commit at which something changed, searched from the newest back, over the snapshots of one generation.

Its promise: what it finds is a change between two commits that follow each other. WAL is read only between the
snapshots where the change may lie: where the answers at two neighbouring snapshots are alike nothing is looked for in
between, unless every change is asked for. It leaves to the caller what is looked for.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from replication.errors import NoRestorePointError
from replication.history.cache import TableCache
from replication.history.changes import Answer, Look, Looker
from replication.history.contract import Found
from replication.history.questions import Wanted
from replication.history.wal03.below import below_snapshot
from replication.history.wal03.timeline import Timeline, read_timeline
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition
from replication.restore.wal03.attempts import attempts_at
from replication.restore.wal03.catalog import Snapshot


@dataclass(slots=True)
class Search:
    """One search. `looks` counts commits that were asked, `skipped` stretches between snapshots that were not."""

    sources: Sequence[OpenReplica]
    options: RestoreOptions
    wanted: Wanted
    cache: TableCache
    stop: threading.Event
    is_all: bool = False
    since: datetime | None = None
    tell: Callable[[str], None] = lambda words: None
    looks: int = 0
    skipped: int = 0
    first: Position | None = field(default=None)
    """The earliest commit that was looked at."""
    replica: str = ""
    bytes_read: int = 0
    _counted: int = 0
    _first_time: datetime | None = None

    def changes(self) -> Iterator[Found]:
        """What is looked for, the newest first. Raises whatever a restore and a query raise."""
        attempts = attempts_at(self.sources, self.options, self.stop)
        prepared = attempts.prepared
        source = prepared.source
        for words in prepared.warnings:
            self.tell(words)
        self.replica = source.name
        earlier = [item for item in prepared.offer.catalog.snapshots if item.position < prepared.plan.snapshot.position]
        options = replace(attempts.options, generation=prepared.plan.generation)
        later = yield from self._in(self._read([source], options))
        while earlier and self.first is not None and not self._is_before(self._first_time):
            here = earlier.pop()
            if not self.is_all and self._answer_of(source, here) == later.answer:
                self.skipped += 1
                self.first, self._first_time = here.position, here.info.created
            else:
                # Up to where what was looked at begins, which is a commit of both.
                below = below_snapshot(source, here.info.index)
                later = yield from self._in(self._read([below], replace(options, target=AtPosition(self.first))))

    def nothing(self) -> NoRestorePointError:
        """What is said where nothing was found."""
        return NoRestorePointError(
            f"There is no commit at which {self.wanted.words}, from {self.first} on: {self.looks} looks."
            + " Between snapshots with the same answer nothing was looked for; -all does." * bool(self.skipped)
        )

    def _in(self, timeline: Timeline) -> Generator[Found, None, Look]:
        """Those of one timeline; the answer at its first commit."""
        looker = Looker(timeline, self.wanted.question, self.stop)
        begin = timeline.ends()[0]
        self.first, self._first_time = timeline.position(begin), timeline.written_at(begin)
        before = self.looks
        for change in looker.changes(self.wanted.matches, self.is_all):
            self._count(before + looker.looks, timeline)
            if not self._is_before(timeline.written_at(change.after)):
                yield Found(
                    timeline.position(change.before),
                    timeline.position(change.after),
                    timeline.written_at(change.before),
                    timeline.written_at(change.after),
                    timeline.seen_at(change.before),
                    timeline.seen_at(change.after),
                    change.was,
                    change.became,
                    change.is_sure and not self.skipped,
                )
        self._count(before + looker.looks, timeline)
        assert looker.oldest is not None
        return looker.oldest

    def _count(self, looks: int, timeline: Timeline) -> None:
        self.looks = looks
        self.bytes_read += timeline.bytes_read - self._counted
        self._counted = timeline.bytes_read

    def _read(self, sources: Sequence[OpenReplica], options: RestoreOptions) -> Timeline:
        self._counted = 0
        timeline = read_timeline(sources, options, self.cache, cancel=self.stop, is_whole=True)
        for words in timeline.warnings:
            self.tell(words)
        return timeline

    def _is_before(self, time: datetime | None) -> bool:
        return self.since is not None and time is not None and time < self.since

    def _answer_of(self, source: OpenReplica, snapshot: Snapshot) -> Answer:
        """What a snapshot by itself answers; nothing for one of Litestream's: nobody knows which commit it holds."""
        if snapshot.note is None:
            return None
        timeline = self._read([source], replace(self.options, generation=None, target=AtPosition(snapshot.position)))
        looker = Looker(timeline, self.wanted.question, self.stop)
        found = looker.look(timeline.ends()[-1])
        self._count(self.looks + 1, timeline)
        return found.answer
