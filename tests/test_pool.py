"""The pool: jobs when they are due, never one of them twice at once, and an end within its time."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest

from replication.pool import Job, Lane, Pool

DEADLINE_SECONDS = 10.0


class Crashes:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.came = threading.Event()

    def __call__(self, job: Job, error: BaseException) -> None:
        self.seen.append((job.name, str(error)))
        self.came.set()


@pytest.fixture
def crashes() -> Crashes:
    return Crashes()


@pytest.fixture
def pool(crashes: Crashes) -> Iterator[Pool]:
    pool = Pool("test", 2, crashes)
    yield pool
    assert pool.close(DEADLINE_SECONDS) == []
    assert crashes.seen == [] or crashes.seen == [("bad", "a defect")]


def reached(barrier: threading.Semaphore, times: int = 1) -> None:
    for _ in range(times):
        assert barrier.acquire(timeout=DEADLINE_SECONDS)


def test_jobs_run_in_the_order_of_their_times(crashes: Crashes) -> None:
    pool = Pool("one", 1, crashes)
    order: list[int] = []
    done = threading.Semaphore(0)

    def job(number: int) -> Job:
        def run() -> None:
            order.append(number)
            done.release()

        return Job(str(number), run)

    start = time.monotonic() + 0.1
    for number in (3, 1, 2):
        pool.wake(job(number), start + 0.02 * number)
    reached(done, 3)
    assert order == [1, 2, 3]
    assert time.monotonic() >= start + 0.06
    pool.close(DEADLINE_SECONDS)


def test_a_job_says_when_it_runs_next(pool: Pool) -> None:
    runs: list[float] = []
    done = threading.Semaphore(0)

    def run() -> float | None:
        runs.append(time.monotonic())
        done.release()
        return time.monotonic() + 0.05 if len(runs) < 3 else None

    pool.wake(Job("again", run))
    reached(done, 3)
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(runs))
    assert not done.acquire(timeout=0.1)


def test_an_earlier_time_counts_and_a_later_one_does_not(pool: Pool) -> None:
    done = threading.Semaphore(0)
    job = Job("job", lambda: done.release())
    pool.wake(job, time.monotonic() + 1000)
    pool.wake(job, time.monotonic() + 2000)
    pool.wake(job, 0.0)
    reached(done)
    # The time that was pushed back is forgotten, not run as well.
    assert not done.acquire(timeout=0.1)


def test_a_job_woken_while_it_runs_runs_once_more_and_never_twice_at_once(pool: Pool) -> None:
    running, most, runs = 0, 0, 0
    lock, started, go, done = threading.Lock(), threading.Event(), threading.Event(), threading.Semaphore(0)

    def run() -> None:
        nonlocal running, most, runs
        with lock:
            running, runs = running + 1, runs + 1
            most = max(most, running)
        started.set()
        assert go.wait(DEADLINE_SECONDS)
        with lock:
            running -= 1
        done.release()

    job = Job("job", run)
    pool.wake(job)
    assert started.wait(DEADLINE_SECONDS)
    for _ in range(5):
        pool.wake(job)
    go.set()
    reached(done, 2)
    assert not done.acquire(timeout=0.1)
    assert (most, runs) == (1, 2)


def test_a_job_that_hangs_does_not_keep_others_from_running(pool: Pool) -> None:
    hung, done = threading.Event(), threading.Semaphore(0)
    pool.wake(Job("hangs", lambda: hung.wait(DEADLINE_SECONDS) and None))
    for _ in range(10):
        pool.wake(Job("quick", lambda: done.release()))
    reached(done, 10)
    hung.set()


def test_a_defect_is_told_and_the_job_runs_again(pool: Pool, crashes: Crashes) -> None:
    done = threading.Semaphore(0)

    def run() -> None:
        if not crashes.seen:
            raise RuntimeError("a defect")
        done.release()

    pool.wake(Job("bad", run))
    assert crashes.came.wait(DEADLINE_SECONDS)
    reached(done)
    assert crashes.seen == [("bad", "a defect")]


def test_a_close_names_what_does_not_end(crashes: Crashes) -> None:
    pool = Pool("stuck", 2, crashes)
    started, release = threading.Event(), threading.Event()

    def run() -> None:
        started.set()
        release.wait(DEADLINE_SECONDS)

    pool.wake(Job("hangs", run))
    assert started.wait(DEADLINE_SECONDS)
    [name] = pool.close(0.05)
    assert name.startswith("stuck-")
    release.set()
    assert pool.close(DEADLINE_SECONDS) == []


def hanging(count: int, lane: Lane | None, release: threading.Event) -> tuple[list[Job], threading.Semaphore]:
    """Jobs that wait for `release`; the semaphore counts those that began."""
    began = threading.Semaphore(0)

    def run() -> None:
        began.release()
        assert release.wait(DEADLINE_SECONDS)

    return [Job(f"hangs {number}", run, lane) for number in range(count)], began


def test_promise_6_a_lane_that_hangs_takes_no_thread_of_another(pool: Pool) -> None:
    release, done = threading.Event(), threading.Semaphore(0)
    silent, healthy = Lane("silent", 3), Lane("healthy", 1)
    jobs, began = hanging(10, silent, release)
    for job in jobs:
        pool.wake(job)
    reached(began, 3)
    for _ in range(5):
        quick = Job("quick", lambda: done.release(), healthy)
        pool.wake(quick)
        reached(done)
        # One that is due later is looked at as well, though all that run hang.
        pool.wake(quick, time.monotonic() + 0.01)
        reached(done)
    assert not began.acquire(timeout=0.05), "no more of a lane run at once than it may have"
    release.set()
    reached(began, 7)


def test_promise_6_threads_are_bounded_by_what_lanes_may_have(pool: Pool) -> None:
    release = threading.Event()
    lanes = [Lane(f"lane {number}", 2) for number in range(4)]
    started = []
    for lane in lanes:
        jobs, began = hanging(20, lane, release)
        started.append(began)
        for job in jobs:
            pool.wake(job)
    for began in started:
        reached(began, 2)
    # One more waits for what comes.
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("test-")]
    assert len(names) <= 2 * len(lanes) + 1
    release.set()
    for began in started:
        reached(began, 18)


def test_what_waits_in_a_lane_is_run_in_its_order_however_often_others_are_woken(crashes: Crashes) -> None:
    pool, lane = Pool("one", 1, crashes), Lane("narrow", 1)
    order: list[int] = []
    release, done = threading.Event(), threading.Semaphore(0)
    [first], began = hanging(1, lane, release)
    pool.wake(first)
    reached(began)

    def job(number: int) -> Job:
        def run() -> None:
            order.append(number)
            # Whoever comes later waits behind those that wait already.
            if number < 3:
                pool.wake(job(number + 10))
            done.release()

        return Job(str(number), run, lane)

    for number in range(5):
        pool.wake(job(number))
    release.set()
    reached(done, 8)
    assert order[:5] == [0, 1, 2, 3, 4]
    pool.close(DEADLINE_SECONDS)


def test_a_job_may_change_its_lane_while_it_runs(pool: Pool) -> None:
    wide, narrow = Lane("wide", 4), Lane("narrow", 1)
    release, done = threading.Event(), threading.Semaphore(0)
    [hangs], began = hanging(1, narrow, release)
    pool.wake(hangs)
    reached(began)

    def run() -> None:
        job.lane = narrow
        done.release()

    job = Job("changes", run, wide)
    pool.wake(job)
    reached(done)
    pool.wake(job)
    assert not done.acquire(timeout=0.05)
    release.set()
    reached(done)
    others, began = hanging(4, wide, release)
    for other in others:
        pool.wake(other)
    reached(began, 4)


def test_jobs_that_are_forgotten_run_no_more_and_nothing_refers_to_them(crashes: Crashes) -> None:
    pool, lane = Pool("one", 1, crashes), Lane("narrow", 1)
    began, go = threading.Semaphore(0), threading.Event()
    ran: list[str] = []

    def hang() -> float:
        began.release()
        assert go.wait(DEADLINE_SECONDS)
        return 0.0

    running = Job("running", hang, lane)
    waiting = Job("waiting", partial(ran.append, "waiting"), lane)
    later = Job("later", partial(ran.append, "later"))
    pool.wake(running)
    reached(began)
    pool.wake(waiting)
    pool.wake(later, time.monotonic() + 0.05)
    pool.forget([running, waiting, later])
    pool.wake(later)
    assert not pool.wait_for([running], 0.0)
    go.set()
    assert pool.wait_for([running, waiting, later], DEADLINE_SECONDS)
    gone = [weakref.ref(job.run) for job in (running, waiting, later)]
    del hang
    del running, waiting, later
    done = threading.Semaphore(0)
    pool.wake(Job("other", done.release, lane))
    reached(done)
    assert pool.close(DEADLINE_SECONDS) == []
    gc.collect()
    assert ran == []
    assert not began.acquire(blocking=False)
    assert [item() for item in gone] == [None, None, None]
