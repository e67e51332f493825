"""Proving a replica by a restore: its newest commit, compared with the source at that very commit.

Its promise: nothing is said of a replica that could not be restored for a reason of ours, and a difference is followed
by a new generation. The function that restores is handed in, for this floor knows nothing of restores.
"""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from replication.counts import Counts
from replication.errors import (
    DatabaseError,
    InconclusiveError,
    LocalFileError,
    PausedError,
    ReplicaDiffersError,
    RestoreCancelledError,
    RestoreError,
    StorageError,
)
from replication.events import Emit
from replication.local import soundness
from replication.position import Position
from replication.replica.original import Original, source_digest
from replication.replica.permit import Permit
from replication.replica.source import SourceDatabase
from replication.replica.wal03.compare import DivergedError
from replication.replica.wal03.snapshots import Snapshots
from replication.replica.wal03.upload import local_files
from replication.status import Outcome, Progress, Verification, untold
from replication.storage.base import Storage
from replication.storage.codec import Codec
from replication.storage.wal03.replica_client import ReplicaClient


class Restored(Protocol):
    """What restores a replica to see what comes out: `restored_digest` of validation.py, above this floor."""

    def __call__(
        self,
        storage: Storage,
        codec: Codec,
        original: Original,
        meta_path: Path,
        cancel: threading.Event,
        progress: Progress = ...,
    ) -> tuple[str, tuple[str, ...]]:
        """The digest of the commit of `original`, restored from objects that `codec` opens, and what SQLite says of it.

        Raises whatever a restore raises.
        """


class Verifying(Snapshots):
    """Snapshots and segments, verified on demand. One thread verifies at a time."""

    def __init__(
        self,
        name: str,
        client: ReplicaClient,
        database: SourceDatabase,
        emit: Emit,
        restored: Restored,
        permit: Permit | None = None,
    ) -> None:
        super().__init__(name, client, database, emit, permit)
        self._restored = restored
        self.verified: Verification | None = None
        self._verifications = Counts()

    def verify(self, cancel: threading.Event, progress: Progress = untold) -> Verification:
        """Restore the newest commit from the replica and compare. After a difference a new generation begins.

        A verification that could not be done is an outcome too: nothing is raised but defects.
        """
        began = time.monotonic()
        position: Position | None = None
        outcome: Outcome = "inconclusive"
        try:
            position, outcome, words, code = self._compare(cancel, progress)
        except (StorageError, DatabaseError, LocalFileError, RestoreCancelledError) as error:
            words, code = str(error), error.exit_code
        seconds, now = time.monotonic() - began, time.time()
        result = Verification(self.name, outcome, words, position, seconds, now, code)
        self.verified = result
        self._verifications.add(outcome)
        level = {"ok": "info", "failed": "error", "inconclusive": "warning"}[outcome]
        self._emit(level, "verified", outcome=outcome, result=words, position=str(position or ""))
        if outcome == "failed" and position is not None:
            # While the database is let go of, others may have changed the replica, which the next verification finds
            # out.
            with suppress(PausedError), self._permit.working():
                self._restart_from(position.generation, f"verification of replica {self.name} failed")
        return result

    def _compare(self, cancel: threading.Event, progress: Progress) -> tuple[Position | None, Outcome, str, int]:
        with self._permit.working(), local_files():
            try:
                # First its snapshot, if it has none of this generation: that would be of a later commit.
                with self._duty:
                    self._send_all()
                original = source_digest(self._database)
                position = original.position
                has_it = self._send_up_to(position)
            except DivergedError as diverged:
                with self._lock:
                    self._mend(diverged)
                return None, "inconclusive", f"a new generation is needed: {diverged}", InconclusiveError.exit_code
            if not has_it:
                return position, "inconclusive", "a new generation began meanwhile", InconclusiveError.exit_code
        # No lock is held: what is sent meanwhile comes after the position.
        try:
            meta_path = self._database.meta_path
            client = self.client
            restored, problems = self._restored(client.storage, client.codec, original, meta_path, cancel, progress)
        except RestoreCancelledError:
            raise
        except RestoreError as error:
            return position, "failed", str(error), error.exit_code
        if restored != original.digest:
            words = "what was restored differs from the database at the same commit"
            return position, "failed", words, ReplicaDiffersError.exit_code
        self._problems = problems
        soundness.remember(self._database.meta_path, problems)
        if problems:
            # Another generation would mend nothing: the application's own database is so.
            words = f"restored, and equal to the database, which itself fails SQLite's check: {'; '.join(problems)}"
            return position, "ok", words, 0
        return position, "ok", "restored, checked, and equal to the database", 0
