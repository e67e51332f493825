"""A bounded pool of named threads that run jobs when they are due, each job never twice at once.

It leaves to the jobs what they do and when they want to run again; many jobs cost no threads.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable

HEAP_ENTRIES_MIN = 64
"""Entries of the heap of times that are looked through for outdated ones at the earliest."""


class Job:
    """One thing to do again and again. `run` returns when to run next (of time.monotonic), or None for no time."""

    __slots__ = ("_again", "_due", "_entry", "_running", "name", "run")

    def __init__(self, name: str, run: Callable[[], float | None]) -> None:
        self.name = name
        self.run = run
        self._due: float | None = None
        self._entry = -1
        """The number of the entry that counts; others of this job are outdated."""
        self._running = False
        self._again: float | None = None


class Pool:
    """Threads that serve jobs in the order of their times."""

    def __init__(self, name: str, threads_max: int, on_crash: Callable[[Job, BaseException], None]) -> None:
        self.name = name
        self._on_crash = on_crash
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Job]] = []
        self._heap_limit = HEAP_ENTRIES_MIN
        self._order = itertools.count()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(threads_max)
        ]
        for thread in self._threads:
            thread.start()

    def wake(self, job: Job, at: float = 0.0) -> None:
        """Run `job` at time `at` (of time.monotonic; 0 is at once), or earlier if it was to run earlier.

        If it is running, it runs once more after that.
        """
        with self._changed:
            if job._running:
                job._again = at if job._again is None else min(job._again, at)
            elif job._due is None or at < job._due:
                self._push(job, at)

    def close(self, timeout_seconds: float) -> list[str]:
        """Take no more jobs, wait for the running ones; the names of threads that did not end in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _push(self, job: Job, at: float) -> None:
        job._due, job._entry = at, next(self._order)
        heapq.heappush(self._heap, (at, job._entry, job))
        if len(self._heap) > self._heap_limit:
            # A job that is woken early leaves its later time here, which may be hours away.
            self._heap = [entry for entry in self._heap if entry[1] == entry[2]._entry]
            heapq.heapify(self._heap)
            self._heap_limit = max(HEAP_ENTRIES_MIN, 2 * len(self._heap))
        self._changed.notify()

    def _next(self) -> Job | None:
        """Wait for a job that is due; None when closing. The lock is held."""
        while not self._closing:
            while self._heap and self._heap[0][2]._entry != self._heap[0][1]:
                heapq.heappop(self._heap)  # a later time of a job that was woken earlier
            if not self._heap:
                self._changed.wait()
                continue
            delay = self._heap[0][0] - time.monotonic()
            if delay <= 0:
                job = heapq.heappop(self._heap)[2]
                job._due, job._entry, job._running = None, -1, True
                return job
            self._changed.wait(delay)
        return None

    def _work(self) -> None:
        while True:
            with self._changed:
                job = self._next()
            if job is None:
                return
            again: float | None = None
            try:
                again = job.run()
            except BaseException as error:  # a defect of ours must not end the pool
                self._on_crash(job, error)
                again = time.monotonic() + 1.0
            with self._changed:
                job._running = False
                times = [at for at in (again, job._again) if at is not None]
                job._again = None
                if times:
                    self._push(job, min(times))
