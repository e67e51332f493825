"""What a verification needs of a restore, which a replica knows nothing of: whoever makes it hands that in."""

import threading
from pathlib import Path
from typing import Protocol

from replication.replica.original import Original
from replication.storage.wal03.replica_client import ReplicaClient


class Restored(Protocol):
    """Whoever restores a replica, to tell what it restores to: replication/validation.py does, above this floor."""

    def __call__(
        self, client: ReplicaClient, original: Original, meta_path: Path, cancel: threading.Event
    ) -> tuple[str, tuple[str, ...]]:
        """The digest of the commit of `original`, restored, and what SQLite finds wrong with it.

        Raises whatever a restore raises.
        """
