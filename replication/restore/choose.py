"""Which replica and which generation, when none is named: by content first, never by file times alone.

Notes decide where there are any: a generation that another one names as one before it is older than that one.
What is left (replicas that Litestream wrote) goes by object times where those are believable and the file
change counters of the newest snapshots do not speak against them. Where the two disagree nobody guesses:
NoRestorePointError lists the candidates. A generation without a snapshot is never chosen.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from replication.errors import CorruptObjectError, NoBackupError, NoRestorePointError, StorageError
from replication.restore.catalog import Catalog, Snapshot, SnapshotNote, read_catalog
from replication.restore.retry import Backoff, retrying
from replication.restore.target import AtPosition, AtTime, Target, format_time
from replication.storage.replica_client import ReplicaClient

LIST_BACKOFF = Backoff(tries_max=3)
"""Listing gives up sooner than fetching: another replica may answer."""
GENERATION_READS_MAX = 8
"""Generations listed at the same time."""
_CHANGE_COUNTER = slice(24, 28)
_DATABASE_HEADER_SIZE = 100


@dataclass(frozen=True, slots=True)
class Source:
    """One replica to restore from, with its name in the configuration."""

    name: str
    client: ReplicaClient


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generation, as far as choosing needs it. `change_counter` is None until it is asked for."""

    generation: str
    reach: tuple[int, int]
    oldest: datetime
    newest: datetime
    times_rise: bool
    note: SnapshotNote | None
    change_counter: int | None = None

    def __str__(self) -> str:
        counter = "" if self.change_counter is None else f", change counter {self.change_counter}"
        return f"{self.generation} ({format_time(self.oldest)} to {format_time(self.newest)}{counter})"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer: a source, one of its generations, and warnings about what could not be looked at."""

    source: Source
    catalog: Catalog
    warnings: tuple[str, ...]


def choose(sources: Sequence[Source], target: Target, generation: str | None, stop: threading.Event) -> Chosen:
    """Choose among all generations of all sources that answer.

    Raises StorageError if none answers, NoRestorePointError if none has what is wanted or if it is unclear.
    """
    if generation is None and isinstance(target, AtPosition):
        generation = target.position.generation
    warnings: list[str] = []
    failures: list[StorageError] = []
    found: list[tuple[Source, Catalog]] = []
    for source in sources:
        try:
            found += [(source, catalog) for catalog in _catalogs(source.client, generation, stop)]
        except StorageError as error:
            failures.append(error)
            warnings.append(f"Replica {source.name} could not be read and was left out: {error}")
    usable = [(source, catalog) for source, catalog in found if catalog.snapshots]
    damaged = [name for _, catalog in found for name in catalog.damaged]
    if not usable and failures:
        # What is looked for may be just where nobody answers.
        raise failures[0]
    if not usable and damaged:
        raise CorruptObjectError(damaged[0], "its note is wrong", "No replica has another snapshot.")
    if not usable:
        raise _nothing(sources, found, generation)
    if isinstance(target, AtTime):
        usable = _begun(usable, target.time)
    furthest: dict[str, tuple[Source, Catalog]] = {}
    for source, catalog in usable:
        best = furthest.get(catalog.generation)
        if best is None or catalog.reach > best[1].reach:
            furthest[catalog.generation] = (source, catalog)
    wanted = generation or _newest(furthest, stop)
    if generation is None:
        headless = [catalog for _, catalog in found if catalog.generation not in furthest and not catalog.snapshots]
        warnings += _left_out(headless, [catalog for _, catalog in furthest.values()], furthest[wanted][1], target)
    return Chosen(*furthest[wanted], warnings=tuple(warnings))


def _left_out(headless: Sequence[Catalog], usable: Sequence[Catalog], chosen: Catalog, target: Target) -> list[str]:
    """What to say of generations that nothing can be restored from although they may be the newest.

    Raises CorruptObjectError where a damaged snapshot is all that keeps such a generation from being chosen.
    """
    earlier = {name for catalog in usable for item in catalog.snapshots if item.note for name in item.note.before}
    warnings: list[str] = []
    for catalog in headless:
        times = [item.created for item in catalog.segments] + list(catalog.damaged_times)
        late = isinstance(target, AtTime) and min(times, default=target.time) > target.time
        if not times or late or catalog.generation in earlier or (chosen.newest and max(times) <= chosen.newest):
            continue
        if catalog.damaged:
            raise CorruptObjectError(
                catalog.damaged[0],
                "its note is wrong",
                f"Its generation may be the newest. An older one is {chosen.generation}: name it with -generation.",
            )
        warnings.append(
            f"Generation {catalog.generation} is newer, up to {format_time(max(times))}, but it has no snapshot, "
            "so nothing of it can be restored."
        )
    return warnings


def newest_generation(candidates: Sequence[Candidate]) -> str | None:
    """The newest of the candidates, or None where it takes change counters that they lack.

    Raises NoRestorePointError, listing them, when it cannot be told.
    """
    _refuse_parted(candidates)
    heads = _heads(candidates)
    if len(heads) == 1:
        return heads[0].generation
    if all(item.note and item.note.time for item in heads):
        times = sorted((item.note.time, item.generation) for item in heads if item.note and item.note.time)
        if times[-1][0] > times[-2][0]:
            return times[-1][1]
    counters = [item.change_counter for item in heads if item.change_counter is not None]
    if len(counters) < len(heads):
        return None
    by_time = _by_time(heads)
    highest = max(counters)
    leaders = [item for item in heads if item.change_counter == highest]
    if by_time is not None:
        if by_time in leaders:
            return by_time.generation
        raise NoRestorePointError(
            f"The object times call {by_time.generation} the newest generation, but the change counter of "
            f"its "
            f"database is lower than another's. Name one with -generation: {_list(heads)}."
        )
    if len(leaders) == 1:
        return leaders[0].generation
    raise NoRestorePointError(
        "Neither the object times nor the databases' change counters tell which generation is the newest. "
        f"Name one with -generation: {_list(heads)}."
    )


def _refuse_parted(candidates: Sequence[Candidate]) -> None:
    """Raise NoRestorePointError if two programs went on with one history: neither is the newer of the other.

    A history that was only set back from is one that nothing was written to since.
    """
    for parted in candidates:
        for shared in parted.note.beside if parted.note else ():
            others = [
                item
                for item in candidates
                # Some stores have times in whole seconds.
                if item.newest >= parted.oldest
                and (item.generation == shared or (item.note and shared in item.note.before))
                and not (item is parted or (item.note and parted.generation in item.note.before))
            ]
            if others:
                raise NoRestorePointError(
                    f"Two programs went on with generation {shared}, each with a copy of the database, so that none "
                    f"is the newest. Name the one you want with -generation: {_list([parted, *others])}."
                )


def _heads(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other candidate comes after, by the notes."""
    before = {name for item in candidates if item.note for name in item.note.before}
    heads = [item for item in candidates if item.generation not in before]
    # Notes that name each other in a ring say nothing.
    return heads or list(candidates)


def _by_time(candidates: Sequence[Candidate]) -> Candidate | None:
    """The last by object times, or None if the times cannot be believed."""
    ordered = sorted(candidates, key=lambda item: (item.oldest, item.newest))
    if not all(item.times_rise for item in ordered):
        return None
    if any(later.oldest <= earlier.newest for earlier, later in pairwise(ordered)):
        return None
    return ordered[-1]


def _newest(furthest: dict[str, tuple[Source, Catalog]], stop: threading.Event) -> str:
    candidates = [candidate_of(catalog) for _, catalog in furthest.values()]
    answer = newest_generation(candidates)
    if answer is None:
        counted = []
        for item in candidates:
            source, catalog = furthest[item.generation]
            counted.append(candidate_of(catalog, change_counter(source.client, catalog.snapshots[-1], stop)))
        answer = newest_generation(counted)
    assert answer is not None
    return answer


def candidate_of(catalog: Catalog, counter: int | None = None) -> Candidate:
    """A generation that has a snapshot, as a candidate."""
    created = [item.created for item in catalog.segments]
    oldest, newest = catalog.oldest, catalog.newest
    assert oldest is not None
    assert newest is not None
    return Candidate(
        generation=catalog.generation,
        reach=catalog.reach,
        oldest=oldest,
        newest=newest,
        times_rise=all(early <= late for early, late in pairwise(created)),
        note=catalog.snapshots[-1].note,
        change_counter=counter,
    )


def change_counter(client: ReplicaClient, snapshot: Snapshot, stop: threading.Event) -> int:
    """The file change counter in a snapshot's database header; raises CorruptObjectError if it has none."""
    name = snapshot.info.name
    head = retrying(lambda: client.read_head(name, _DATABASE_HEADER_SIZE), LIST_BACKOFF, stop)
    if len(head) < _DATABASE_HEADER_SIZE:
        raise CorruptObjectError(name, "it is shorter than a database header")
    return int.from_bytes(head[_CHANGE_COUNTER], "big")


def _catalogs(client: ReplicaClient, generation: str | None, stop: threading.Event) -> list[Catalog]:
    """All generations of a replica, or the one named."""
    names = retrying(client.generations, LIST_BACKOFF, stop)
    if generation is not None:
        names = [name for name in names if name == generation]
    with ThreadPoolExecutor(GENERATION_READS_MAX, thread_name_prefix="list-generation") as pool:
        return list(pool.map(lambda name: retrying(lambda: read_catalog(client, name), LIST_BACKOFF, stop), names))


def _begun(found: list[tuple[Source, Catalog]], time: datetime) -> list[tuple[Source, Catalog]]:
    """The generations that had begun at `time`."""
    begun = [(source, catalog) for source, catalog in found if catalog.oldest and catalog.oldest <= time]
    if begun:
        return begun
    oldest = min(catalog.oldest for _, catalog in found if catalog.oldest)
    newest = max(catalog.newest for _, catalog in found if catalog.newest)
    raise NoRestorePointError(
        f"There is nothing from {format_time(time)} or before: "
        f"the replica holds {format_time(oldest)} to {format_time(newest)}."
    )


def _nothing(
    sources: Sequence[Source], found: Sequence[tuple[Source, Catalog]], generation: str | None
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


def _list(candidates: Sequence[Candidate]) -> str:
    return ", ".join(str(item) for item in sorted(candidates, key=lambda item: item.generation))
