"""The commits of one replica as somebody looks at them for a while: what those up to a place did, SQL asked of them.

Its promise: what was read of the store is kept from one question to the next, in bounded memory. A question that is
cancelled leaves nothing behind that the next could trip over. For several who ask at once: one is answered after the
other.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from replication.errors import RestoreCancelledError
from replication.history.cache import TableCache
from replication.history.contract import Moment, Timeline
from replication.history.log import Entry, Log
from replication.history.moments import read_timeline, timeline_with
from replication.history.versions import place_of
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition
from replication.sqlite.moment import opened

TIMELINES_MAX = 2
"""Runs of commits that are kept: a cursor goes to and fro over the snapshot between two."""
ENTRIES_MAX = 500
ROWS_MAX = 1000
TEXT_CHARS_MAX = 1000
"""Characters of one value of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a statement as texts, NULL as None; `more` if there were more than were asked for."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    more: bool


class Past:
    """`replicas` opens them, which is done at the first question and, after one that was cancelled, at the next."""

    def __init__(
        self,
        replicas: Callable[[], AbstractContextManager[list[OpenReplica]]],
        options: RestoreOptions,
        cache: TableCache,
    ) -> None:
        self._replicas = replicas
        self._options = options
        self._cache = cache
        self._turn = threading.Lock()
        self._stack = ExitStack()
        self._sources: list[OpenReplica] = []
        self._cancel: threading.Event | None = None
        """That of the question under way."""
        self._stop = threading.Event()
        self._log = Log(self._stop)
        self._timelines: list[Timeline] = []

    def entries(self, position: Position, limit: int, cancel: threading.Event) -> tuple[Entry, ...]:
        """What commits did, from that one back, the newest first; at least one, if there is one before it.

        Raises what a restore raises, and RestoreCancelledError.
        """
        with self._asked(cancel):
            timeline = self._timeline(position)
            if timeline is None:
                return ()
            found = self._log.entries(timeline, until=place_of(position))
            return tuple(islice(found, max(1, min(limit, ENTRIES_MAX))))

    def answer(self, position: Position, sql: str, limit: int, seconds: float, cancel: threading.Event) -> Answer:
        """The answer of the database at a commit. Raises QueryError besides."""
        with self.moment(position, cancel) as (moment, stop), opened(moment, stop) as query:
            most = max(1, min(limit, ROWS_MAX))
            rows = list(islice(query.rows(sql, seconds), most + 1))
            shown = tuple(tuple(_text(value) for value in row) for row in rows[:most])
            return Answer(query.columns, shown, len(rows) > most)

    @contextmanager
    def moment(self, position: Position, cancel: threading.Event) -> Iterator[tuple[Moment, threading.Event]]:
        """A block with the database at a commit, and what ends all looks at it. Nobody else is answered meanwhile.

        Raises as `entries`.
        """
        with self._asked(cancel):
            timeline = self._timeline(position) or self._alone(position)
            yield timeline.moment(position), self._stop

    def break_off(self, cancel: threading.Event) -> None:
        """Let the question that was given this event, which is set, wait for the store no longer."""
        if self._cancel is cancel:
            self._stop.set()
            for source in self._sources.copy():
                source.storage.interrupt()

    def close(self) -> None:
        """Let go of the replicas; waits for the question under way."""
        with self._turn:
            self._let_go()

    # -- inside -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _asked(self, cancel: threading.Event) -> Iterator[None]:
        with self._turn:
            self._cancel = cancel
            try:
                if cancel.is_set():
                    raise RestoreCancelledError("It was cancelled.")
                if not self._sources:
                    self._sources = self._stack.enter_context(self._replicas())
                yield
            finally:
                self._cancel = None
                if cancel.is_set():
                    # A store that was interrupted refuses whatever comes after.
                    self._let_go()

    def _timeline(self, position: Position) -> Timeline | None:
        """A timeline that has the commit at `position` and the commit before it; None if there is none."""
        for timeline in self._timelines:
            if timeline.covers(position) and position != timeline.position(timeline.ends()[0]):
                self._timelines.remove(timeline)
                return self._kept(timeline)
        return self._kept(timeline_with(self._sources, self._options, position, self._cache, self._stop))

    def _alone(self, position: Position) -> Timeline:
        """A timeline that ends with the commit at `position`, before which there is none."""
        options = replace(self._options, target=AtPosition(position), generation=position.generation)
        return read_timeline(self._sources, options, self._cache, cancel=self._stop)

    def _kept(self, timeline: Timeline | None) -> Timeline | None:
        if timeline is not None:
            self._timelines = [timeline, *self._timelines[: TIMELINES_MAX - 1]]
        return timeline

    def _let_go(self) -> None:
        self._stack.close()
        self._sources, self._timelines = [], []
        self._stop = threading.Event()
        self._log = Log(self._stop)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = f"x'{value[:TEXT_CHARS_MAX].hex()}'" if isinstance(value, bytes) else str(value)
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"
