"""Proving that a replica can be restored: do it, so that it can be compared with the source at the same commit.

It stands above replicas and restores, which know nothing of each other. The restored file is temporary and goes
whatever happens. What follows from a difference is the caller's business.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from replication.local.files import VALIDATION_PREFIX
from replication.replica.original import ELSEWHERE, Original, room_for
from replication.restore.layouts import layout_of
from replication.restore.meter import RestoreProgress
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.restored import digest_of
from replication.restore.scratch import scratch
from replication.storage.base import Storage
from replication.storage.codec import Codec


def restored_digest(
    storage: Storage,
    codec: Codec,
    original: Original,
    meta_path: Path,
    cancel: threading.Event,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
) -> tuple[str, tuple[str, ...]]:
    """The digest of what a replica restores to at the commit of `original`, and what SQLite finds wrong with it.

    Raises whatever a restore raises: then the replica is not restorable, or could not be asked, or there is no room.
    """
    position = original.position
    replica = OpenReplica("replica", storage, codec=codec)
    folder = room_for(meta_path, original.size)
    with scratch(folder, VALIDATION_PREFIX) as temporary:
        output = temporary / "restored.db"
        options = RestoreOptions(
            target=layout_of([replica]).target_at(replica, position),
            generation=position.generation,
            parallelism=2,
            integrity_check="quick",
            # A snapshot of that very commit proves nothing about the WAL that the next commit continues.
            thorough=True,
            size=original.size,
            elsewhere=ELSEWHERE,
            # A source that fails the check itself has the same pages, which the caller compares.
            known=lambda path, problems: "it is compared with the source",
        )
        result = restore([replica], output, options, progress, cancel)
        return digest_of(output), result.problems
