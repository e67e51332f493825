"""Did somebody go on with a generation after the chosen one had taken its place? Then two programs wrote, each with a
copy of the database, and neither has all commits: NoRestorePointError names both, and nothing is guessed.

It is told by places in the WAL, and by no clock. When a program begins a generation in a replica, the snapshot notes of
each older generation there the first place at which nothing is (SnapshotNote.reached), and of those that the program
itself had left, where (SnapshotNote.lefts). Objects are only ever added at the end of a generation. So whatever lies at
or past such a place was written later, by somebody else:

    when B began there    A  |---c--|           B's note: nothing of A at P, or past it
                                    ^P
    now                   A  |---c--|--c--|     somebody wrote past P since, and need not know of B
                          B  |--c--|            B is the chosen one

An object that begins before P and ends past it tells the same: it vanished, and was sent again with more in it.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from replication.errors import CorruptObjectError, NoRestorePointError, ObjectNotFoundError
from replication.position import Position
from replication.restore.retry import LIST_BACKOFF, retrying
from replication.restore.target import AtTime, Target
from replication.restore.wal03.asking import Found
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.order import Candidate
from replication.storage.wal03.notes import REACHED_MAX, SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient
from replication.times import format_time


def refuse_gone_on_with(
    chosen: Candidate, by_name: Mapping[str, list[Found]], target: Target, stop: threading.Event
) -> None:
    """Raise NoRestorePointError if somebody wrote to another generation, up to the target, after the chosen one began.

    `by_name` has, by generation, each replica with what it lists. Raises StorageError.
    """
    noted = _noted_in(chosen, by_name)
    for name in sorted(by_name.keys() - {chosen.generation}):
        for source, catalog in by_name[name]:
            times = _times_since(source.client(ReplicaClient), source.name, catalog, chosen, noted, stop)
            if times and not _is_later(min(times), target):
                raise NoRestorePointError(
                    f"Two programs went on with generation {name}, each with a copy of the database, so "
                    f"that none is the newest. Name the one you want with -generation: {name} (up to "
                    f"{format_time(max(times))}), {chosen.generation} (up to {format_time(chosen.newest)})."
                )


@dataclass(frozen=True, slots=True)
class _Noted:
    """What notes say of other generations: the first places at which nothing of them was.

    By the notes of the chosen one: `lefts`, where its program had left them, and `reached`, by replica, how far they
    had come there. `before`, by replica, is both by the notes of the generations that the chosen one names as older.
    """

    lefts: frozenset[Position]
    reached: Mapping[str, frozenset[Position]]
    before: Mapping[str, frozenset[Position]]
    full_in: frozenset[str]
    """Replicas in which the notes of the chosen one had no room for more."""

    def places_of(self, generation: str, replica: str) -> set[Position]:
        """The places of a generation that count in a replica, by the chosen one's notes: those noted in that replica,
        since another replica may have been behind; if there are none, where its program had left the generation.
        """
        here = _of(generation, self.reached.get(replica, frozenset()))
        return here or _last(_of(generation, self.lefts))

    def places_elsewhere(self, generation: str) -> set[Position]:
        """The furthest that the chosen one's program saw of a generation, in any replica."""
        return _last(_of(generation, {place for places in self.reached.values() for place in places}))


def _noted_in(chosen: Candidate, by_name: Mapping[str, Sequence[Found]]) -> _Noted:
    notes = {source.name: _notes(catalog) for source, catalog in by_name[chosen.generation]}
    earlier: dict[str, set[Position]] = {}
    for name in chosen.before & by_name.keys():
        for source, catalog in by_name[name]:
            earlier.setdefault(source.name, set()).update(*((*n.lefts, *n.reached) for n in _notes(catalog)))
    return _Noted(
        lefts=frozenset(place for each in notes.values() for note in each for place in note.lefts),
        reached={name: frozenset(place for note in each for place in note.reached) for name, each in notes.items()},
        before={name: frozenset(places) for name, places in earlier.items()},
        full_in=frozenset(name for name, each in notes.items() if any(len(n.reached) >= REACHED_MAX for n in each)),
    )


def _times_since(
    client: ReplicaClient,
    replica: str,
    catalog: Catalog,
    chosen: Candidate,
    noted: _Noted,
    stop: threading.Event,
) -> list[datetime]:
    """When objects of a generation were stored in a replica that came after the chosen one began. Four cases:

    1. The chosen one's notes have a place for it here, or say where its program had left it: what lies past that.
    2. They name it for other replicas only, and it names the chosen one as older: here it was not, so all of it.
    3. They name it for other replicas only: what lies past the furthest of these. That may have been here before, but
       the chosen one's program had not seen it, as far as is known.
    4. They had no room for it: what lies past where a generation before the chosen one had seen it, and was stored
       after the chosen one came here.
    """
    name = catalog.generation
    if places := noted.places_of(name, replica):
        return _times_past(client, catalog, places, stop)
    if seen := noted.places_elsewhere(name):
        if any(chosen.generation in note.before for note in _notes(catalog)):
            return catalog.times
        return _times_past(client, catalog, seen, stop)
    if name in chosen.before and replica in noted.full_in and replica in chosen.spans:
        known = _last(_of(name, noted.before.get(replica, frozenset())))
        since = _times_past(client, catalog, known, stop) if known else catalog.times
        return [time for time in since if time > chosen.spans[replica].oldest]
    return []


def _times_past(
    client: ReplicaClient, catalog: Catalog, places: Collection[Position], stop: threading.Event
) -> list[datetime]:
    past = [time for place in places for time in catalog.times_past(place)]
    return past + _times_of_longer(client, catalog, places, stop)


def _times_of_longer(
    client: ReplicaClient, catalog: Catalog, places: Collection[Position], stop: threading.Event
) -> list[datetime]:
    """The time of the last segment if it begins before one of the places and ends past it.

    Only the last one can: where one follows, that shows it. A place right after a name says nothing of an end
    (lineage.py): it was noted of what could not be read, and by earlier versions of all.
    """
    if not catalog.segments:
        return []
    last = catalog.segments[-1]
    noted = [place for place in places if place.index == last.index and place.offset > last.offset + 1]
    if not noted:
        return []
    try:
        end = retrying(lambda: client.end_of(last), LIST_BACKOFF, stop)
    except (CorruptObjectError, ObjectNotFoundError):
        # Nobody can go on from what it holds.
        return []
    return [last.created] if end > min(noted) else []


def _of(generation: str, places: Collection[Position]) -> set[Position]:
    return {place for place in places if place.generation == generation}


def _last(places: Collection[Position]) -> set[Position]:
    """The furthest of places in one generation: what was there once stays, or is missed by others."""
    return {max(places)} if places else set()


def _notes(catalog: Catalog) -> list[SnapshotNote]:
    return [item.note for item in catalog.snapshots if item.note]


def _is_later(time: datetime, target: Target) -> bool:
    return isinstance(target, AtTime) and time > target.time
