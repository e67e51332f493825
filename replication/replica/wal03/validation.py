"""Proving that a replica can be restored: do it, and compare with the source at the same commit.

The restored file is temporary and goes whatever happens. What follows from a difference is the caller's business.
"""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from replication import space
from replication.database.database import Database
from replication.database.local_folder import VALIDATION_PREFIX
from replication.errors import NoRoomError
from replication.position import Position
from replication.restore.restore import RestoreOptions, restore
from replication.restore.restored import digest_of, target_at
from replication.restore.scratch import scratch
from replication.restore.wal03.choose import OpenReplica
from replication.sqlite.content import digest
from replication.storage.wal03.replica_client import ReplicaClient

ELSEWHERE = ", or name a folder on another disk in TMPDIR; the replica was not looked at."
_WHAT = "A verification"


@dataclass(frozen=True, slots=True)
class Original:
    """A database at one commit: the digest of its pages, and their bytes."""

    position: Position
    digest: str
    size: int


def source_digest(database: Database) -> Original:
    """The newest commit of a database. Raises DatabaseError, and NoRoomError where a copy has no room anyway."""
    with database.image() as image:
        room_for(database.meta_path, image.size)
        return Original(image.position, digest(image.chunks()), image.size)


def room_for(meta_path: Path, size: int) -> Path:
    """Where a copy of so many bytes has room beside the application's: the local folder, else the one in TMPDIR.

    Nobody is asked before scratch space is taken: /tmp may be memory, and is taken only where somebody named it.
    Raises NoRoomError.
    """
    named = os.environ.get("TMPDIR")
    if named:
        with suppress(NoRoomError):
            space.ask(meta_path, size, _WHAT, ELSEWHERE)
            return meta_path
        space.ask(Path(named), size, _WHAT, ELSEWHERE)
        return Path(named)
    space.ask(meta_path, size, _WHAT, ELSEWHERE)
    return meta_path


def restored_digest(
    client: ReplicaClient, original: Original, meta_path: Path, cancel: threading.Event
) -> tuple[str, tuple[str, ...]]:
    """The digest of what a replica restores to at the commit of `original`, and what SQLite finds wrong with it.

    Raises whatever a restore raises: then the replica is not restorable, or could not be asked, or there is no room.
    """
    position = original.position
    folder = room_for(meta_path, original.size)
    with scratch(folder, VALIDATION_PREFIX) as temporary:
        output = temporary / "restored.db"
        options = RestoreOptions(
            target=target_at(client, position),
            generation=position.generation,
            parallelism=2,
            integrity_check="quick",
            # A snapshot of that very commit proves nothing about the WAL that the next commit continues.
            thorough=True,
            size=original.size,
            elsewhere=ELSEWHERE,
            # A source that fails the check itself is told by its pages.
            known=lambda path, problems: "it is compared with the source",
        )
        result = restore([OpenReplica("replica", client)], output, options, cancel=cancel)
        return digest_of(output), result.problems
