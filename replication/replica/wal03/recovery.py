"""Where a replica stands, read from the replica itself: nothing about it is kept on disk.

The last segment's bytes are compared with the shadow WAL, so that a replica that went on without us (the database was
set back to an older copy, or something else wrote here) is never appended to:

    the replica has                          it goes on
    nothing of the generation                with a first snapshot (None is returned)
    a snapshot, no WAL of its index          at the start of that index, whose first segment must reach its commit
    a last segment with our bytes            where that segment ends
    a last segment that is torn              where that segment begins: it is written again
    a last segment with other bytes,         not at all: DivergedError
      or less WAL than its snapshot holds

Listings are not relied on alone: some stores list late, so the object that would be written next is first asked for by
its name, and if it is there it counts as the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from replication.errors import CorruptObjectError, DatabaseError, ObjectNotFoundError, StorageError
from replication.position import Position
from replication.replica.source import SourceDatabase
from replication.replica.wal03.compare import DivergedError, Told, check_snapshot, compare, diverged
from replication.replica.wal03.remembered import remembered
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo, segment_name, snapshot_name
from replication.storage.wal03.notes import SegmentNote
from replication.storage.wal03.numbers import Number
from replication.storage.wal03.replica_client import ReplicaClient

PROBED_INDEXES = 2
"""Indexes whose objects are asked for by name where no snapshot of a generation is listed: the oldest that are here."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The replica goes on from `position`; the first segment of that index must reach `floor` at least.

    `number` is the number of the object to be written there; None if counting begins with that object.
    """

    position: Position
    floor: int
    snapshot_time: float
    number: Number | None = None
    newest: float = 0.0
    """When its newest object was written, by the clock of the store."""


def recover(client: ReplicaClient, database: SourceDatabase, name: str, generation: str) -> Recovered | None:
    """Where the replica called `name` stands in `generation`, or None if it has no snapshot of that generation.

    Raises DivergedError, StorageError, and DatabaseError if the database was let go of meanwhile.
    """
    here = database.position
    if here is None:
        raise DatabaseError(f"{database.path} is not open: the next sync looks at it again")
    snapshots, segments = client.contents(generation)
    if not snapshots:
        _refuse_late_listing(client, database, generation, bool(segments))
        if segments:
            raise DivergedError(f"replica {name} has WAL but no snapshot")
        return None
    snapshot = snapshots[-1]
    snapshot_time = snapshot.created.timestamp()
    last = segments[-1] if segments else None
    written = max(snapshot_time, last.created.timestamp() if last is not None else 0.0)
    seen: list[SegmentNote | None] = []
    """The notes of the segments that were read, in that order."""
    if last is not None and last.index < snapshot.index and not database.end(here, generation, last.index):
        # The replica has begun anew with this snapshot, and the WAL between the two exists nowhere.
        floor = _floor(client, database, name, snapshot)
        if floor:
            _check_history(client, database, name, here, snapshot, floor)
            return Recovered(Position(generation, snapshot.index, 0), floor, snapshot_time, newest=written)
    # Only WAL of the snapshot's own index has to reach its commit.
    floor = _floor(client, database, name, snapshot) if last is None or last.index <= snapshot.index else 0
    if last is None or last.index < snapshots[0].index:
        position = Position(generation, snapshot.index, 0)
    else:
        offset = compare(client, database, name, here, last.position, seen.append)
        if offset is None:
            # A torn upload: the segment is written again from its start.
            if last.index == snapshot.index and last.offset == 0:
                _check_history(client, database, name, here, snapshot, floor)
            floor = floor if last.index == snapshot.index else 0
            return Recovered(last.position, floor, snapshot_time, _number(seen), written)
        if offset == last.offset:
            _check_before_mark(client, database, name, here, segments)
        position = Position(generation, last.index, offset)
    newest, position = _past_unlisted(
        client, database, name, here, last.position if last else None, position, seen.append
    )
    number = _number(seen)
    if number is not None and newest != position:
        number = number.following
    if position.index == snapshot.index:
        if position.offset == 0:
            _check_history(client, database, name, here, snapshot, floor)
            return Recovered(position, floor, snapshot_time, number, written)
        if position.offset < floor:
            raise DivergedError(f"replica {name} lacks WAL that its newest snapshot holds")
    if position.index + 1 < snapshot.index:
        raise DivergedError(f"replica {name} lacks WAL before its newest snapshot")
    return Recovered(position, 0, snapshot_time, number, written)


def _check_before_mark(
    client: ReplicaClient, database: SourceDatabase, name: str, here: Position, segments: Sequence[SegmentInfo]
) -> None:
    """Raise DivergedError unless the segment before an end mark, which is the last of `segments`, is ours.

    The mark itself has no bytes to be compared, and the WAL of another program may end at the same offset.
    """
    mark = segments[-1]
    before = next((item for item in reversed(segments[:-1]) if item.index == mark.index), None)
    if before is None or compare(client, database, name, here, before.position, lambda _: None) != mark.offset:
        raise diverged(client, mark.name, f"replica {name} has nothing that proves whose the end of an index is")


def _floor(client: ReplicaClient, database: SourceDatabase, name: str, snapshot: SnapshotInfo) -> int:
    """The offset of the commit that the snapshot holds: the WAL of its index must reach that far.

    0 if it is not known.
    """
    try:
        held = remembered(database.meta_path, name, snapshot)
        if held is None and (note := client.snapshot_note(snapshot.name)) is not None:
            held = note.position
    except CorruptObjectError as error:
        raise DivergedError(f"the newest snapshot of replica {name} is damaged: {error.why}") from None
    return held.offset if held is not None else 0


def _check_history(
    client: ReplicaClient, database: SourceDatabase, name: str, here: Position, snapshot: SnapshotInfo, floor: int
) -> None:
    """Raise DivergedError unless the first `floor` bytes of the WAL here are those that the snapshot holds.

    No segment is there to be compared, and a loss of power may have set the history here back.
    """
    if not floor:
        return
    try:
        note = client.snapshot_note(snapshot.name)
    except CorruptObjectError as error:
        raise DivergedError(f"the newest snapshot of replica {name} is damaged: {error.why}") from None
    if note is not None and database.end(here, snapshot.generation, snapshot.index) >= floor:
        position = check_snapshot(client, database, name, snapshot.name, note)
        if position is not None and position.offset == floor:
            return
    raise diverged(
        client, snapshot.name, f"replica {name} holds a snapshot of commits that this database does not have"
    )


def _number(seen: Sequence[SegmentNote | None]) -> Number | None:
    """The number of the object whose note was seen last."""
    last = seen[-1] if seen else None
    return last.number if last is not None else None


def _refuse_late_listing(client: ReplicaClient, database: SourceDatabase, generation: str, any_segments: bool) -> None:
    """Raise StorageError if a generation of which no snapshot is listed has one, or WAL that is not listed either."""
    for index in database.shadow.indexes(generation)[:PROBED_INDEXES]:
        names = [snapshot_name(generation, index), segment_name(Position(generation, index, 0))]
        for name in names[:1] if any_segments else names:
            try:
                client.read_head(name, 1)
            except ObjectNotFoundError:
                continue
            except CorruptObjectError:
                pass
            raise StorageError(
                f"{client.address} does not list {name}, which is there: its listings are late, and are waited for"
            )


def _past_unlisted(
    client: ReplicaClient,
    database: SourceDatabase,
    name: str,
    here: Position,
    newest: Position | None,
    position: Position,
    told: Told,
) -> tuple[Position | None, Position]:
    """The newest object that follows `position` in the replica without being listed, and where it ends.

    If we wrote one of them again, and longer, it would overlap those after it, and no restore could pass there.
    """
    while True:
        following = position
        end = database.end(here, position.generation, position.index)
        if not end:
            # The shadow WAL has nothing that could be written there.
            return newest, position
        if position.offset >= end and database.end(here, position.generation, position.index + 1):
            following = Position(position.generation, position.index + 1, 0)
        try:
            offset = compare(client, database, name, here, following, told)
        except ObjectNotFoundError:
            return newest, position
        if offset is None or offset == following.offset:
            return following, following
        newest, position = following, Position(following.generation, following.index, offset)
