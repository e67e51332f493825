"""A bounded pool of named threads that run jobs when they are due, each job never twice at once.

Jobs that may hold one another up share a *lane*, and a lane has so many threads at once and no more: however many of
its jobs hang, no thread of another lane is taken. Threads are made when they are needed and never before.
It leaves to the jobs what they do and when they want to run again; many jobs cost no threads.
"""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

HEAP_ENTRIES_MIN = 64
"""Entries of the heap of times that are looked through for outdated ones at the earliest."""


_LOOK_SECONDS = 0.005
"""Between two looks whether a job that is to run no more has ended."""
_FIRST = -1.0
"""Before any time of time.monotonic."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What shares threads, by name, and how many jobs of it run at once."""

    name: str
    threads_max: int


class Job:
    """One thing to do again and again. `run` returns when to run next (of time.monotonic), or None for no time.

    `lane` may be changed, for the next run.
    """

    __slots__ = ("_again", "_due", "_entry", "_forgotten", "_running", "lane", "name", "run")

    def __init__(self, name: str, run: Callable[[], float | None], lane: Lane | None = None) -> None:
        self.name = name
        self.run = run
        self.lane = lane
        self._due: float | None = None
        self._entry = -1
        """The number of the entry that counts; others of this job are outdated."""
        self._running: _Traffic | None = None
        """The lane in which it runs."""
        self._again: float | None = None
        self._forgotten = False


class _Traffic:
    """In one lane: how many jobs run, and those that are due and wait for one of them to end."""

    __slots__ = ("limit", "running", "waiting")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = 0
        self.waiting: deque[tuple[int, Job]] = deque()


class Pool:
    """Threads that serve jobs in the order of their times, those of each lane apart."""

    def __init__(self, name: str, threads_max: int, on_crash: Callable[[Job, BaseException], None]) -> None:
        """`threads_max` is for the jobs that have no lane of their own."""
        self.name = name
        self._lane_of_others = Lane("", threads_max)
        self._on_crash = on_crash
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Job]] = []
        self._heap_limit = HEAP_ENTRIES_MIN
        self._order = itertools.count()
        self._lanes: dict[Lane, _Traffic] = {}
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._idle = 0
        """Threads that wait for a job, or are about to."""
        self._at_work: set[Job] = set()

    def wake(self, job: Job, at: float = 0.0) -> None:
        """Run `job` at time `at` (of time.monotonic; 0 is at once), or earlier if it was to run earlier.

        If it is running, it runs once more after that.
        """
        with self._changed:
            if job._forgotten:
                return
            if job._running is not None:
                job._again = at if job._again is None else min(job._again, at)
            elif job._due is None or at < job._due:
                self._push(job, at)

    def limit(self, lane: Lane, jobs_max: int) -> None:
        """Let no more than so many jobs of a lane run at once, and no more than the lane allows."""
        with self._changed:
            traffic = self._traffic(lane)
            before, traffic.limit = traffic.limit, max(1, min(jobs_max, lane.threads_max))
            for _ in range(traffic.limit - before):
                self._let_in(traffic)
            # While all lanes were full nobody looked at the times.
            self._hire()

    def forget(self, jobs: Collection[Job]) -> None:
        """Run these jobs no more, even if they are woken. Nothing here refers to them once what runs has ended."""
        with self._changed:
            for job in jobs:
                job._forgotten, job._due, job._entry = True, None, -1
            self._heap = [entry for entry in self._heap if not entry[2]._forgotten]
            heapq.heapify(self._heap)
            for lane, traffic in list(self._lanes.items()):
                traffic.waiting = deque(item for item in traffic.waiting if not item[1]._forgotten)
                if lane is not self._lane_of_others and not traffic.running and not traffic.waiting:
                    del self._lanes[lane]

    def wait_for(self, jobs: Iterable[Job], timeout_seconds: float) -> bool:
        """Wait until none of these jobs is under way. Return False if one still is after that time."""
        deadline = time.monotonic() + timeout_seconds
        for job in jobs:
            while job._running is not None:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_LOOK_SECONDS)
        return True

    def close(self, timeout_seconds: float) -> list[str]:
        """Take no more jobs and wait for the running ones. Return the names of threads that did not end in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in threads if thread.is_alive()]

    def at_work(self) -> list[str]:
        """The names of the jobs that run now."""
        with self._changed:
            return sorted(job.name for job in self._at_work)

    def processor_seconds(self) -> float:
        """What its threads have used of a processor since they began, all together; 0 once it closes."""
        with self._changed:
            # A thread ends only after it has seen under this lock that the pool closes: all that are named live.
            idents = [thread.ident for thread in self._threads if thread.ident is not None and not self._closing]
            return sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in idents)

    # -- the lock is held in all that follows, but for _work ------------------------------------------------------

    def _push(self, job: Job, at: float) -> None:
        job._due, job._entry = at, next(self._order)
        self._lane(job)
        heapq.heappush(self._heap, (at, job._entry, job))
        if len(self._heap) > self._heap_limit:
            # A job that is woken early leaves its later time here, which may be hours away.
            self._heap = [entry for entry in self._heap if entry[1] == entry[2]._entry]
            heapq.heapify(self._heap)
            self._heap_limit = max(HEAP_ENTRIES_MIN, 2 * len(self._heap))
        if self._idle:
            self._changed.notify()
        else:
            self._hire()

    def _hire(self) -> None:
        """Make sure that a thread looks at the times, whatever the others wait for.

        A lane with all its threads at work needs nobody, so there is one thread more than all lanes may have at most,
        and as many as there ever were jobs at work at once.
        """
        if self._closing or self._idle or not self._heap:
            return
        if all(lane.running >= lane.limit for lane in self._lanes.values()):
            return  # the thread that ends first takes the next job
        self._idle += 1
        thread = threading.Thread(target=self._work, name=f"{self.name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _lane(self, job: Job) -> _Traffic:
        return self._traffic(job.lane or self._lane_of_others)

    def _traffic(self, lane: Lane) -> _Traffic:
        if (traffic := self._lanes.get(lane)) is None:
            traffic = self._lanes[lane] = _Traffic(lane.threads_max)
        return traffic

    def _next(self) -> Job | None:
        """Wait for a job that is due and whose lane has room. Return it, or None when the pool closes."""
        while not self._closing:
            job, delay = self._due()
            if job is not None:
                return job
            self._changed.wait(delay)
        return None

    def _due(self) -> tuple[Job | None, float | None]:
        """The job to run now, which of those that may run was due first; without one, how long there is none."""
        while self._heap:
            at, entry, job = self._heap[0]
            if entry == job._entry:
                if (delay := at - time.monotonic()) > 0:
                    return None, delay
                lane = self._lane(job)
                if lane.running < lane.limit:
                    heapq.heappop(self._heap)
                    return self._begin(job, lane), None
                lane.waiting.append((entry, job))
            heapq.heappop(self._heap)  # a later time of a job that was woken earlier, or one that waits in its lane
        return None, None

    def _begin(self, job: Job, lane: _Traffic) -> Job:
        job._due, job._entry, job._running = None, -1, lane
        lane.running += 1
        self._at_work.add(job)
        return job

    def _end(self, job: Job, again: float | None) -> None:
        lane, job._running = job._running, None
        assert lane is not None
        lane.running -= 1
        self._at_work.discard(job)
        times = [at for at in (again, job._again) if at is not None]
        job._again = None
        if lane.waiting:
            self._let_in(lane)
        if times and not job._forgotten:
            self._push(job, min(times))

    def _let_in(self, lane: _Traffic) -> None:
        """The lane has room: the first that waits goes back to where jobs are taken from, before all that is due."""
        while lane.waiting:
            entry, job = lane.waiting.popleft()
            if entry == job._entry:
                self._push(job, _FIRST)
                return

    def _work(self) -> None:
        while True:
            with self._changed:
                job = self._next()
                self._idle -= 1
                if job is None:
                    return
                self._hire()
            again: float | None = None
            try:
                again = job.run()
            except BaseException as error:  # a defect of ours must not end the pool
                self._on_crash(job, error)
                again = time.monotonic() + 1.0
            with self._changed:
                self._idle += 1
                self._end(job, again)
