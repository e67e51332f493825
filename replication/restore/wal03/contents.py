"""What is in a generation, read where notes and times do not tell which is newer: the salts and the change counter.

It raises StorageError and CorruptObjectError; what follows from it is for order.py.
"""

import threading
from collections.abc import Sequence
from datetime import datetime

from replication.errors import CorruptObjectError, ObjectNotFoundError
from replication.restore.retry import LIST_BACKOFF, retrying
from replication.restore.wal03.asking import Found
from replication.restore.wal03.catalog import Snapshot
from replication.restore.wal03.order import Content
from replication.restore.wal03.points import read_header
from replication.sqlite.wal import WALHeader
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.replica_client import ReplicaClient

_CHANGE_COUNTER = slice(24, 28)
_DATABASE_HEADER_SIZE = 100


def content_of(found: Sequence[Found], stop: threading.Event) -> Content:
    """What is in a generation, read from the replica that got it first. Raises StorageError, CorruptObjectError."""
    source, catalog = min(found, key=lambda item: item[1].oldest or datetime.max)
    counter = change_counter(source.client(ReplicaClient), catalog.snapshots[-1], stop)
    if not catalog.segments:
        return Content(counter)
    first = _header(source.client(ReplicaClient), catalog.segments[0], stop)
    last = _header(source.client(ReplicaClient), catalog.segments[-1], stop)
    return Content(counter, first, last)


def _header(client: ReplicaClient, segment: SegmentInfo, stop: threading.Event) -> WALHeader | None:
    """The header of a segment's index; None where it is not there, or damaged."""
    try:
        return retrying(lambda: read_header(client, segment.position), LIST_BACKOFF, stop)
    except (CorruptObjectError, ObjectNotFoundError):
        return None


def change_counter(client: ReplicaClient, snapshot: Snapshot, stop: threading.Event) -> int:
    """The file change counter in a snapshot's database header. Raises CorruptObjectError if the header is cut."""
    name = snapshot.info.name
    head = retrying(lambda: client.read_head(name, _DATABASE_HEADER_SIZE), LIST_BACKOFF, stop)
    if len(head) < _DATABASE_HEADER_SIZE:
        raise CorruptObjectError(name, "it is shorter than a database header")
    return int.from_bytes(head[_CHANGE_COUNTER], "big")
