"""What all databases of an engine share: threads, the watcher, events, and who fails at which store.

There are threads only between `start` and `close`; what is woken before or after waits for nobody.
"""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from replication.database.watch import Watcher
from replication.engine.disks import lane_of
from replication.engine.monitor import Monitor, Resting
from replication.engine.pulse import Pulse
from replication.engine.uploads import Uploads
from replication.events import EventLog
from replication.pool import Job, Lane, Pool
from replication.replica.outage import Outages
from replication.work import COMMITS_AT_ONCE

OTHER_THREADS_MAX = 2
"""Jobs at once that copy nothing and lie on no disk, such as the end of a pause."""
BREAK_OFF_SECONDS_MIN = 0.5
"""How long work that is still under way has to break off, even when the time for a close is over."""


class Shared:
    """The threads, the watcher, the events and the outages of an engine. Safe from any thread."""

    def __init__(self) -> None:
        self.events = EventLog()
        self.control = ""
        """The path of this engine's control socket, which the lock of each database names."""
        self.outages: Outages[Uploads] = Outages()
        self._watcher: Watcher | None = None
        self._monitor: Monitor | None = None
        self._sync_pool: Pool | None = None
        self._upload_pool: Pool | None = None
        self._pulse: Pulse | None = None

    @property
    def runs(self) -> bool:
        """True once there are threads."""
        return self._sync_pool is not None

    def start(self) -> None:
        """Begin to watch, and to run what is woken."""
        self._watcher = Watcher(self.events)
        self._sync_pool = Pool("sync", OTHER_THREADS_MAX, self._crashed)
        self._monitor = Monitor(self._sync_pool)
        self._upload_pool = Pool("upload", COMMITS_AT_ONCE, self._crashed)

    def wake_sync(self, job: Job, at: float = 0.0) -> None:
        """Run a job that copies, or that nothing but the local disk can hold up. `at` is as in Pool.wake."""
        if self._sync_pool is not None:
            self._sync_pool.wake(job, at)

    def wake_upload(self, job: Job, at: float = 0.0) -> None:
        """Run a job that may wait for a store. `at` is as in Pool.wake."""
        if self._upload_pool is not None:
            self._upload_pool.wake(job, at)

    def watch(self, database: Path, changed: Callable[[], None]) -> bool:
        """Let the kernel report changes. Return False if it cannot."""
        return self._watcher is not None and self._watcher.add(database, changed)

    def watch_folder(self, folder: int, path: Path, changed: Callable[[], None]) -> bool:
        """Let the kernel report files that appear in an open folder, or go. Return False if it cannot."""
        return self._watcher is not None and self._watcher.add_folder(folder, path, changed)

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Call `changed` no more when files change."""
        if self._watcher is not None:
            self._watcher.remove(changed)

    def forget(self, jobs: Collection[Job], timeout_seconds: float) -> bool:
        """Run these jobs no more. Return False if one of them is under way and did not end in time."""
        pools = [pool for pool in (self._sync_pool, self._upload_pool) if pool is not None]
        for pool in pools:
            pool.forget(jobs)
        return all(pool.wait_for(jobs, timeout_seconds) for pool in pools)

    def rest(self, worker: Resting) -> bool:
        """Check the files of a database until something is found.

        Return False if it has more to do than wait for that.
        """
        return self._monitor is not None and self._monitor.rest(worker)

    def disturb(self, worker: Resting) -> None:
        """Check the files of a database no more: it is not at rest."""
        if self._monitor is not None:
            self._monitor.leave(worker)

    def feel(self, databases: Mapping[Lane, int]) -> bool:
        """True if the threads of one of these lanes got somewhere since the last call. For one thread.

        A lane with fewer databases than threads has only so many threads from then on: one that is left free while they
        all hang would be no sign of anything.
        """
        if self._sync_pool is None:
            return False
        if self._pulse is None:
            self._pulse = Pulse(self._sync_pool)
        for lane, count in databases.items():
            self._sync_pool.limit(lane, count)
        return self._pulse.felt(databases.keys() or {lane_of()})

    def copying(self) -> list[str]:
        """The names of the jobs that the threads that copy are at."""
        return self._sync_pool.at_work() if self._sync_pool is not None else []

    def stop_watching(self, timeout_seconds: float) -> list[str]:
        """End what wakes databases of itself: only a caller does from now on.

        Return the names of what did not end in time.
        """
        return [] if self._watcher is None or self._watcher.close(timeout_seconds) else ["watcher"]

    def uploads_end(self, timeout_seconds: float) -> bool:
        """Take no more jobs, and wait for those that run. Return False if one does not end in time."""
        pool = self._upload_pool
        return pool is None or not pool.close(timeout_seconds)

    def close(self, deadline: float) -> list[str]:
        """End the threads. Return the names of those that did not end by `deadline`, in the time of time.monotonic."""
        pools = [pool for pool in (self._sync_pool, self._upload_pool) if pool is not None]
        return [name for pool in pools for name in pool.close(max(BREAK_OFF_SECONDS_MIN, deadline - time.monotonic()))]

    def _crashed(self, job: Job, error: BaseException) -> None:
        self.events.emit(
            "error",
            "internal error; this is a bug, please report it with this log",
            job=job.name,
            error=f"{type(error).__name__}: {error}",
        )
