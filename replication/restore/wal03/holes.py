"""Where an object is missing between two others. Their running numbers tell, in a few small reads of notes.

numbers    ... 41, 42, 44        the number of an object says how many lie before it: one is missing
"""

from replication.errors import CorruptObjectError, StorageError
from replication.position import Position
from replication.restore.wal03.catalog import Catalog
from replication.storage.wal03.replica_client import ReplicaClient
from replication.storage.wal03.succession import Succession


def holes_of(client: ReplicaClient, catalog: Catalog) -> list[Position]:
    """The holes of one generation. Objects of Litestream have no numbers: their holes show when they are read."""
    try:
        note = client.segment_note(catalog.segments[-1].name) if catalog.segments else None
        if note is None or note.number is None:
            return []
        snapshots = [item.info for item in catalog.snapshots]
        return Succession(client).look(catalog.generation, snapshots, catalog.segments)
    except (CorruptObjectError, StorageError):
        # What cannot be looked at now is reported when it is read.
        return []
