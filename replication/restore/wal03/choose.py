"""Which replica and which generation, when none is named: one rule for restores and for the screen.

The generation is the newest that had begun (order.py); of the replicas that have it the one is taken whose plan ends
furthest (offers.py). What cannot be restored although it may be newer is never passed over in silence. A generation
without a snapshot is never chosen.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from replication.errors import (
    CorruptObjectError,
    MayBeOlderError,
    NoBackupError,
    NoRestorePointError,
    ObjectNotFoundError,
    ReplicaGapError,
    ReplicationError,
    RestoreCancelledError,
    StorageError,
)
from replication.position import Position
from replication.restore.retry import LIST_BACKOFF, retrying
from replication.restore.target import AtPosition, AtTime, Latest, Target
from replication.restore.wal03.asking import Found, Waiting, ask
from replication.restore.wal03.catalog import Catalog, read_catalog
from replication.restore.wal03.contents import content_of
from replication.restore.wal03.offers import (
    Offer,
    OfferOrRefusal,
    Refusal,
    answer_of,
    behind,
    is_exact,
    listed_end,
    measured,
    ranked,
    rival,
)
from replication.restore.wal03.offers import OpenReplica as OpenReplica
from replication.restore.wal03.order import Candidate, Content, Span, heads, newest_generation
from replication.storage.wal03.names import snapshot_name
from replication.storage.wal03.replica_client import ReplicaClient
from replication.times import format_time

GENERATION_READS_MAX = 8
"""Generations listed at the same time."""

Newest = Callable[[], Position | None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer: what each replica says of the generation, the best offer first, and what could not be looked at."""

    generation: str
    answers: tuple[OfferOrRefusal, ...]
    warnings: tuple[str, ...]

    @property
    def source(self) -> OpenReplica:
        """The replica that answers best."""
        return self.answers[0].source

    @property
    def best(self) -> Offer:
        """Its offer."""
        best = self.answers[0]
        assert isinstance(best, Offer)
        return best


def choose(
    sources: Sequence[OpenReplica],
    target: Target,
    generation: str | None,
    stop: threading.Event,
    thorough: bool = False,
    newest: Newest = lambda: None,
    waiting: Callable[[str], None] = lambda words: None,
) -> Chosen:
    """Choose among all generations of all sources that answer.

    `newest` is the last commit that is known here, and `waiting` is told in words who is waited for.
    Raises StorageError if none answers, NoRestorePointError if none has what is wanted or if it is unclear.
    """
    found, failures = read_all(sources, generation, target, stop, newest, waiting)
    warnings = [f"Replica {item.source.name} could not be read and was left out: {item.error}" for item in failures]
    return choose_among(sources, found, failures, target, generation, stop, thorough, tuple(warnings))


def read_all(
    sources: Sequence[OpenReplica],
    generation: str | None,
    target: Target,
    stop: threading.Event,
    newest: Newest = lambda: None,
    waiting: Callable[[str], None] = lambda words: None,
) -> tuple[list[Found], list[Refusal]]:
    """All generations of all replicas, or the one named, and why some could not be read.

    A replica that is silent is not waited for where those that answer have the very commit that was asked for, or, if
    that is the newest, all that was ever copied here. Arguments as of `choose`.
    """
    named = generation or _named(target)

    def is_enough(found: Sequence[Found], failures: Sequence[Refusal]) -> bool:
        known = newest() if isinstance(target, Latest) else None
        if known is None and not isinstance(target, AtPosition):
            # At a time, another may have had later commits.
            return False
        try:
            chosen = choose_among(sources, found, failures, target, generation, stop)
        except RestoreCancelledError:
            raise
        except ReplicationError:
            return False
        best = measured(chosen.best, LIST_BACKOFF, stop)
        if isinstance(target, AtPosition):
            return is_exact(best.plan, target.position)
        return known is not None and best.end.generation == known.generation and best.end >= known

    waits = Waiting(is_enough, waiting)
    return ask(sources, lambda source, stop: _catalogs(source.client, named, stop), stop, waits)


def choose_among(
    sources: Sequence[OpenReplica],
    found: Sequence[Found],
    failures: Sequence[Refusal],
    target: Target,
    generation: str | None,
    stop: threading.Event,
    thorough: bool = False,
    warnings: tuple[str, ...] = (),
) -> Chosen:
    """Choose among what was read. Raises as `choose`."""
    generation = generation or _named(target)
    usable = [(source, catalog) for source, catalog in found if catalog.snapshots]
    damaged = [name for _, catalog in found for name in catalog.damaged]
    if not usable and failures:
        # What is looked for may be just where nobody answers.
        raise failures[0].error
    if not usable and damaged:
        raise CorruptObjectError(damaged[0], "its note is wrong", "No replica has another snapshot.")
    if not usable:
        raise _nothing(sources, found, generation)
    wanted = generation or _newest(found, usable, target, stop)
    here = [(source, catalog) for source, catalog in found if catalog.generation == wanted]
    said = [answer_of(source, catalog, target, thorough, LIST_BACKOFF, stop) for source, catalog in here]
    answers = ranked(said, target, LIST_BACKOFF, stop)
    best = answers[0]
    if not isinstance(best, Offer):
        raise refused([*answers, *failures])
    ahead = behind(best, answers, target)
    if isinstance(ahead, Offer):
        raise _unreadable(ahead, best)
    if ahead is not None:
        raise refused([ahead, *(item for item in answers if item is not ahead), *failures])
    if (other := rival(best, answers)) is not None:
        raise NoRestorePointError(
            f"Replica {best.source.name} has commits up to {best.end}, and replica {other.source.name} a snapshot of "
            f"Litestream, {other.plan.snapshot.info.name}, which may hold later ones. Name one of them with -replica."
        )
    torn = [item for item in answers if isinstance(item, Offer) and item.torn and item is not best]
    warnings += tuple(
        f"Replica {item.source.name}: {item.torn} is damaged, so it cannot be told whether it held commits after "
        f"{best.end}."
        for item in torn
    )
    return Chosen(wanted, (*answers, *failures), warnings)


def _unreadable(ahead: Offer, best: Offer) -> ReplicationError:
    """What to say of a replica that has commits after all that can be restored: they are in a damaged snapshot."""
    instead = f"What can be restored is {best.end}, from replica {best.source.name}: name it with -position."
    if ahead.catalog.damaged:
        return CorruptObjectError(ahead.catalog.damaged[-1], "its note is wrong", instead)
    return ReplicaGapError(f"Replica {ahead.source.name} has commits up to {ahead.known}. {instead}")


def refused(answers: Sequence[OfferOrRefusal]) -> ReplicationError:
    """The first error, with what each of the other replicas says."""
    first = answers[0]
    assert isinstance(first, Refusal)
    if len(answers) == 1:
        return first.error
    told = [f"Replica {item.source.name}: {_words(item)}" for item in answers[1:]]
    return with_words(first.error, f"Replica {first.source.name}: ", " ".join(told))


def with_words(error: ReplicationError, before: str, after: str) -> ReplicationError:
    """An error of the same class whose message has something before and after it."""
    if isinstance(error, CorruptObjectError):
        return CorruptObjectError(error.name, error.why, f"{error.remedy} {after}".strip())
    if isinstance(error, MayBeOlderError):
        return MayBeOlderError(f"{before}{error} {after}", error.index)
    kind: type[ReplicationError] = StorageError if isinstance(error, ObjectNotFoundError) else type(error)
    return kind(f"{before}{error} {after}")


def _words(answer: OfferOrRefusal) -> str:
    if isinstance(answer, Refusal):
        return str(answer.error)
    name = answer.source.name
    return f"it can be restored up to {answer.end}: name it with -replica {name}."


def _named(target: Target) -> str | None:
    return target.position.generation if isinstance(target, AtPosition) else None


def _newest(found: Sequence[Found], usable: Sequence[Found], target: Target, stop: threading.Event) -> str:
    """The newest generation that had begun by the target. Raises where a newer one cannot be restored, or may be."""
    by_name: dict[str, list[Found]] = {}
    for source, catalog in found:
        by_name.setdefault(catalog.generation, []).append((source, catalog))
    restorable = {catalog.generation for _, catalog in usable}
    candidates = {name: candidate_of(by_name[name]) for name in restorable}
    begun = {name: item for name, item in candidates.items() if _began(by_name[name], target)}
    if not begun:
        assert isinstance(target, AtTime)
        raise _nothing_yet(usable, target.time)

    def content(name: str) -> Content:
        return content_of([(source, catalog) for source, catalog in by_name[name] if catalog.snapshots], stop)

    wanted = newest_generation(list(begun.values()), content)
    _refuse_gone_on_with(candidates[wanted], by_name, target)
    earlier = {name for item in begun.values() for name in item.before}
    for name in by_name.keys() - restorable - earlier:
        _refuse_headless(by_name[name], candidates[wanted], target)
    if isinstance(target, AtTime):
        for name in candidates.keys() - begun.keys():
            _refuse_unclear_start(candidates[name], by_name[name], candidates[wanted], target)
    return wanted


def _began(found: Sequence[Found], target: Target) -> bool:
    """True if anything of a generation counts up to the target: in a copy a later object may have an earlier time."""
    return not isinstance(target, AtTime) or any(listed_end(catalog, target) is not None for _, catalog in found)


def _refuse_gone_on_with(chosen: Candidate, by_name: dict[str, list[Found]], target: Target) -> None:
    """Raise if an older generation holds WAL past where the program of the chosen one had left it, without end mark."""
    notes = [item.note for _, catalog in by_name[chosen.generation] for item in catalog.snapshots if item.note]
    for left in {left for note in notes for left in note.lefts}:
        for _, catalog in by_name.get(left.generation, []):
            times = [item.created for item in catalog.segments if item.position >= left]
            if times and not (isinstance(target, AtTime) and min(times) > target.time):
                raise NoRestorePointError(
                    f"Two programs went on with generation {left.generation}, each with a copy of the database, so "
                    f"that none is the newest. Name the one you want with -generation: {left.generation} (up to "
                    f"{format_time(max(times))}), {chosen.generation} (up to {format_time(chosen.newest)})."
                )


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
    # One whose note is damaged has its time all the same.
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


def _catalogs(client: ReplicaClient, generation: str | None, stop: threading.Event) -> list[Catalog]:
    """All generations of a replica, or the one named."""
    names = retrying(client.generations, LIST_BACKOFF, stop)
    if generation is not None:
        names = [name for name in names if name == generation]
    with ThreadPoolExecutor(GENERATION_READS_MAX, thread_name_prefix="list-generation") as pool:
        return list(pool.map(lambda name: retrying(lambda: read_catalog(client, name), LIST_BACKOFF, stop), names))


def _nothing_yet(found: Sequence[Found], time: datetime) -> NoRestorePointError:
    oldest = min(catalog.oldest for _, catalog in found if catalog.oldest)
    newest = max(catalog.newest for _, catalog in found if catalog.newest)
    return NoRestorePointError(
        f"There is nothing from {format_time(time)} or before: "
        f"the replica holds {format_time(oldest)} to {format_time(newest)}."
    )


def _nothing(
    sources: Sequence[OpenReplica], found: Sequence[tuple[OpenReplica, Catalog]], generation: str | None
) -> NoRestorePointError:
    where = ", ".join(source.client.address for source in sources) or "no replica"
    if found:
        names = ", ".join(sorted({catalog.generation for _, catalog in found}))
        return NoRestorePointError(
            f"No snapshot in {where}, so nothing can be restored; generations without one: {names}."
        )
    if generation is not None:
        return NoRestorePointError(
            f"Generation {generation} is not in {where}. The generations verb lists those that are."
        )
    return NoBackupError(f"No backup in {where}: nothing has been replicated there yet, or the path is another one.")
