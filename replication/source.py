"""One database of an engine: its parts, its jobs, and how it stands.

It holds what the engine knows of a database and turns it into status and notes; what to do is the engine's.
"""

import os
import threading
import time

from replication.config import DatabaseConfig
from replication.database.database import Database
from replication.database.glance import Glance
from replication.database.notebook import Notebook
from replication.errors import ReplicationError
from replication.pool import Job
from replication.position import Position
from replication.replica.keeping import Standing
from replication.replica.runner import ReplicaRunner
from replication.status import DatabaseStatus
from replication.uploads import Uploads


class Source:
    """One database with its jobs."""

    def __init__(self, config: DatabaseConfig, database: Database, runners: list[ReplicaRunner]) -> None:
        self.config = config
        self.database = database
        self.runners = runners
        self.watched = False
        """Whether the kernel tells of its changes."""
        self.errors = 0
        self.told: tuple[str, float] = ("", 0.0)
        self.error: ReplicationError | None = None
        self.looked = threading.Event()
        self.began = 0.0
        """When the last sync began, of time.monotonic."""
        self.gap = 0.0
        """Seconds until the next may begin."""
        self.sync_interval = min((replica.sync_interval for replica in config.replicas), default=float("inf"))
        self.paused = False
        self.announced: Position | None = None
        """What the replicas were last woken for."""
        self.glance = Glance(database)
        self.glanced = 0.0
        """When the last glance found nothing new, in seconds since the epoch."""
        self.place: tuple[float, int] | None = None
        """Among which databases it rests: those of one interval and device."""
        self.noted = 0.0
        """When notes were looked after last, of time.monotonic."""
        self.database_job: Job
        self.uploads: list[Uploads] = []
        self.note_job = Job(f"note {database.path}", self.note)
        self._notebook = Notebook(config.meta_path)
        self._notebook_lock = threading.Lock()
        for runner in runners:
            known = self._notebook.latest.replica(runner.replica.name)
            runner.replica.verified = known.verified
            runner.replica.remember(Standing(known.proven, "", known.lost))

    def status(self, now: float) -> DatabaseStatus:
        """How it stands at `now`, in seconds since the epoch: nothing is asked of disk or store."""
        database, health = self.database, self.database.health
        mark = database.mark
        return DatabaseStatus(
            path=str(database.path),
            state="paused" if self.paused else health.state,
            error=health.error,
            position=database.position,
            generation_reason=database.origin.reason,
            page_size=database.page_size,
            wal_bytes=health.wal_bytes,
            last_sync=max(health.last_sync, self.glanced),
            last_checkpoint=health.last_checkpoint,
            checkpoint_blocked=health.checkpoint_blocked,
            replicas=tuple(runner.status(now) for runner in self.runners),
            generation_began=database.origin.began,
            wal_frames=mark.frames if mark is not None else 0,
            wal_salt=f"{mark.header.salt1:08x}{mark.header.salt2:08x}" if mark is not None else "",
            checkpoint_words=health.checkpoint_words,
        )

    def note(self, ending: bool = False) -> None:
        """Write down what others cannot find out by looking, while the engine lock is ours."""
        now = time.time()
        self.noted = time.monotonic()
        with self._notebook_lock:
            # Without the lock another engine may have the database, and the notes are its own.
            if self.database.locked:
                self._notebook.write(self.status(now), now, 0 if ending else os.getpid())
