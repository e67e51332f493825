"""The way in to the history of a replica: one timeline, all timelines, a search, or two moments with what lies between.

It asks which layout the replicas have, and passes on to that; so far only wal03 can be looked at.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from replication.errors import QueryError, ReplicationError
from replication.history.cache import TableCache
from replication.history.contract import Found, Timeline
from replication.history.questions import Wanted
from replication.history.span import Span
from replication.history.wal03 import span as wal03_span
from replication.history.wal03 import timeline as wal03
from replication.history.wal03.find import Search as WAL03Search
from replication.history.wal03.stretches import stretch_with, stretches
from replication.position import Position
from replication.restore.layouts import layout_of
from replication.restore.meter import RestoreProgress
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import Target


class Search(Protocol):
    """A search for commits at which something changed; it counts what it cost."""

    @property
    def replica(self) -> str:
        """The name of the replica that is searched."""

    @property
    def first(self) -> Position | None:
        """The earliest commit that was looked at."""

    @property
    def looks(self) -> int:
        """How many commits were asked."""

    @property
    def bytes_read(self) -> int:
        """Stored bytes that were read."""

    def changes(self) -> Iterator[Found]:
        """Yield the changes that are looked for, newest first. Raises whatever a restore and a query raise."""

    def nothing(self) -> ReplicationError:
        """Return the error for a search that found nothing: NoRestorePointError only if all commits were looked at."""


def read_timeline(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    cache: TableCache,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> Timeline:
    """Return the timeline that ends with the commit which a restore with these options gives.

    Raises whatever that restore raises, but for its output.
    """
    _check(sources)
    return wal03.read_timeline(sources, options, cache, progress, cancel)


def search(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    wanted: Wanted,
    cache: TableCache,
    stop: threading.Event,
    is_all: bool = False,
    since: datetime | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> Search:
    """Return a search for what is wanted, in all generations or the one named.

    `tell` is told what a restore would warn of.
    """
    _check(sources)
    return WAL03Search(sources, options, wanted, cache, stop, is_all, since, tell)


def timelines(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    cache: TableCache,
    stop: threading.Event,
    tell: Callable[[str], None] = lambda words: None,
    since: datetime | None = None,
) -> Iterator[Timeline]:
    """Yield timelines with all commits since a time, of all generations or of the one named, newest first.

        yielded     third            second          first
                    S ---c---c       c ---c---c      c ---c---c---c        each ends where the one before it begins

    The first timeline of a generation ends with the last commit of that.
    """
    _check(sources)
    return stretches(sources, options, cache, stop, tell, since)


def timeline_with(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    position: Position,
    cache: TableCache,
    stop: threading.Event,
) -> Timeline | None:
    """Return commits of one generation, one after the other, among them that one with the one before it.

    None if there is none before it. Raises whatever a restore of it raises.
    """
    _check(sources)
    return stretch_with(sources, options, position, cache, stop)


def read_span(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    begin: Target,
    end: Target,
    cache: TableCache,
    stop: threading.Event,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    tell: Callable[[str], None] = lambda words: None,
) -> Span:
    """Return two moments, with the pages that were written between them. `tell` is told what a restore would warn of.

    `options` says all but the target. Raises whatever restores of both raise but for their output.
    """
    _check(sources)
    return wal03_span.read_span(sources, options, begin, end, cache, progress, stop, tell)


def find(search: Search) -> Found:
    """Return the newest change that is looked for.

    Raises NoRestorePointError if there is none, and InconclusiveError if that is not known.
    """
    for found in search.changes():
        return found
    raise search.nothing()


def _check(sources: Sequence[OpenReplica]) -> None:
    layout = layout_of(sources)
    if layout.name != "wal03":
        raise QueryError(f"Replicas in the layout {layout.name} cannot be looked at yet: restore a copy, and ask that.")
