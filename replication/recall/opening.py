"""Rows of a moment of replicas, or what they lost until another, staged to be brought back."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from replication.history.cache import TableCache
from replication.history.diff.diff import Difference
from replication.history.moments import read_span, read_timeline
from replication.position import Position
from replication.recall.recall import Live, Recall, Tell, open_recall, untold
from replication.recall.staging import encoding_at, stage_lost, stage_picked
from replication.recall.wanted import Wanted
from replication.restore.meter import RestoreProgress
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import Target
from replication.sqlite.brought import OnConflict


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows, of which moment, and what is done with them. With `until` those that are lost by then."""

    wanted: Wanted
    moment: Target
    until: Target | None = None
    on_conflict: OnConflict = "skip"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows are from: a commit of a replica, and the one until which they were lost."""

    replica: str
    moment: Position
    until: Position | None = None
    warnings: tuple[str, ...] = ()


def recall_from(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    asked: Asked,
    live: Live | None,
    cache: TableCache,
    stop: threading.Event,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    tell: Tell = untold,
) -> tuple[Recall, Origin]:
    """Stage the rows, and say where they are from. The replicas are not needed after that.

    Raises whatever a restore of the moments raises but for its output, and as `open_recall`.
    """
    wanted = asked.wanted
    if asked.until is None:
        timeline = read_timeline(sources, replace(options, target=asked.moment), cache, progress, stop)
        moment = timeline.moment()
        recall = open_recall(
            encoding_at(moment, stop),
            lambda stage: stage_picked(moment, wanted, stage, stop),
            live,
            asked.on_conflict,
            tell,
        )
        return recall, Origin(timeline.replica, timeline.end, None, timeline.warnings)
    warnings: list[str] = []
    span = read_span(sources, options, asked.moment, asked.until, cache, stop, progress, warnings.append)
    difference = Difference(span, stop)
    recall = open_recall(
        encoding_at(span.before, stop),
        lambda stage: stage_lost(difference, wanted, stage, stop),
        live,
        asked.on_conflict,
        tell,
    )
    return recall, Origin(span.replica, span.begin, span.end, (*warnings, *difference.remarks))
