"""Objects that cannot be read and held nothing: the end marks of indexes.

Where the note of the next index says that the one before it ended just where such an object begins, it had no content,
and is not missed. The replay compares that end, and the mark of the last frame, with the note all the same.
"""

from collections.abc import Sequence

from replication.errors import CorruptObjectError, ObjectNotFoundError, ReplicationError, StorageError
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.replica_client import ReplicaClient


def damaged_mark(client: ReplicaClient, segments: Sequence[SegmentInfo], error: ReplicationError) -> SegmentInfo | None:
    """The end mark that an error is about, if it is about one. `segments` are all of the generation, in order."""
    if not isinstance(error, CorruptObjectError):
        return None
    at = next((number for number, item in enumerate(segments) if item.name == error.name), len(segments))
    if at + 1 >= len(segments):
        return None
    here, following = segments[at], segments[at + 1]
    if not here.offset or (following.index, following.offset) != (here.index + 1, 0):
        return None
    try:
        note = client.segment_note(following.name)
    except (CorruptObjectError, ObjectNotFoundError, StorageError):
        return None
    return here if note is not None and note.previous == here.position else None
