"""The safety net beside the kernel's events: all databases at rest are glanced at, each within its monitor interval.

One job glances at all that lie on one file system and have one interval. So an idle database costs a few microseconds
an interval, and a file system that hangs holds up one thread, and nobody else's glances.
"""

import threading
import time
from collections.abc import Callable

from replication.database.glance import PLACES_GLANCES
from replication.engine.source import Source
from replication.pool import Job, Pool


class Lookout:
    """Calls `wake` with every database at rest that may need a sync."""

    def __init__(self, pool: Pool, wake: Callable[[Source], None]) -> None:
        self._pool = pool
        self._wake = wake
        self._lock = threading.Lock()
        self._rounds: dict[tuple[float, int], _Round] = {}

    def rest(self, source: Source) -> bool:
        """Glance at `source` until something is found; False if it has more to do than wait for that."""
        last, interval = source.database.last_look, source.config.monitor_interval
        if last is None:
            return False
        source.glance.begin(str(last[0]), last[1])
        place = (interval, source.database.device)
        with self._lock:
            if source.place not in (None, place):
                self._rounds[source.place].leave(source)
            source.place = place
            around = self._rounds.get(place)
            if around is None:
                around = self._rounds[place] = _Round(interval, self._wake)
        around.join(source)
        self._pool.wake(around.job, time.monotonic() + interval)
        return True

    def leave(self, source: Source) -> None:
        """Glance at `source` no more: it is not at rest."""
        with self._lock:
            if source.place is not None:
                self._rounds[source.place].leave(source)


class _Round:
    """The databases at rest on one file system that have one interval."""

    def __init__(self, interval_seconds: float, wake: Callable[[Source], None]) -> None:
        self.job = Job(f"look every {interval_seconds:g}s", self._glance)
        self._interval_seconds = interval_seconds
        self._wake = wake
        self._lock = threading.Lock()
        self._resting: dict[Source, None] = {}
        self._number = 0

    def join(self, source: Source) -> None:
        with self._lock:
            self._resting[source] = None

    def leave(self, source: Source) -> None:
        with self._lock:
            self._resting.pop(source, None)

    def _glance(self) -> float | None:
        now, clock = time.monotonic(), time.time()
        self._number += 1
        with self._lock:
            sources = list(self._resting)
        # Not all have their places looked at in one go.
        for number, source in enumerate(sources, self._number):
            if source.glance.finds_something(now, number % PLACES_GLANCES == 0):
                # The sync lets it rest again; one that is paused or fails is looked at in its own time.
                self.leave(source)
                self._wake(source)
            else:
                source.glanced = clock
        return now + self._interval_seconds if self._resting else None
