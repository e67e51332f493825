"""Which generation, when none is named: the newest that had begun, as all replicas have it (order.py).

Where an older one may be the newer, or it cannot be told, that is an error in words, and nothing is chosen.
"""

import threading
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from replication.errors import (
    CorruptObjectError,
    NoRestorePointError,
)
from replication.restore.target import AtTime, Target
from replication.restore.wal03.asking import Found
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.contents import content_of
from replication.restore.wal03.gone_on import refuse_gone_on_with
from replication.restore.wal03.offers import listed_end
from replication.restore.wal03.order import Candidate, Content, Span, heads, newest_generation
from replication.storage.wal03.names import snapshot_name
from replication.times import format_time


def newest_of(found: Sequence[Found], usable: Sequence[Found], target: Target, stop: threading.Event) -> str:
    """The newest generation that had begun by the target. Raises where a newer one cannot be restored, or may be.

    A generation begins in each replica at a time of its own, and what its notes there call older was seen just then. So
    at a time only those replicas count in which it had begun by then: A B are generations, B>A says that B's note there
    calls A older, and | is the time that is asked for.

        near  AAAA       | B>A      At the time, near has A, and far has B without a word of A: nothing orders the two,
        far       BBBB   |          but the clocks of two stores. What near says of them later is of later.
    """
    by_name: dict[str, list[Found]] = {}
    for source, catalog in found:
        by_name.setdefault(catalog.generation, []).append((source, catalog))
    restorable = {catalog.generation for _, catalog in usable}
    begun_in = {name: [item for item in by_name[name] if _began(item[1], target)] for name in restorable}
    begun = {name: candidate_of(items) for name, items in begun_in.items() if items}
    if not begun:
        assert isinstance(target, AtTime)
        raise _nothing_yet(usable, target.time)

    def content(name: str) -> Content:
        return content_of([(source, catalog) for source, catalog in by_name[name] if catalog.snapshots], stop)

    wanted = newest_generation(list(begun.values()), content)
    chosen = begun[wanted]
    refuse_gone_on_with(chosen, by_name, target, stop)
    earlier = {name for item in begun.values() for name in item.before}
    for name in by_name.keys() - restorable - earlier:
        _refuse_headless(by_name[name], chosen, target)
    if isinstance(target, AtTime):
        for name in restorable - begun.keys():
            _refuse_unclear_start(candidate_of(by_name[name]), by_name[name], chosen, target)
    return wanted


def candidate_of(found: Sequence[Found]) -> Candidate:
    """One generation, as the replicas have it."""
    spans = {source.name: span for source, catalog in found if (span := _span(catalog)) is not None}
    notes = [item.note for _, catalog in found for item in catalog.snapshots if item.note]
    return Candidate(
        generation=found[0][1].generation,
        spans=spans,
        before=frozenset(name for note in notes for name in note.before),
        beside=frozenset(name for note in notes for name in note.beside),
        noted=max((note.time for note in notes if note.time), default=None),
    )


def in_order(found: Sequence[Found]) -> list[str]:
    """All generations, the newest first: by the notes, and what they leave open by the times of the store."""
    names = {catalog.generation for _, catalog in found}
    rest = [candidate_of([item for item in found if item[1].generation == name]) for name in names]
    rest = [item for item in rest if item.spans]
    ordered: list[str] = []
    while rest:
        newest = max(heads(rest), key=lambda item: (item.newest, item.oldest, item.generation))
        ordered.append(newest.generation)
        rest.remove(newest)
    return ordered


def _began(catalog: Catalog, target: Target) -> bool:
    """True if anything of a generation counts up to the target: in a copy a later object may have an earlier time."""
    return not isinstance(target, AtTime) or listed_end(catalog, target) is not None


def _refuse_headless(found: Sequence[Found], chosen: Candidate, target: Target) -> None:
    """Raise if a generation that nothing can be restored from may be newer than the chosen one."""
    times = [item.created for _, catalog in found for item in catalog.segments]
    times += [time for _, catalog in found for time in catalog.damaged_times]
    late = isinstance(target, AtTime) and min(times, default=target.time) > target.time
    # Some stores have times in whole seconds: within one, neither is the older.
    if not times or late or max(times) < chosen.newest:
        return
    damaged = [name for _, catalog in found for name in catalog.damaged]
    instead = f"An older one is {chosen.generation}: name it with -generation."
    if damaged:
        raise CorruptObjectError(damaged[0], "its note is wrong", f"Its generation may be the newest. {instead}")
    generation = found[0][1].generation
    raise NoRestorePointError(
        f"Generation {generation} is newer, up to {format_time(max(times))}, but it has no snapshot, so nothing of it "
        f"can be restored. {instead}"
    )


def _refuse_unclear_start(item: Candidate, found: Sequence[Found], chosen: Candidate, target: AtTime) -> None:
    """Raise if a generation whose beginning is not there any more may have begun by the time asked for."""
    snapshots = [snapshot for _, catalog in found for snapshot in catalog.snapshots]
    whole = any(item.info.index == 0 or (item.note and item.note.begins) for item in snapshots)
    first = snapshot_name(item.generation, 0)
    # A snapshot whose note is damaged has its time all the same.
    damaged = [entry for _, catalog in found for entry in zip(catalog.damaged, catalog.damaged_times, strict=True)]
    whole |= any(name == first and time > target.time for name, time in damaged)
    older = item.generation in chosen.before
    # A replica gets all of a generation before the next one begins there.
    if whole or older or chosen.newest > target.time:
        return
    raise NoRestorePointError(
        f"Which generation was in use at {format_time(target.time)} cannot be told: {chosen.generation} ends before, "
        f"at {format_time(chosen.newest)}, and the beginning of {item.generation} is not there any more; it holds "
        f"{format_time(item.oldest)} to {format_time(item.newest)}. Name one with -generation."
    )


def _span(catalog: Catalog) -> Span | None:
    oldest, newest = catalog.oldest, catalog.newest
    if oldest is None or newest is None:
        return None
    return Span(oldest, newest, _times_rise(catalog))


def _times_rise(catalog: Catalog) -> bool:
    """False if the times cannot be those of writing, as in a copy: something is older than what came before it."""
    created = [item.created for item in catalog.segments]
    if any(late < early for early, late in pairwise(created)):
        return False
    # Nothing of a generation comes before the snapshot with which it begins.
    first = [item.info.created for item in catalog.snapshots if item.note and item.note.begins]
    return not any(time < began for time in created for began in first)


def _nothing_yet(found: Sequence[Found], time: datetime) -> NoRestorePointError:
    oldest = min(catalog.oldest for _, catalog in found if catalog.oldest)
    newest = max(catalog.newest for _, catalog in found if catalog.newest)
    return NoRestorePointError(
        f"There is nothing from {format_time(time)} or before: "
        f"the replica holds {format_time(oldest)} to {format_time(newest)}."
    )
