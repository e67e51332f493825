"""All commits of one generation, in timelines from one snapshot to the next, the newest first."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from replication.errors import ObjectNotFoundError, RestoreError
from replication.history.cache import TableCache
from replication.history.wal03.below import below_snapshot
from replication.history.wal03.timeline import Timeline, read_timeline
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition, Latest
from replication.restore.wal03.attempts import attempts_at

BASES_MAX = 2
"""Snapshots to begin at: one of Litestream's may hold the very commit, or nobody knows which of its index."""


def stretches(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    cache: TableCache,
    stop: threading.Event,
    tell: Callable[[str], None],
) -> Iterator[Timeline]:
    """Yield timelines, each of which ends with the commit that the one before begins with.

    The next one is read when it is asked for. Raises whatever a restore raises.
    """
    attempts = attempts_at(sources, options, stop)
    prepared, options = attempts.prepared, attempts.options
    source, base = prepared.source, prepared.plan.snapshot.position
    for words in prepared.warnings:
        tell(words)
    options = replace(options, generation=prepared.plan.generation)
    earlier = [item for item in prepared.offer.catalog.snapshots if item.position < base]
    while True:
        timeline = read_timeline([source], options, cache, cancel=stop, is_whole=True)
        for words in timeline.warnings:
            tell(words)
        yield timeline
        if not earlier:
            return
        source = below_snapshot(prepared.source, earlier.pop().info.index)
        options = replace(options, target=AtPosition(timeline.position(timeline.ends()[0])))


def stretch_with(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    position: Position,
    cache: TableCache,
    stop: threading.Event,
) -> Timeline | None:
    """Return a timeline from a snapshot before a commit on, past that commit where it can be; None without such one.

    Raises whatever a restore of that commit raises.
    """
    options = replace(options, target=AtPosition(position), generation=position.generation)
    prepared = attempts_at(sources, options, stop).prepared
    snapshots = prepared.offer.catalog.snapshots
    later = next((item.position for item in snapshots if item.note is not None and item.position > position), None)
    target = AtPosition(later) if later is not None else Latest()
    for base in [item for item in reversed(snapshots) if item.position < position][:BASES_MAX]:
        source = below_snapshot(prepared.source, base.info.index)
        # Where something is missing on the way there, what lies before the commit can be had all the same.
        with suppress(RestoreError, ObjectNotFoundError):
            further = read_timeline([source], replace(options, target=target), cache, cancel=stop, is_whole=True)
            if _follows(further, position):
                return further
        nearer = read_timeline([source], options, cache, cancel=stop, is_whole=True)
        if _follows(nearer, position):
            return nearer
    return None


def _follows(timeline: Timeline, position: Position) -> bool:
    """True if it has a commit, and one before it."""
    return timeline.covers(position) and position != timeline.position(timeline.ends()[0])
