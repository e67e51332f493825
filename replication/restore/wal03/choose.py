"""Which replica and which generation, when none is named: one rule for restores and for the screen.

The generation is the newest that had begun (order.py); of the replicas that have it the one is taken whose plan ends
furthest (ranking.py). What cannot be restored although it may be newer is never passed over in silence. A generation
without a snapshot is never chosen.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from replication.errors import (
    CorruptObjectError,
    NoRestorePointError,
    ReplicationError,
    RestoreCancelledError,
    StorageError,
)
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.retry import LIST_BACKOFF, retrying
from replication.restore.target import AtPosition, AtTime, Latest, Target
from replication.restore.wal03.asking import Found, Waiting, ask
from replication.restore.wal03.catalog import Catalog, read_catalog
from replication.restore.wal03.generations import newest_of
from replication.restore.wal03.measured import measured
from replication.restore.wal03.offers import Offer, OfferOrRefusal, Refusal, answer_of, is_exact
from replication.restore.wal03.ranking import behind, ranked, rival
from replication.restore.wal03.refusals import nothing, refused, unreadable
from replication.restore.wal03.seen import Seen, seen_by
from replication.storage.wal03.replica_client import ReplicaClient

GENERATION_READS_MAX = 8
"""Generations listed at the same time."""

Newest = Callable[[], Position | None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What each replica says of the chosen generation, the best offer first, and what could not be read.

    `target` is what was asked for; of a time the very commit, where it is known.
    """

    generation: str
    answers: tuple[OfferOrRefusal, ...]
    warnings: tuple[str, ...]
    target: Target

    @property
    def source(self) -> OpenReplica:
        """The replica that answers best."""
        return self.answers[0].source

    @property
    def best(self) -> Offer:
        """The offer of the replica that answers best."""
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

    `newest` is the last commit that is known here, and `waiting` is called with the names of those that are waited for,
    in words. Raises StorageError if none answers, NoRestorePointError if none has what is wanted or if it is unclear.
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
            # A silent replica may have later commits from before that time.
            return False
        try:
            chosen = choose_among(sources, found, failures, target, generation, stop)
        except RestoreCancelledError:
            raise
        except ReplicationError:
            return False
        best = measured(chosen.best, target, LIST_BACKOFF, stop)
        if isinstance(target, AtPosition):
            return is_exact(best.plan, target.position)
        return known is not None and best.end.generation == known.generation and best.end >= known

    waits = Waiting(is_enough, waiting)
    return ask(sources, lambda source, stop: _catalogs(source.client(ReplicaClient), named, stop), stop, waits)


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
        # What is looked for may be in a replica that does not answer.
        raise failures[0].error
    if not usable and damaged:
        raise CorruptObjectError(damaged[0], "its note is wrong", "No replica has another snapshot.")
    if not usable:
        raise nothing(sources, found, generation)
    wanted = generation or newest_of(found, usable, target, stop)
    here = [(source, catalog) for source, catalog in found if catalog.generation == wanted]
    said = [answer_of(source, catalog, target, thorough, LIST_BACKOFF, stop) for source, catalog in here]
    answers = ranked(said, target, LIST_BACKOFF, stop)
    if isinstance(target, AtTime):
        exact, untold = made_by_then(here, answers, target, stop)
        warnings += untold
        if exact is not None:
            return choose_among(sources, found, failures, AtPosition(exact), None, stop, thorough, warnings)
    best = answers[0]
    if not isinstance(best, Offer):
        raise refused([*answers, *failures])
    ahead = behind(best, answers, target)
    if isinstance(ahead, Offer):
        raise unreadable(ahead, best)
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
    return Chosen(wanted, (*answers, *failures), warnings, target)


def made_by_then(
    here: Sequence[Found], answers: Sequence[OfferOrRefusal], target: AtTime, stop: threading.Event
) -> tuple[Position | None, tuple[str, ...]]:
    """The last commit that is noted as made by a time, if none is known by the times of objects that may be later.

    So any replica that has that very commit by now can bring it back, whatever it had at that time. Also returns what a
    person should know of those that could not be asked.
    """
    found: list[Seen] = []
    warnings: tuple[str, ...] = ()
    for source, catalog in here:
        try:
            seen = seen_by(source.client(ReplicaClient), catalog, target, stop)
        except StorageError as error:
            warnings += (f"Replica {source.name} did not say when its later commits were made: {error}",)
            continue
        found += [seen] if seen is not None else []
    last = max(found, default=None, key=lambda item: (item.position, item.is_last))
    known = max((item.known for item in answers if item.known is not None), default=None)
    if last is None or (known is not None and (last.position, last.is_last) < (known, True)):
        return None, warnings
    return last.position, warnings


def _named(target: Target) -> str | None:
    return target.position.generation if isinstance(target, AtPosition) else None


def _catalogs(client: ReplicaClient, generation: str | None, stop: threading.Event) -> list[Catalog]:
    """All generations of a replica, or the one named."""
    names = retrying(client.generations, LIST_BACKOFF, stop)
    if generation is not None:
        names = [name for name in names if name == generation]
    with ThreadPoolExecutor(GENERATION_READS_MAX, thread_name_prefix="list-generation") as pool:
        return list(pool.map(lambda name: retrying(lambda: read_catalog(client, name), LIST_BACKOFF, stop), names))
