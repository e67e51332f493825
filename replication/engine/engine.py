"""The engine: all databases of a configuration, replicated by a bounded number of threads.

Two pools do the work, one that copies WAL and one that uploads; a watcher wakes them, and the monitor interval
is their safety net. Callers start it, ask for status and events as often as they like, and close it.
"""

import os
import threading
import time
from collections import Counter
from pathlib import Path

from replication.config import Config, DatabaseConfig
from replication.engine.by_hand import ByHand, refuse_clash
from replication.engine.descriptors import too_few
from replication.engine.directories import Directories
from replication.engine.drain import Drain
from replication.engine.fleet import Fleet
from replication.engine.lifecycle import Phase
from replication.engine.reload import Changes
from replication.engine.shared import BREAK_OFF_SECONDS_MIN, Shared
from replication.engine.standby import Standby
from replication.engine.worker import Worker
from replication.errors import DatabaseError, DatabaseLockedError, ReplicationError
from replication.events import Event
from replication.local.files import VALIDATION_PREFIX
from replication.monitoring.pages import Monitoring
from replication.restore import preview
from replication.restore.scratch import sweep_temporary
from replication.sqlite.connection import check_sqlite_version, sqlite_version
from replication.sqlite.errors import DatabaseBusyError
from replication.status import BY_HAND, EngineStatus, Progress, Verification, untold

CLOSE_SECONDS_MAX = 6.0
"""How long a close waits for the last sync and upload. Everything has ended within 8 seconds: docker stop
waits for 10 before it kills."""
WATCHER_SECONDS_MAX = 0.5
MONITORING_SECONDS_MAX = 0.5
FIRST_LOOK_SECONDS_MAX = 5.0


class Engine:
    """Replicates until it is closed. Every method may be called from any thread."""

    def __init__(self, config: Config) -> None:
        self._shared = Shared()
        self.events = self._shared.events
        self._closed = False
        self._config = config
        self._by_hand = ByHand()
        self._standby = Standby()
        self._fleet = Fleet(self._shared, self._standby)
        self._fleet.add(config.databases)
        self._directories = Directories(self._shared, self._follow)
        self._changing = threading.Lock()
        """Held from when the wanted databases are put together until the fleet has them: for one thread at a time."""

        self._monitoring = Monitoring(config, self.status, self.events.emit)

    @property
    def config(self) -> Config:
        """What the engine replicates now. It changes with each reload, and when a database is registered or
        unregistered.
        """
        return self._by_hand.over(self._config)

    @property
    def registered(self) -> tuple[str, ...]:
        """The databases that it has and its configuration has not."""
        return tuple(str(database.path) for database in self._by_hand.added)

    def name_control(self, path: str) -> None:
        """Let the lock of each database name the socket where this engine can be asked. Called before `start`."""
        self._shared.control = path
        for worker in self._workers:
            worker.database.name_control(path)

    @property
    def _workers(self) -> tuple[Worker, ...]:
        return self._fleet.workers

    def start(self, wait: bool = False) -> None:
        """Begin. Raises DatabaseLockedError if another engine has one of the databases, DatabaseError for an unsafe
        SQLite; any other trouble of one database shows in its status. With `wait` such a database is taken over when
        the other engine ends.
        """
        check_sqlite_version(sqlite_version())
        self._fleet.waits = wait
        self._directories.use(self._config.directories)
        named = len(self._workers)
        self._fleet.add(self._wanted()[named:])
        if words := too_few(len(self._workers)):
            self.events.emit("warning", words)
        waiting = []
        for number, worker in enumerate(self._workers):
            try:
                worker.database.lock()
            except DatabaseLockedError as error:
                if number >= named and error.holder == str(os.getpid()):
                    continue  # in a folder there may be a second name of one of ours, which its status shows
                if not wait:
                    for other in self._workers:
                        other.database.close()
                    raise
                worker.stand_by(error)
                waiting.append(worker)
            except ReplicationError:
                pass  # the first sync meets it again, and shows it
        for worker in self._workers:
            self._fleet.clean(worker)
        for prefix in (preview.SCRATCH_PREFIX, VALIDATION_PREFIX):
            sweep_temporary(prefix)
        self._shared.start()
        for worker in self._workers:
            worker.begin()
        for worker in waiting:
            self._standby.add(worker)
        self._directories.start()
        self._monitoring.start()

    def reload(self, config: Config) -> Changes:
        """Replicate what this configuration says, touching nothing that is the same in it. Return what changed.

        Returns once what is to end has ended, or its time is over. Of what was registered stays what the configuration
        does not name itself, and nothing stays unregistered. `addr` and the heartbeat are heeded as well.
        """
        with self._changing:
            self._directories.use(config.directories)
            self._directories.start()
            before, self._config = self._by_hand, config
            self._by_hand = before.after(config)
            batch = self._fleet.apply(self._wanted())
        self._monitoring.use(config)
        for database in before.added:
            if database not in self._by_hand.added and config.named(database.path) is None:
                words = "it was registered, and is replicated no longer: the configuration has its place for another"
                self.events.emit("error", words, database=str(database.path))
        self.events.emit("info", f"configuration read anew: {batch.changes.words}")
        if words := too_few(len(self._workers)):
            self.events.emit("warning", words)
        batch.done.wait(CLOSE_SECONDS_MAX * 2)
        return batch.changes

    def register(self, database: DatabaseConfig) -> None:
        """Replicate this one as well, until it is unregistered, the engine ends, or a reload finds it in the
        configuration. Raises UsageError if it cannot be beside the others.
        """
        with self._changing:
            refuse_clash(database, self._wanted())
            self._by_hand = self._by_hand.register(database, self._config)
            batch = self._fleet.apply(self._wanted())
        if str(database.path) in self.registered:
            words = "registered by hand: it is not in the configuration, and the next start does not know it"
            self.events.emit("warning", words, database=str(database.path))
        batch.done.wait(CLOSE_SECONDS_MAX * 2)

    def unregister(self, path: Path, timeout_seconds: float) -> bool:
        """Replicate that one no longer, until it is registered, or a reload finds it in the configuration.

        It ends with a last sync and a last upload. False if it has not ended after so long.
        """
        with self._changing:
            self._by_hand = self._by_hand.unregister(path, self._config)
            batch = self._fleet.apply(self._wanted())
        batch.done.wait(timeout_seconds)
        return all(worker.database.path != path for worker in self._fleet.leaving)

    def check(self, timeout_seconds: float = FIRST_LOOK_SECONDS_MAX) -> None:
        """Wait for the first sync of every database. If none of them can be replicated, raise the error of one."""
        deadline = time.monotonic() + timeout_seconds
        for worker in self._workers:
            worker.lifecycle.wait(lambda state: state.phase is not Phase.STARTING, deadline - time.monotonic())
        errors = [worker.failures.error for worker in self._workers]
        for error in errors:
            if error is None or isinstance(error, DatabaseBusyError):
                return
        if errors and errors[0] is not None:
            raise errors[0]

    def status(self) -> EngineStatus:
        """How everything stands now: frozen values, nothing is asked of disk or store."""
        now = time.time()
        return EngineStatus(now, tuple(worker.status(now) for worker in self._workers))

    def events_since(self, number: int) -> list[Event]:
        """Events after event `number`, oldest first."""
        return self.events.since(number)

    def makes_progress(self) -> bool:
        """True if commits of some database could be copied since the last call. For one thread."""
        return self._shared.feel(Counter(worker.disks.lane for worker in self._workers))

    def copying(self) -> list[str]:
        """The names of the jobs that the threads that copy are at just now."""
        return self._shared.copying()

    def sync_now(self, database: str | None = None) -> None:
        """Sync a database, or all with None, and try its replicas, waiting for no gap and no retry.

        Raises PausedError for one that is paused: nothing would be copied.
        """
        if database is not None:
            self._named(database).lifecycle.check()
        for worker in self._workers:
            if database in (None, str(worker.database.path)):
                worker.hurry()

    def pause(self, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        """Let go of a database for `holder`: nothing is copied or uploaded until nobody holds it any more.

        Blocks until it is let go of; raises PausedError if it goes on before that. With a lease it has to be renewed.
        """
        worker = self._named(database)
        worker.hold(holder, lease_seconds)
        worker.lifecycle.wait_paused(holder)

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        """Keep a database paused for so long from now on; raises PausedError if `holder` has lost it."""
        self._named(database).renew(holder, lease_seconds)

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        """End the pause of `holder`, and return the holders that still need one: until none is left it stays paused.

        Where nothing proves that no commit was missed, a new generation begins.
        """
        return self._named(database).resume(holder)

    def snapshot(
        self,
        database: str,
        replica: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress = untold,
    ) -> list[str]:
        """Write a snapshot now, in the caller's thread.

        Return what became of each, in words. Raises ReplicationError.
        """
        return self._readable(database).replicas.snapshot(replica, cancel or threading.Event(), progress)

    def verify(self, database: str, cancel: threading.Event, progress: Progress = untold) -> list[Verification]:
        """Restore the newest commit from each replica and compare, in the caller's thread."""
        return self._readable(database).verify(cancel, progress)

    def close(self, timeout_seconds: float = CLOSE_SECONDS_MAX) -> list[str]:
        """Let go of all databases, after a last sync and upload within the time given.

        Return the names of what did not end.

        What is paused, or was to be, gets neither. A database that a thread still works on is not let go of; ending the
        process does that.
        """
        if self._closed:
            return []
        self._closed = True
        deadline = time.monotonic() + timeout_seconds
        alive = self._fleet.close(WATCHER_SECONDS_MAX)
        alive += self._standby.close(WATCHER_SECONDS_MAX)
        alive += self._monitoring.close(MONITORING_SECONDS_MAX)
        workers = (*self._fleet.workers, *self._fleet.leaving)
        for worker in workers:
            worker.database.announce_end()
        alive += self._shared.stop_watching(WATCHER_SECONDS_MAX)
        last = [worker for worker in workers if worker.lifecycle.close() is Phase.CLOSING and worker.begun]
        if self._shared.runs:
            Drain([(worker, worker.replicas.uploads) for worker in last], self._shared, deadline).run()
        for worker in workers:
            worker.lifecycle.drained()
        if not self._shared.uploads_end(BREAK_OFF_SECONDS_MIN / 4):
            for worker in workers:
                worker.replicas.interrupt()
        alive += self._shared.close(deadline)
        deadline = max(deadline, time.monotonic() + BREAK_OFF_SECONDS_MIN)
        for worker in workers:
            if worker.lifecycle.wait(lambda state: not state.at_work, deadline - time.monotonic()):
                worker.end()
            elif not alive:
                alive.append(f"work on {worker.database.path}")
        return alive

    def _wanted(self) -> list[DatabaseConfig]:
        """The databases to replicate: of the configuration, its folders, and registered, but for those unregistered."""
        by_hand = self._by_hand
        found = self._directories.with_found(by_hand.over(self._config).databases)
        return [database for database in found if database.path not in by_hand.taken or database in by_hand.added]

    def _follow(self) -> None:
        """Replicate what is in the folders now: one of them has other databases than before."""
        with self._changing:
            self._fleet.apply(self._wanted())

    def _readable(self, database: str) -> Worker:
        """The worker of a database that can be read now. Raises ReplicationError while it is paused or not there."""
        worker = self._named(database)
        worker.lifecycle.check()
        if worker.lifecycle.phase is Phase.WAITING:
            raise DatabaseError(worker.database.health.error or f"{database} is not there")
        return worker

    def _named(self, database: str) -> Worker:
        for worker in self._workers:
            if str(worker.database.path) == database:
                return worker
        raise DatabaseError(f"{database} is not in the configuration")
