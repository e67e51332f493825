"""All commits of one generation, in timelines from one snapshot to the next, the newest first."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from replication.history.cache import TableCache
from replication.history.wal03.below import below_snapshot
from replication.history.wal03.timeline import Timeline, read_timeline
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition
from replication.restore.wal03.attempts import attempts_at


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
