"""What stands in a replica under a name of ours, compared with the shadow WAL: is it this history's own (promise 8)?

The same bytes are our own, whenever they were sent: a retry, an upload that came late, what was there before a
volume was cloned. Other bytes are another program's, or those of a history that this database was set back from.
An object without content after the start of an index is its end mark: its writer went on with the next index,
so that nothing may follow in this one.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from replication.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from replication.position import Position
from replication.replica.source import SourceDatabase
from replication.storage.closing import closing_iterator
from replication.storage.wal03.names import segment_name
from replication.storage.wal03.notes import SegmentNote, SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient
from replication.storage.writer import Writer

Told = Callable[[SegmentNote | None], None]
READS_OF_DAMAGED = 2
"""So often an object is read before it is called damaged: a bit may flip on its way to us."""


class DivergedError(Exception):
    """The replica cannot be continued with this generation; the text is the reason for a new one.

    `foreign` names the object that shows another program's hand, which `other` is, if its note tells.
    """

    def __init__(self, reason: str, foreign: str = "", other: Writer | None = None) -> None:
        super().__init__(reason + (f"; {other} wrote it" if other else ""))
        self.foreign = foreign
        self.other = other


def compare(
    client: ReplicaClient, database: SourceDatabase, name: str, here: Position, start: Position, told: Told
) -> int | None:
    """Where the segment that begins at `start` ends, its bytes being those of the shadow WAL; None if it is torn.

    `start` itself is the answer for an end mark. `told` is called with the note of what is read. Raises DivergedError,
    ObjectNotFoundError, StorageError.
    """
    end = database.end(here, start.generation, start.index)
    if end == 0:
        reason = f"replica {name} is at index {start.index:08x}, of which no shadow wal is left"
        indexes = database.shadow.indexes(start.generation)
        if not indexes or start.index > indexes[-1]:
            # Where nothing is here of a generation, it was left before its first commit, or its files were removed.
            raise diverged(client, segment_name(start), reason)
        raise DivergedError(reason)
    if start.offset > end:
        # The writer of what ends there had more than is here. An end mark has no bytes that could tell it.
        raise _other_wal(client, name, start)
    for _ in range(READS_OF_DAMAGED):
        with suppress(CorruptObjectError):
            offset = _same_until(client, database, name, start, end, told)
            # Without content at the start of an index it is no end mark, and is written anew as one that is torn.
            return offset if offset or start.offset else None
    return None


def _same_until(
    client: ReplicaClient, database: SourceDatabase, name: str, start: Position, end: int, told: Told
) -> int:
    offset, shadow = start.offset, database.shadow.file(start.generation, start.index)
    with shadow.opened() as descriptor, closing_iterator(client.read(segment_name(start), told)) as pieces:
        for piece in pieces:
            if offset + len(piece) > end or os.pread(descriptor, len(piece), offset) != piece:
                raise _other_wal(client, name, start)
            offset += len(piece)
    if offset == start.offset and 0 < offset < end:
        raise diverged(client, segment_name(start), f"replica {name} holds the end of an index that goes on here")
    return offset


def _other_wal(client: ReplicaClient, name: str, start: Position) -> DivergedError:
    reason = f"replica {name} holds other WAL than this database, as after going back to an older copy of it"
    return diverged(client, segment_name(start), reason)


def check_snapshot(
    client: ReplicaClient, database: SourceDatabase, name: str, snapshot: str, note: SnapshotNote
) -> Position | None:
    """The commit that a snapshot of this generation holds, by its note; None if the note does not prove it to be ours.

    Raises DivergedError if it proves that it is not.
    """
    position = note.position
    if note.frame is None or (position.offset and not note.frame):
        return None
    here = database.shadow.frame_mark(position.generation, position.index, position.offset, note.page_size)
    if here != note.frame:
        raise diverged(client, snapshot, f"replica {name} holds a snapshot of commits that this database does not have")
    return position


def held_by(
    client: ReplicaClient, database: SourceDatabase, name: str, snapshot: str
) -> Position | Literal["unknown"] | None:
    """The commit that a snapshot of our history holds, which its note may not tell; None if there is none.

    Raises DivergedError if it is of another history.
    """
    try:
        note = client.snapshot_note(snapshot)
        return (note and check_snapshot(client, database, name, snapshot, note)) or "unknown"
    except CorruptObjectError:
        return "unknown"
    except ObjectNotFoundError:
        return None


def diverged(client: ReplicaClient, object_name: str, reason: str) -> DivergedError:
    """The error for an object of another history, with who wrote it, as far as its note tells."""
    other: Writer | None = None
    with suppress(StorageError, CorruptObjectError):
        other = Writer.noted(client.note_fields(object_name) or {})
    return DivergedError(reason, object_name, other)
