"""All commits of one replica, newest first, in stretches: timelines that each go from one snapshot to the next.

    snapshots    S1            S2            S3
    commits      |---c---c-----|--c----c-----|---c---c
    yielded      third         second        first          each ends with the commit that the one before begins with

A stretch is read only when it is asked for, so that whoever has found what it looked for reads no more WAL. After the
newest generation come older ones, in the order that the notes of the replica give, or its times.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from replication.errors import (
    CorruptObjectError,
    NoRestorePointError,
    ObjectNotFoundError,
    ReplicaGapError,
    RestoreCancelledError,
    RestoreError,
)
from replication.history.cache import TableCache
from replication.history.wal03.below import below_snapshot, only_snapshot
from replication.history.wal03.older import older_generations
from replication.history.wal03.timeline import Timeline, read_timeline
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition, Latest
from replication.restore.wal03.attempts import Attempts, attempts_at
from replication.restore.wal03.catalog import Snapshot

BASES_MAX = 2
"""How many snapshots to try.

One by Litestream has no note, so it may hold the commit itself or a later one of its index; then the one before it
serves.
"""


def stretches(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    cache: TableCache,
    stop: threading.Event,
    tell: Callable[[str], None],
    since: datetime | None = None,
) -> Iterator[Timeline]:
    """Yield the stretches, up to the one that begins before `since`, if that is given.

    Raises whatever a restore raises; of an older generation that cannot be read, only `tell` is told.
    """
    attempts = attempts_at(sources, options, stop)
    prepared = attempts.prepared
    for words in prepared.warnings:
        tell(words)
    yield from _of_generation(attempts, cache, stop, tell, since)
    if options.generation is not None:
        return
    for older in older_generations(prepared, stop, since):
        try:
            attempts = attempts_at([prepared.source], replace(options, generation=older), stop)
            yield from _of_generation(attempts, cache, stop, tell, since)
        except RestoreCancelledError:
            raise
        except RestoreError as error:
            tell(f"Generation {older} was not looked at to its end: {error}")


def read_from(
    source: OpenReplica, snapshot: Snapshot, options: RestoreOptions, cache: TableCache, stop: threading.Event
) -> Timeline:
    """Return a timeline from a snapshot on, or from an earlier one if that one turns out to be of no use.

    The notes of earlier snapshots are read only then. Raises whatever a restore raises.
    """
    index = snapshot.info.index
    if snapshot.note is not None:
        with suppress(CorruptObjectError, ReplicaGapError, NoRestorePointError):
            return read_timeline([only_snapshot(source, index)], options, cache, cancel=stop, is_whole=True)
    return read_timeline([below_snapshot(source, index)], options, cache, cancel=stop, is_whole=True)


def _of_generation(
    attempts: Attempts,
    cache: TableCache,
    stop: threading.Event,
    tell: Callable[[str], None],
    since: datetime | None,
) -> Iterator[Timeline]:
    prepared, options = attempts.prepared, attempts.options
    source, base = prepared.source, prepared.plan.snapshot.position
    options = replace(options, generation=prepared.plan.generation)
    earlier = [item for item in prepared.offer.catalog.snapshots if item.position < base]
    timeline = read_timeline([source], options, cache, cancel=stop, is_whole=True)
    while True:
        for words in timeline.warnings:
            tell(words)
        yield timeline
        first = timeline.ends()[0]
        if not earlier or (since is not None and timeline.written_at(first) < since):
            return
        options = replace(options, target=AtPosition(timeline.position(first)))
        timeline = read_from(source, earlier.pop(), options, cache, stop)


def stretch_with(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    position: Position,
    cache: TableCache,
    stop: threading.Event,
) -> Timeline | None:
    """Return a timeline that begins at a snapshot before `position` and goes on past it where possible.

    None if there is none. Raises whatever a restore of that commit raises.
    """
    options = replace(options, target=AtPosition(position), generation=position.generation)
    prepared = attempts_at(sources, options, stop).prepared
    source, snapshots = prepared.source, prepared.offer.catalog.snapshots
    later = next((item.position for item in snapshots if item.note is not None and item.position > position), None)
    target = AtPosition(later) if later is not None else Latest()
    for base in [item for item in reversed(snapshots) if item.position < position][:BASES_MAX]:
        # Where something is missing on the way there, what lies before the commit can be had all the same.
        with suppress(RestoreError, ObjectNotFoundError):
            further = read_from(source, base, replace(options, target=target), cache, stop)
            if _follows(further, position):
                return further
        nearer = read_from(source, base, options, cache, stop)
        if _follows(nearer, position):
            return nearer
    return None


def _follows(timeline: Timeline, position: Position) -> bool:
    """True if it has a commit, and one before it."""
    return timeline.covers(position) and position != timeline.position(timeline.ends()[0])
