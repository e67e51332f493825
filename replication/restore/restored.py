"""What a replica restores to at one commit, as a digest of its pages: how every verification looks at a replica.

What it is compared with, and what follows from a difference, is the caller's.
"""

from pathlib import Path

from replication.position import Position
from replication.restore.target import AtIndex, AtPosition, Target
from replication.sqlite.content import digest
from replication.storage.wal03.replica_client import ReplicaClient

_READ_BYTES = 1 << 20


def target_at(client: ReplicaClient, position: Position) -> Target:
    """What restores the commit at `position`, up to which the replica has everything.

    An index without a commit yet has no object, unless a snapshot: its start is the end of the index before.
    """
    if position.offset or not position.index:
        return AtPosition(position)
    if any(snapshot.index == position.index for snapshot in client.snapshots(position.generation)):
        return AtPosition(position)
    return AtIndex(position.index - 1)


def digest_of(path: Path) -> str:
    """The digest of the content of a restored file."""
    with path.open("rb") as file:
        return digest(iter(lambda: file.read(_READ_BYTES), b""))
