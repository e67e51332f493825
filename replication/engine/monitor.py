"""The safety net beside the kernel's events: all databases at rest are checked, each within its monitor interval.

One job checks all that lie on one file system and have one interval. So an idle database costs a few microseconds
an interval, and a file system that hangs holds up a thread of its own databases, and no other checks.
"""

import threading
import time
from typing import Protocol

from replication.config import DatabaseConfig
from replication.database.database import Database
from replication.database.wal_stat import PATHS_CHECKS, WALStat
from replication.engine.disks import lane_of
from replication.pool import Job, Pool


class Resting(Protocol):
    """A database that may be at rest."""

    config: DatabaseConfig
    database: Database
    wal_stat: WALStat
    round_key: tuple[float, int] | None
    """Among which databases it rests: those of one interval and device."""

    def wake(self) -> None:
        """Sync the database."""

    def saw_nothing(self, when: float) -> None:
        """A check found nothing new then, in seconds since the epoch."""


class Monitor:
    """Wakes every database at rest that may need a sync."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._rounds: dict[tuple[float, int], _Round] = {}

    def rest(self, worker: Resting) -> bool:
        """Check the files of `worker` until something is found.

        Return False if it has more to do than wait for that.
        """
        last, interval = worker.database.last_look, worker.config.monitor_interval
        if last is None:
            return False
        worker.wal_stat.begin(str(last[0]), last[1])
        key = (interval, worker.database.device)
        with self._lock:
            if worker.round_key not in (None, key):
                self._rounds[worker.round_key].leave(worker)
            worker.round_key = key
            around = self._rounds.get(key)
            if around is None:
                around = self._rounds[key] = _Round(*key)
        around.join(worker)
        self._pool.wake(around.job, time.monotonic() + interval)
        return True

    def leave(self, worker: Resting) -> None:
        """Check `worker` no more: it is not at rest."""
        with self._lock:
            if worker.round_key is not None:
                self._rounds[worker.round_key].leave(worker)


class _Round:
    """The databases at rest on one file system that have one interval."""

    def __init__(self, interval_seconds: float, device: int) -> None:
        self.job = Job(f"look every {interval_seconds:g}s", self._check, lane_of(device))
        self._interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._resting: dict[Resting, None] = {}
        self._number = 0

    def join(self, worker: Resting) -> None:
        with self._lock:
            self._resting[worker] = None

    def leave(self, worker: Resting) -> None:
        with self._lock:
            self._resting.pop(worker, None)

    def _check(self) -> float | None:
        now, clock = time.monotonic(), time.time()
        self._number += 1
        with self._lock:
            workers = list(self._resting)
        # Whether the path still leads to the file costs more: at each check that is looked at for some of them only.
        for number, worker in enumerate(workers, self._number):
            if worker.wal_stat.finds_something(now, number % PATHS_CHECKS == 0):
                # The sync lets it rest again; one that is paused or fails is looked at in its own time.
                self.leave(worker)
                worker.wake()
            else:
                worker.saw_nothing(clock)
        return now + self._interval_seconds if self._resting else None
