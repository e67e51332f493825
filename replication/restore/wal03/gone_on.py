"""Did another program go on with a generation that is called older? Places tell, whatever the objects' times say.

A snapshot notes where older generations were left, and how far others had come in its replica (SnapshotNote). What lies
past such a place came later, also within an object that begins before it: one that vanished and was sent again, longer.
Then none is the newest: NoRestorePointError names them, and nothing is guessed.
"""

import threading
from collections.abc import Collection, Mapping
from datetime import datetime

from replication.errors import CorruptObjectError, NoRestorePointError, ObjectNotFoundError
from replication.position import Position
from replication.restore.retry import LIST_BACKOFF, retrying
from replication.restore.target import AtTime, Target
from replication.restore.wal03.asking import Found
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.order import Candidate
from replication.storage.wal03.notes import SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient
from replication.times import format_time


def refuse_gone_on_with(
    chosen: Candidate, by_name: Mapping[str, list[Found]], target: Target, stop: threading.Event
) -> None:
    """Raise if a program went on with another generation past where the program of the chosen one left it, or saw it.

    The notes of the chosen generation in a replica say how much of another one that replica had. In a replica without
    such notes, the places where the chosen one left others count. If no note says how much there was of another one,
    and that one calls the chosen one older, it was begun later. Raises StorageError.
    """
    lefts: set[Position] = set()
    known: dict[str, set[Position]] = {}
    for source, catalog in by_name[chosen.generation]:
        for note in _notes(catalog):
            lefts.update(note.lefts)
            known.setdefault(source.name, set()).update(note.lefts, note.reached)
    told = {place.generation for places in (lefts, *known.values()) for place in places}
    # A note that says nothing of a generation is of an earlier version, or had no room for it.
    for name in sorted(told & by_name.keys() - {chosen.generation}):
        for source, catalog in by_name[name]:
            here = {place for place in known.get(source.name, ()) if place.generation == name}
            places = here or {place for place in lefts if place.generation == name}
            times = [time for place in places for time in catalog.times_past(place)]
            times += _times_of_longer(source.client(ReplicaClient), catalog, places, stop)
            if not places and any(chosen.generation in note.before for note in _notes(catalog)):
                times = catalog.times
            if times and not _is_later(min(times), target):
                raise NoRestorePointError(
                    f"Two programs went on with generation {name}, each with a copy of the database, so "
                    f"that none is the newest. Name the one you want with -generation: {name} (up to "
                    f"{format_time(max(times))}), {chosen.generation} (up to {format_time(chosen.newest)})."
                )


def _times_of_longer(
    client: ReplicaClient, catalog: Catalog, places: Collection[Position], stop: threading.Event
) -> list[datetime]:
    """The time of the last segment if it begins before one of the places and ends past it.

    Only the last one can: where one follows, that shows it. Earlier versions noted the place after the name of what was
    there, which tells nothing of its end.
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


def _notes(catalog: Catalog) -> list[SnapshotNote]:
    return [item.note for item in catalog.snapshots if item.note]


def _is_later(time: datetime, target: Target) -> bool:
    return isinstance(target, AtTime) and time > target.time
