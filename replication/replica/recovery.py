"""Where a replica stands, read from the replica itself: nothing about it is kept on disk.

The last segment's bytes are compared with the shadow WAL, so that a replica that went on without us (the
database was set back to an older copy, or something else wrote here) is never appended to.
"""

import os
from dataclasses import dataclass

from replication.database.database import Database
from replication.errors import CorruptObjectError, DatabaseError
from replication.position import Position
from replication.storage.names import SegmentInfo, snapshot_name
from replication.storage.replica_client import ReplicaClient, closing_iterator


@dataclass(frozen=True, slots=True)
class Recovered:
    """The replica goes on from `position`; the first segment of that index must reach `floor` at least."""

    position: Position
    floor: int
    snapshot_time: float


class DivergedError(Exception):
    """The replica cannot be continued with this generation; the text is the reason for a new one."""


def recover(client: ReplicaClient, database: Database, name: str, generation: str) -> Recovered | None:
    """Where the replica called `name` stands in `generation`; None if it has no snapshot of it.

    Raises DivergedError, StorageError, and DatabaseError if the database was let go of meanwhile.
    """
    here = database.position
    if here is None:
        raise DatabaseError(f"{database.path} is not open")
    snapshots = client.snapshots(generation)
    segments = client.segments(generation)
    if not snapshots:
        if segments:
            raise DivergedError(f"replica {name} has WAL but no snapshot")
        return None
    snapshot = snapshots[-1]
    snapshot_time = snapshot.created.timestamp()
    try:
        noted = noted_position(client, snapshot.name)
    except CorruptObjectError as error:
        raise DivergedError(f"the newest snapshot of replica {name} is damaged: {error.why}") from None
    floor = noted.offset if noted is not None else 0
    last = segments[-1] if segments else None
    if last is None or last.index < snapshots[0].index:
        return Recovered(Position(generation, snapshot.index, 0), floor, snapshot_time)
    offset = _compare(client, database, name, here, last)
    if offset is None:
        # A torn upload: the segment is written again from its start.
        return Recovered(last.position, floor if last.index == snapshot.index else 0, snapshot_time)
    if offset < floor and last.index == snapshot.index:
        raise DivergedError(f"replica {name} lacks WAL that its newest snapshot holds")
    if last.index + 1 < snapshot.index:
        raise DivergedError(f"replica {name} lacks WAL before its newest snapshot")
    return Recovered(Position(generation, last.index, offset), 0, snapshot_time)


def noted_position(client: ReplicaClient, snapshot: str) -> Position | None:
    """The commit that a snapshot of ours holds, from its note; None for one of Litestream's.

    Raises CorruptObjectError for a damaged note or that of another snapshot, StorageError.
    """
    note = client.read_note(snapshot)
    try:
        position = Position.parse(str(note["position"])) if note is not None else None
    except (KeyError, ValueError):
        return None
    if position is not None and snapshot_name(position.generation, position.index) != snapshot:
        raise CorruptObjectError(snapshot, f"its note says that it is the snapshot of {position}")
    return position


def _compare(client: ReplicaClient, database: Database, name: str, here: Position, last: SegmentInfo) -> int | None:
    """The offset at which segment `last` ends, its bytes being those of the shadow WAL; None if it is torn."""
    end = database.end(here, last.generation, last.index)
    if end == 0:
        raise DivergedError(f"replica {name} is at index {last.index:08x}, of which no shadow wal is left")
    path = database.shadow.path(last.generation, last.index)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    offset = last.offset
    try:
        with closing_iterator(client.read(last.name)) as pieces:
            for piece in pieces:
                if offset + len(piece) > end or os.pread(descriptor, len(piece), offset) != piece:
                    raise DivergedError(
                        f"replica {name} holds other WAL than this database, as after going back to an older copy of it"
                    )
                offset += len(piece)
    except CorruptObjectError:
        return None
    finally:
        os.close(descriptor)
    return offset
