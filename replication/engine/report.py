"""How one database of an engine stands: as a value for who asks, and as notes on disk for other processes."""

import os
import threading
import time
from dataclasses import replace

from replication.config import DatabaseConfig
from replication.database.database import Database
from replication.database.status_file import SAVE_SECONDS_MIN, StatusFile
from replication.engine.lifecycle import Lifecycle, Phase
from replication.engine.missed import Missed
from replication.replica.destination import Standing
from replication.replica.runner import ReplicaRunner
from replication.status import DatabaseState, DatabaseStatus

_SHOWN: dict[Phase, DatabaseState] = {
    Phase.STARTING: "starting",
    Phase.RETURNING: "starting",
    Phase.WAITING: "waiting",
    Phase.PAUSING: "pausing",
    Phase.LEAVING: "pausing",
    Phase.PAUSED: "paused",
}
"""The states of a database that follow from its phase alone. In other phases its health decides."""


class Report:
    """The report of one database. Safe from any thread. It gives the replicas what an earlier run had noted of them."""

    def __init__(
        self, config: DatabaseConfig, database: Database, runners: list[ReplicaRunner], lifecycle: Lifecycle
    ) -> None:
        self.last_idle_check = 0.0
        """When the last check found nothing new, in seconds since the epoch."""
        self.last_saved = 0.0
        """When `save` was called last, of time.monotonic."""
        self._database = database
        self.runners = runners
        """The runners that the report is about."""
        self._lifecycle = lifecycle
        self._left: DatabaseStatus | None = None
        self._left_at = 0.0
        """When the database was let go of, in seconds since the epoch."""
        self._missed: Missed | None = None
        """What was committed since the database was let go of."""
        self._status_file = StatusFile(config.meta_path)
        self._lock = threading.Lock()
        for runner in runners:
            self.recall(runner)

    def recall(self, runner: ReplicaRunner) -> None:
        """Give a replica what an earlier run had noted of it."""
        known = self._status_file.latest.replica(runner.replica.name)
        runner.replica.verified = known.verified
        runner.replica.remember(Standing(known.proven, "", known.lost))

    def status(self, now: float) -> DatabaseStatus:
        """The status of the database at `now`, in seconds since the epoch. Neither disk nor store is asked.

        While the database is paused it is the status of when it was let go of. What waited then waits on, and the WAL
        is looked at.
        """
        phase, left, missed = self._lifecycle.phase, self._left, self._missed
        if phase is Phase.PAUSED and left is not None and missed is not None:
            with self._lock:
                missed.look()
            return _waiting_on(left, now - self._left_at, missed)
        database, health = self._database, self._database.health
        mark = database.cursor
        return DatabaseStatus(
            path=str(database.path),
            state=_SHOWN.get(phase, health.state),
            error=health.error,
            position=database.position,
            generation_reason=database.generation_info.reason,
            page_size=database.page_size,
            wal_bytes=health.wal_bytes,
            last_sync=max(health.last_sync, self.last_idle_check),
            last_checkpoint=health.last_checkpoint,
            checkpoint_blocked=health.checkpoint_blocked,
            replicas=tuple(runner.status(now) for runner in self.runners),
            generation_began=database.generation_info.began,
            wal_frames=mark.frames if mark is not None else 0,
            wal_salt=f"{mark.header.salt1:08x}{mark.header.salt2:08x}" if mark is not None else "",
            checkpoint_words=health.checkpoint_words,
            size_bytes=database.size,
            shadow_bytes=database.shadow_bytes,
            totals=database.totals,
        )

    def leaving(self) -> None:
        """Remember and note the status, for the database is about to be let go of. The engine lock is still ours."""
        # The notes say "paused" already: they are not believed before the lock is free, and then it is true.
        self._left_at = time.time()
        self._left = replace(self.status(self._left_at), state="paused", paused_at=self._left_at)
        self._missed = Missed(self._database.path, self._database.cursor)
        self._write(self._left, os.getpid())

    def save(self, ending: bool = False) -> bool:
        """Write down what others cannot find out by looking. Return True if more has to be written soon."""
        status = self.status(time.time())
        self._write(status, 0 if ending else os.getpid())
        return any(item.pending_bytes and item.lag_seconds < SAVE_SECONDS_MIN for item in status.replicas)

    def _write(self, status: DatabaseStatus, pid: int) -> None:
        self.last_saved = time.monotonic()
        with self._lock:
            # Without the engine lock another engine may have the database, and the notes are its own.
            if self._database.locked:
                self._status_file.write(status, time.time(), pid)


def _waiting_on(left: DatabaseStatus, seconds: float, missed: Missed) -> DatabaseStatus:
    """The same value, so many seconds later: who forgets a pause must see the lag grow, and what is in no replica."""
    seconds = max(0.0, seconds)
    replicas = tuple(
        replace(
            item,
            lag_seconds=item.lag_seconds + seconds if item.lag_seconds or missed.some else 0.0,
            pending_bytes=max(item.pending_bytes + missed.bytes, int(missed.some)),
        )
        for item in left.replicas
    )
    return replace(left, replicas=replicas)
