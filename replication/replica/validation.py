"""Proving that a replica can be restored: do it, and compare with the source at the same commit.

The restored file is temporary and goes whatever happens. What follows from a difference is the caller's business.
"""

import threading
from pathlib import Path

from replication.database.database import Database
from replication.position import Position
from replication.restore.choose import Source
from replication.restore.restore import RestoreOptions, restore
from replication.restore.scratch import scratch
from replication.restore.target import AtIndex, AtPosition, Target
from replication.sqlite.content import digest
from replication.storage.replica_client import ReplicaClient

SCRATCH_PREFIX = "validate-"
_READ_BYTES = 1 << 20


def source_digest(database: Database) -> tuple[Position, str]:
    """The newest commit of a database and the digest of its pages. Raises DatabaseError."""
    with database.image() as image:
        return image.position, digest(image.chunks())


def restored_digest(
    client: ReplicaClient, position: Position, folder: Path, cancel: threading.Event
) -> tuple[str, tuple[str, ...]]:
    """The digest of what a replica restores to at `position`, restored below `folder`, and what SQLite finds wrong.

    Raises whatever a restore raises: then the replica is not restorable, or could not be asked.
    """
    with scratch(folder, SCRATCH_PREFIX) as temporary:
        output = temporary / "restored.db"
        options = RestoreOptions(
            target=_target(client, position),
            generation=position.generation,
            parallelism=2,
            integrity_check="quick",
            # A snapshot of that very commit proves nothing about the WAL that the next commit continues.
            thorough=True,
            # A source that fails the check itself is told by its pages.
            known=lambda path, problems: "it is compared with the source",
        )
        result = restore([Source("replica", client)], output, options, cancel=cancel)
        with output.open("rb") as file:
            return digest(iter(lambda: file.read(_READ_BYTES), b"")), result.problems


def _target(client: ReplicaClient, position: Position) -> Target:
    """What restores the commit at `position`, up to which the replica has everything.

    An index without a commit yet has no object, unless a snapshot: its start is the end of the index before.
    """
    if position.offset or not position.index:
        return AtPosition(position)
    if any(snapshot.index == position.index for snapshot in client.snapshots(position.generation)):
        return AtPosition(position)
    return AtIndex(position.index - 1)
