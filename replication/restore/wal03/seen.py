"""The last commit that was made at or before a time, where segments note when theirs were seen.

A segment notes how long before it was sent each of its commits had been seen, by a clock that nobody sets. So the time
at which the store got it, less that, is a time of the store's clock that is not before the commit, whatever clocks of
hosts said, whether they jumped, and however long the commit had to wait.

Its promise: what it gives was made by then. For the commits of a generation come one after the other: what lies before
one that was made by then was as well, noted or not. It never gives less than the times of the objects do.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from replication.errors import CorruptObjectError, ObjectNotFoundError
from replication.position import Position
from replication.restore.retry import LIST_BACKOFF, retrying
from replication.restore.target import AtTime
from replication.restore.wal03.catalog import Catalog
from replication.storage.wal03.replica_client import ReplicaClient

SEGMENTS_READ_MAX = 64
"""Segments whose notes are read past the time."""
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """The end of a commit that had been made by a time. `is_last` if the one after it is noted, and was made later."""

    position: Position
    is_last: bool


def seen_by(client: ReplicaClient, catalog: Catalog, target: AtTime, stop: threading.Event) -> Seen | None:
    """Return the last commit that segments which came after a time note as made by then; None if none does.

    Raises StorageError, RestoreCancelledError.
    """
    segments = catalog.segments
    late = next((number for number, item in enumerate(segments) if not target.has(item.created)), len(segments))
    found: Position | None = None
    for info in segments[late : late + SEGMENTS_READ_MAX]:
        try:
            note = retrying(lambda info=info: client.segment_note(info.name), LIST_BACKOFF, stop)  # type: ignore[misc]
        except (CorruptObjectError, ObjectNotFoundError):
            break
        for offset, age in note.seen if note is not None else ():
            if made_by(info.created, age) > target.time:
                return Seen(found, is_last=True) if found is not None else None
            found = Position(info.generation, info.index, offset)
    return Seen(found, is_last=False) if found is not None else None


def made_by(stored: datetime, age_ms: int) -> datetime:
    """Return a time by which a commit had been made, of a segment that was stored then."""
    # Of a store that tells whole seconds it may have come at the end of one.
    try:
        return (stored if stored.microsecond else stored + _SECOND) - timedelta(milliseconds=age_ms)
    except OverflowError:
        # A store that says any nonsense for a time.
        return stored
