"""Whether the threads that copy get anywhere, for a supervisor that restarts a program that hangs.

Its promise: it is felt as long as some database could be copied, however many others fail or hang, and no longer once
every thread hangs. A job that only says that it ran is put among the jobs that copy, on each disk. Where none of those
ends in the meantime, as with a WAL of gigabytes, the processor time of their threads tells work from a hang.
"""

import time
from collections.abc import Callable, Collection
from functools import partial

from replication.pool import Job, Lane, Pool

WORKING_SHARE_MIN = 0.001
"""Share of one CPU: threads that all together use less than this hang."""
WORKING_SECONDS_MAX = 3600.0
"""A job that keeps all others waiting for longer than this is taken for an endless loop, whatever it uses."""


class Pulse:
    """Asked by one thread, again and again."""

    def __init__(self, pool: Pool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._monotonic = monotonic
        self._beats: dict[Lane, int] = {}
        """How often the job of each lane has run. Each is written by that job alone."""
        self._seen: dict[Lane, int] = {}
        self._jobs: dict[Lane, Job] = {}
        self._last_beat = self._asked = monotonic()
        self._used = 0.0
        """Processor seconds of all threads when it was asked last."""

    def felt(self, lanes: Collection[Lane]) -> bool:
        """True if the threads of one of these lanes, which databases are in, got somewhere since the last call."""
        now, used = self._monotonic(), self._pool.processor_seconds()
        share = (used - self._used) / max(now - self._asked, 1e-6)
        self._asked, self._used = now, used
        beats = {lane: self._beats.setdefault(lane, 0) for lane in lanes}
        beaten = any(count > self._seen.get(lane, 0) for lane, count in beats.items())
        self._seen = beats
        for lane in lanes:
            # In a lane that hangs it waits since an earlier call.
            self._pool.wake(self._jobs.setdefault(lane, Job(f"pulse of {lane.name}", partial(self._beat, lane), lane)))
        if beaten:
            self._last_beat = now
        return beaten or (share >= WORKING_SHARE_MIN and now - self._last_beat < WORKING_SECONDS_MAX)

    def _beat(self, lane: Lane) -> None:
        self._beats[lane] += 1
