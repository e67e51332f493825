"""The engine: all databases of a configuration, replicated by a bounded number of threads.

Two pools do the work, one that copies WAL and one that uploads; a watcher wakes them, and the monitor interval
is their safety net. Callers start it, ask for status and events as often as they like, and close it.
"""

import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from replication.config import Config, DatabaseConfig
from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.database.notebook import NOTE_SECONDS_MIN
from replication.database.shadow_wal import Ownership
from replication.database.watch import Watcher
from replication.errors import DatabaseError, DatabaseLockedError, LocalFileError, ReplicationError
from replication.events import Event, EventLog
from replication.lookout import Lookout
from replication.pool import Job, Pool
from replication.replica import validation
from replication.replica.duties import ERROR_REPEAT_SECONDS, Intervals
from replication.replica.outage import Outages
from replication.replica.replica import Replica
from replication.replica.runner import ReplicaRunner
from replication.restore import preview
from replication.restore.scratch import sweep
from replication.source import Source
from replication.sqlite.connection import check_sqlite_version, sqlite_version
from replication.sqlite.errors import DatabaseBusyError
from replication.status import EngineStatus, Verification
from replication.storage.file import FilePermissions
from replication.storage.location import store_of
from replication.storage.open import open_storage
from replication.storage.replica_client import ReplicaClient
from replication.uploads import Uploads
from replication.work import COMMITS_AT_ONCE, Work

SYNC_THREADS_MAX = 2
SYNC_GAP_SECONDS_MIN = 0.005
SYNC_GAP_SECONDS_MAX = 0.05
SYNC_SHARE_MAX = 0.02
"""Of a processor: the more time a sync of a database takes, the longer the gap until the next, within these bounds, and
no longer than its shortest sync-interval."""
DATABASE_RETRY_SECONDS_MAX = 15.0
DATABASE_RETRY_STEPS_MAX = 64
"""More errors in a row than this make the wait no longer."""
CLOSE_SECONDS_MAX = 10.0
"""How long a close waits for the last sync and upload."""
FIRST_LOOK_SECONDS_MAX = 5.0
CLOSE_LOOK_SECONDS = 0.25
"""How often a close looks whether a replica has all."""
CLOSE_TRIES = 2
"""A replica that fails this often during a close is given up: its WAL stays for the next start."""


class Engine:
    """Replicates until it is closed. Every method may be called from any thread."""

    def __init__(self, config: Config) -> None:
        self.events = EventLog()
        self._outages: Outages[Uploads] = Outages()
        self._closing = threading.Event()
        self._closed = False
        self._sources = [self._source(database) for database in config.databases]
        self._watcher: Watcher | None = None
        self._lookout: Lookout | None = None
        self._sync_pool: Pool | None = None
        self._upload_pool: Pool | None = None

    def start(self) -> None:
        """Begin. Raises DatabaseLockedError if another engine has one of the databases, DatabaseError for an unsafe
        SQLite; any other trouble of one database shows in its status.
        """
        check_sqlite_version(sqlite_version())
        for source in self._sources:
            try:
                source.database.lock()
            except DatabaseLockedError:
                for other in self._sources:
                    other.database.close()
                raise
            except ReplicationError:
                pass  # the first sync meets it again, and shows it
        for source in self._sources:
            sweep(source.config.meta_path, validation.SCRATCH_PREFIX)
        sweep(Path(tempfile.gettempdir()), preview.SCRATCH_PREFIX)
        self._watcher = Watcher(self.events)
        self._sync_pool = Pool("sync", min(SYNC_THREADS_MAX, max(1, len(self._sources))), self._crashed)
        self._lookout = Lookout(self._sync_pool, self._wake_database)
        self._upload_pool = Pool("upload", COMMITS_AT_ONCE, self._crashed)
        for source in self._sources:
            self._sync_pool.wake(source.database_job)
            for uploads in source.uploads:
                uploads.start()

    def check(self, timeout_seconds: float = FIRST_LOOK_SECONDS_MAX) -> None:
        """Wait for the first look at every database; raise its error if not one of them can be replicated."""
        deadline = time.monotonic() + timeout_seconds
        for source in self._sources:
            source.looked.wait(max(0.0, deadline - time.monotonic()))
        errors = [source.error for source in self._sources]
        for error in errors:
            if error is None or isinstance(error, DatabaseBusyError):
                return
        if errors and errors[0] is not None:
            raise errors[0]

    def status(self) -> EngineStatus:
        """How everything stands now: frozen values, nothing is asked of disk or store."""
        now = time.time()
        return EngineStatus(now, tuple(source.status(now) for source in self._sources))

    def events_since(self, number: int) -> list[Event]:
        """Events after event `number`, oldest first."""
        return self.events.since(number)

    def sync_now(self, database: str | None = None) -> None:
        """Look at a database (None: at all) and try its replicas, waiting for no gap and no retry."""
        for source in self._sources:
            if database in (None, str(source.database.path)):
                self._wake_database(source)
                for uploads in source.uploads:
                    uploads.hurry()

    def pause(self, database: str) -> None:
        """Let go of a database: nothing is copied or uploaded until `resume`. Blocks until it is let go."""
        source = self._named(database)
        source.paused = True
        source.note()
        for runner in source.runners:
            # Whoever has the database meanwhile writes to its replicas, and nothing of ours may come after that.
            runner.replica.pause()
        source.database.pause()
        source.announced = None
        self.events.emit("info", "paused", database=database)

    def resume(self, database: str) -> None:
        """Replicate again; where nothing proves that no commit was missed, with a new generation."""
        source = self._named(database)
        source.database.resume()
        for runner in source.runners:
            runner.replica.resume()
        source.paused = False
        self.events.emit("info", "resumed", database=database)
        self.sync_now(database)

    def snapshot(self, database: str, replica: str | None = None) -> list[str]:
        """Write a snapshot now, in the caller's thread; what became of each, in words. Raises ReplicationError."""
        return [
            f"{runner.replica.name}: {runner.replica.snapshot()}"
            for runner in self._named(database).runners
            if replica in (None, runner.replica.name)
        ]

    def verify(self, database: str, cancel: threading.Event) -> list[Verification]:
        """Restore the newest commit from each replica and compare, in the caller's thread."""
        source = self._named(database)
        try:
            return [runner.verify(cancel) for runner in source.runners]
        finally:
            self._wake_notes(source)

    def _named(self, database: str) -> Source:
        for source in self._sources:
            if str(source.database.path) == database:
                return source
        raise DatabaseError(f"{database} is not in the configuration")

    def close(self, timeout_seconds: float = CLOSE_SECONDS_MAX) -> list[str]:
        """A last sync and upload within the time given, then let go of all; the names of what did not end.

        A replica whose store does not answer is given up after two tries; nothing is lost by it, as the shadow
        WAL keeps what is pending for the next start.
        """
        if self._closed:
            return []
        self._closed = True
        deadline = time.monotonic() + timeout_seconds
        alive: list[str] = []
        if self._watcher is not None and not self._watcher.close(1.0):
            alive.append("watcher")
        if self._sync_pool is not None and self._upload_pool is not None:
            self._drain(deadline)
            self._closing.set()
            alive += self._sync_pool.close(max(0.5, deadline - time.monotonic()))
            alive += self._upload_pool.close(max(0.5, deadline - time.monotonic()))
        for source in self._sources:
            # A thread that hangs may still use the database; ending the process lets go of it as well.
            if not alive:
                source.note(ending=True)
                source.database.close()
                for runner in source.runners:
                    runner.replica.client.storage.close()
        return alive

    # -- making ---------------------------------------------------------------------------------------------------

    def _source(self, config: DatabaseConfig) -> Source:
        path = str(config.path)
        policy = CheckpointPolicy(
            config.min_checkpoint_page_count, config.max_checkpoint_page_count, config.checkpoint_interval
        )
        database = Database(config.path, config.meta_path, policy, partial(self.events.emit, database=path))
        permissions = None
        with suppress(OSError):
            # As Litestream does: who may read the database may read its file replica.
            own = Ownership.of(config.path)
            permissions = FilePermissions(own.file_mode, own.folder_mode & 0o777, own.uid, own.gid)
        runners = []
        for settings in config.replicas:
            emit = partial(self.events.emit, database=path, replica=settings.name)
            client = ReplicaClient(open_storage(settings.location, permissions), partial(emit, "warning"))
            replica = Replica(settings.name, client, database, emit)
            intervals = Intervals(
                settings.sync_interval,
                settings.snapshot_interval,
                settings.retention,
                settings.retention_check_interval,
                settings.validation_interval,
            )
            crowd = partial(self._outages.crowd, store_of(settings.location))
            runners.append(ReplicaRunner(replica, database, intervals, emit, crowd))
        source = Source(config, database, runners)
        source.database_job = Job(f"sync {path}", partial(self._run_database, source))
        source.uploads = [
            Uploads(
                f"{path} {settings.name}",
                runner,
                store_of(settings.location),
                self._outages,
                self._wake_upload,
                lambda: source.paused,
                partial(self._uploaded, source),
            )
            for runner, settings in zip(runners, config.replicas, strict=True)
        ]
        return source

    # -- jobs -----------------------------------------------------------------------------------------------------

    def _run_database(self, source: Source) -> float | None:
        now = time.monotonic()
        if source.paused:
            return None
        if now < source.began + source.gap:
            return source.began + source.gap
        source.began, used = now, time.thread_time()
        self._watch(source)
        generation = source.database.origin.generation
        try:
            look_again = source.database.sync()
        except Exception as error:  # whatever it is: it shows, and the next try comes
            return now + self._database_failed(source, error)
        finally:
            gap = min((time.thread_time() - used) / SYNC_SHARE_MAX, SYNC_GAP_SECONDS_MAX, source.sync_interval)
            soon = source.database.look_again_seconds
            # A commit that is about to count is waited for at short intervals, and for as long as nothing else is.
            source.gap = max(gap, SYNC_GAP_SECONDS_MIN) if soon is None else min(soon, SYNC_GAP_SECONDS_MAX)
            # What was copied before something failed is on its way all the same.
            if source.database.position != source.announced:
                # Since the last sync an image may have copied commits too, for one replica.
                source.announced = source.database.position
                self._wake_replicas(source)
                self._wake_notes(source)
        if source.errors:
            self.events.emit("info", "database is well again", database=str(source.database.path))
            self._wake_notes(source)
        source.errors, source.told, source.error = 0, ("", 0.0), None
        source.looked.set()
        if not source.runners:
            # Nobody else would; with replicas it is done after an upload.
            self._clean(source)
        if source.database.health.state != "ok" or source.database.origin.generation != generation:
            # The folder may be another one, and the events still those of the old one.
            source.watched = False
        return self._next_look(source, look_again, now)

    def _next_look(self, source: Source, look_again: float | None, now: float) -> float | None:
        """When the next sync comes, of time.monotonic, if no event and no glance asks for one before."""
        rests = self._lookout is not None and self._lookout.rest(source)
        wait = float("inf") if rests else source.config.monitor_interval
        if look_again is not None:
            left = look_again - time.time()
            # What was due and not done waits for an image to end, which takes its time.
            wait = min(wait, left) if rests or left > 0 else wait
        return now + max(wait, source.gap) if wait < float("inf") else None

    def _watch(self, source: Source) -> None:
        """Let the kernel tell of changes, as far as it can."""
        if not source.watched and self._watcher is not None and not self._closing.is_set():
            source.watched = self._watcher.add(source.database.path, partial(self._wake_database, source))

    def _uploaded(self, source: Source) -> None:
        """Something was done for one of its replicas, or was tried."""
        self._wake_notes(source)
        self._clean(source)

    def _clean(self, source: Source) -> None:
        # A folder that cannot be written shows at the next sync, and nothing is lost by files that stay.
        with suppress(LocalFileError):
            source.database.clean([runner.replica.position for runner in source.runners])

    def _database_failed(self, source: Source, error: Exception) -> float:
        if self._lookout is not None:
            self._lookout.leave(source)
        source.errors += 1
        source.error = error if isinstance(error, ReplicationError) else None
        source.looked.set()
        self._wake_notes(source)
        growth = 1.5 ** min(source.errors - 1, DATABASE_RETRY_STEPS_MAX)
        wait = min(DATABASE_RETRY_SECONDS_MAX, source.config.monitor_interval * growth)
        message = str(error) if isinstance(error, ReplicationError) else f"{type(error).__name__}: {error}"
        said, when = source.told
        if message != said or time.time() >= when + ERROR_REPEAT_SECONDS:
            source.told = (message, time.time())
            path = str(source.database.path)
            self.events.emit("error", "sync failed", database=path, error=message, next_try_in=f"{wait:.1f}s")
        return wait

    def _wake_database(self, source: Source) -> None:
        if self._sync_pool is not None:
            self._sync_pool.wake(source.database_job, source.began + source.gap)

    def _wake_replicas(self, source: Source) -> None:
        for uploads in source.uploads:
            uploads.wake()

    def _wake_upload(self, job: Job, at: float) -> None:
        if self._upload_pool is not None:
            self._upload_pool.wake(job, at)

    def _wake_notes(self, source: Source) -> None:
        if self._sync_pool is not None:
            self._sync_pool.wake(source.note_job, source.noted + NOTE_SECONDS_MIN)

    def _crashed(self, job: Job, error: BaseException) -> None:
        self.events.emit("error", "a job failed unexpectedly", job=job.name, error=f"{type(error).__name__}: {error}")

    # -- closing --------------------------------------------------------------------------------------------------

    def _drain(self, deadline: float) -> None:
        """A last look at every database and a last try of every replica."""
        assert self._sync_pool is not None
        assert self._upload_pool is not None
        done = threading.Semaphore(0)
        last_jobs = 0
        for source in self._sources:
            for runner in source.runners:
                runner.duties.end()
                runner.hurry()
            job = Job(f"last sync {source.database.path}", partial(self._last_sync, source, done, deadline))
            self._sync_pool.wake(job)
            last_jobs += 1
        for _ in range(last_jobs):
            if not done.acquire(timeout=max(0.0, deadline - time.monotonic())):
                return
        uploads = 0
        for source in self._sources:
            for one in source.uploads:
                if not one.runner.caught_up():
                    run = partial(self._last_upload, one, done, deadline)
                    name = f"last upload {one.runner.replica.name}"
                    self._upload_pool.wake(Job(name, run, one.lane(Work.COMMITS)))
                    uploads += 1
        for _ in range(uploads):
            if not done.acquire(timeout=max(0.0, deadline - time.monotonic())):
                return

    def _last_sync(self, source: Source, done: threading.Semaphore, deadline: float) -> None:
        try:
            source.database.sync()
        except Exception as error:  # whatever it is: raised from a job it would be tried, and told, a second time
            self._database_failed(source, error)
        finally:
            done.release()

    def _last_upload(self, uploads: Uploads, done: threading.Semaphore, deadline: float) -> float | None:
        runner = uploads.runner
        uploads.hurry()
        again = runner.run()
        if runner.caught_up() or runner.failure.count >= CLOSE_TRIES or time.monotonic() >= deadline:
            done.release()
            return None
        return min(again or float("inf"), time.monotonic() + CLOSE_LOOK_SECONDS)
