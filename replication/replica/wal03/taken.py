"""Names of ours that another program has taken: what they hold now, and what is lost of ours behind it.

Somebody removed an object, and a copy of this program, which had not met us yet, wrote what it had under that name.

    ours, as it was sent      |--1--|----2----|--3--|
    taken, with less of it    |--1--|-2-|     |--3--|     between the two WAL of ours is lost
    taken, with more of it    |--1--|----2-------|        3 begins within it, so that no restore passes there
    taken, with other bytes   |--1--|xxxx2xxxx|--3--|     the copy goes on with the history that both had

Its promise: a segment that is not what it was is taken for ours only with the bytes of the shadow WAL, where that is
here still, and what it lacks is told.
"""

from collections.abc import Collection
from contextlib import suppress

from replication.errors import ObjectNotFoundError
from replication.position import Position
from replication.replica.source import SourceDatabase
from replication.replica.wal03.compare import compare, diverged
from replication.replica.wal03.holdings import Holdings
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.replica_client import ReplicaClient


def lost_behind(
    client: ReplicaClient, database: SourceDatabase, name: str, held: Holdings, changed: Collection[str]
) -> list[Position]:
    """Where WAL of ours is lost behind segments that were changed, of what the replica called `name` holds.

    Raises DivergedError if one of them is another's.
    """
    here = database.position
    found: list[Position] = []
    if here is None:
        return found
    for segment in held.segments:
        if segment.name not in changed or not database.end(here, segment.generation, segment.index):
            continue
        end: int | None = None
        with suppress(ObjectNotFoundError):
            end = compare(client, database, name, here, segment.position, lambda _: None)
        if end is None:
            # It is torn, or gone by now.
            continue
        wanted = _next_begins(held, segment, database.end(here, segment.generation, segment.index))
        if wanted is not None and end > wanted:
            raise diverged(client, segment.name, f"replica {name} holds other WAL than what was sent there")
        if wanted is not None and end < wanted:
            found.append(Position(segment.generation, segment.index, end))
    return found


def _next_begins(held: Holdings, segment: SegmentInfo, index_end: int) -> int | None:
    """The offset at which what follows a segment in its index begins, or the index ends; None if it comes last."""
    places = [(item.index, item.offset) for item in held.segments]
    inside = [offset for index, offset in places if index == segment.index and offset > segment.offset]
    behind = any(index > segment.index for index, _ in places)
    return min(inside, default=index_end if behind else None)
