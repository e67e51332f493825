"""The last commit that was made at or before a time, where segments note when theirs were seen.

A segment notes how long before it was sent each of its commits had been seen, by a clock that nobody sets. So the time
at which the store got it, less that, is a time of the store's clock that is not before the commit, whatever clocks of
hosts said, whether they jumped, and however long the commit had to wait.

Its promise: what it gives was made by then. For the commits of a generation come one after the other: what lies before
one that was made by then was as well, noted or not. It never gives less than the times of the objects do.
"""

import threading
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


def seen_by(client: ReplicaClient, catalog: Catalog, target: AtTime, stop: threading.Event) -> Position | None:
    """Return the end of the last commit that segments which came after a time note as made by then; None if none does.

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
                return found
            found = Position(info.generation, info.index, offset)
    return found


def made_by(stored: datetime, age_ms: int) -> datetime:
    """Return a time by which a commit had been made, of a segment that was stored then."""
    # Of a store that tells whole seconds it may have come at the end of one.
    try:
        return (stored if stored.microsecond else stored + _SECOND) - timedelta(milliseconds=age_ms)
    except OverflowError:
        # A store that says any nonsense for a time.
        return stored
