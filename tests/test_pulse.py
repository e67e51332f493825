"""The pulse: felt while jobs that copy are run, or work; not once all their threads hang, or loop without an end."""

import threading
import time
from collections.abc import Iterator

import pytest

from replication.engine.disks import lane_of
from replication.engine.pulse import WORKING_SECONDS_MAX, Pulse
from replication.engine.shared import Shared
from replication.pool import Job, Lane, Pool
from tests.engine.running import until

ONE, OTHER = lane_of(1), lane_of(2)


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool("test", 1, lambda job, error: None)
    yield pool
    assert pool.close(10.0) == []


class Work:
    """A job that goes on until it is let go."""

    def __init__(self, pool: Pool, name: str, hangs: bool, lane: Lane = ONE) -> None:
        self.began, self._go_on, self._hangs = threading.Event(), threading.Event(), hangs
        pool.wake(Job(name, self._run, lane))
        assert self.began.wait(10.0)

    def end(self) -> None:
        self._go_on.set()

    def _run(self) -> None:
        self.began.set()
        if self._hangs:
            self._go_on.wait()
        while not self._go_on.is_set():
            sum(range(1000))


def test_it_is_felt_while_one_thread_is_left(pool: Pool) -> None:
    pulse = Pulse(pool)
    until(lambda: pulse.felt([ONE]))
    one = Work(pool, "one", hangs=True)
    for _ in range(3):
        until(lambda: pulse.felt([ONE]))
    until(lambda: pool.at_work() == ["one"])
    two = Work(pool, "two", hangs=True)
    # The last beat may have come before the second hung.
    until(lambda: not pulse.felt([ONE]))
    quiet = time.monotonic() + 0.3
    while time.monotonic() < quiet:
        assert not pulse.felt([ONE])
        time.sleep(0.05)
    until(lambda: pool.at_work() == ["one", "two"])
    two.end()
    until(lambda: pulse.felt([ONE]))
    one.end()


def test_it_is_not_felt_by_a_thread_that_no_database_needs(pool: Pool) -> None:
    """A disk with one database has one thread: another would be free while the only one that matters hangs."""
    shared = Shared()
    shared._sync_pool = pool
    until(lambda: shared.feel({ONE: 1}))
    one = Work(pool, "one", hangs=True)
    until(lambda: not shared.feel({ONE: 1}))
    quiet = time.monotonic() + 0.2
    while time.monotonic() < quiet:
        assert not shared.feel({ONE: 1})
        time.sleep(0.02)
    # A second database comes, which has a thread at once: what waited for one begins.
    until(lambda: shared.feel({ONE: 2}))
    one.end()
    until(lambda: shared.feel({ONE: 1}))


def test_work_that_takes_long_is_no_hang_and_a_loop_without_end_is_one(pool: Pool) -> None:
    ahead = 0.0
    pulse = Pulse(pool, lambda: time.monotonic() + ahead)
    works = [Work(pool, name, hangs=False) for name in ("one", "two")]
    pulse.felt([ONE])
    for _ in range(3):
        time.sleep(0.05)
        assert pulse.felt([ONE]), "they use a processor"
    ahead = WORKING_SECONDS_MAX + 60.0
    time.sleep(0.05)
    assert not pulse.felt([ONE])
    for work in works:
        work.end()
    until(lambda: pulse.felt([ONE]))


def test_it_is_felt_while_one_disk_does_not_hang_and_only_by_databases(pool: Pool) -> None:
    pulse = Pulse(pool)
    works = [Work(pool, name, hangs=True, lane=ONE) for name in ("one", "two")]
    for _ in range(3):
        until(lambda: pulse.felt([ONE, OTHER]))
    # No database is left on the other disk, so that its free threads copy nothing.
    until(lambda: not pulse.felt([ONE]))
    quiet = time.monotonic() + 0.2
    while time.monotonic() < quiet:
        assert not pulse.felt([ONE])
        time.sleep(0.05)
    for work in works:
        work.end()
    until(lambda: pulse.felt([ONE]))


def test_a_pool_that_closes_names_no_threads_that_may_have_ended() -> None:
    pool = Pool("test", 1, lambda job, error: None)
    Work(pool, "one", hangs=False).end()
    assert pool.close(10.0) == []
    assert pool.processor_seconds() == 0.0
