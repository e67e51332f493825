"""The window of `retention` stays restorable commit by commit, whatever indexes and clocks do (promises 3 and 9)."""

from datetime import timedelta

import pytest

from replication.replica.wal03 import snapshots as snapshots_module
from tests.replica.bench import Bench, Timed

WINDOW_SECONDS = 20.0


@pytest.fixture
def timed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Timed:
    """A bench with one replica whose store, host and monotonic clock are set by the test."""
    made = Timed(bench)
    monkeypatch.setattr(snapshots_module, "time", made.module())
    return made


@pytest.mark.parametrize("every", [5, 20, 21])
def test_promise_3_an_index_that_lives_longer_than_the_window_costs_no_restore_point(timed: Timed, every: int) -> None:
    """A read transaction that never ends keeps the WAL from beginning a new life."""
    bench = timed.bench
    bench.commit()
    bench.settle()
    bench.database.checkpoint()
    for number in range(1, 90):
        timed.wait(1.0)
        bench.commit()
        bench.settle()
        timed.remember()
        if number % every == 0:
            bench.replica().enforce_retention(WINDOW_SECONDS, timed.host_time())
            timed.check_window(WINDOW_SECONDS)


@pytest.mark.parametrize("off", [timedelta(days=365), timedelta(days=-365)], ids=["ahead", "behind"])
def test_promise_3_a_host_whose_clock_is_a_year_off_removes_nothing_that_a_right_one_keeps(
    timed: Timed, off: timedelta
) -> None:
    bench = timed.bench
    for number in range(40):
        timed.wait(1.0)
        bench.commit()
        bench.settle()
        timed.remember()
        if number == 20:
            timed.off = off
            bench.restart()
        if number % 5 == 0:
            bench.database.checkpoint()
            bench.replica().snapshot()
            bench.replica().enforce_retention(WINDOW_SECONDS, timed.host_time())
    timed.check_window(WINDOW_SECONDS)
    assert timed.removed, "nothing was removed: this says little"


@pytest.mark.parametrize("jump", [timedelta(days=365), timedelta(days=-365)], ids=["forward", "back"])
def test_promise_3_a_clock_that_jumps_during_a_run_removes_nothing_that_a_right_one_keeps(
    timed: Timed, jump: timedelta
) -> None:
    """The store's own clock jumps as well, as that of a folder on the host's disk does."""
    bench = timed.bench
    for number in range(30):
        timed.wait(1.0)
        if number == 20:
            timed.off = timed.store_off = jump
        bench.commit()
        bench.settle()
        timed.remember()
        if number % 5 == 0:
            bench.database.checkpoint()
            bench.replica().snapshot()
            bench.replica().enforce_retention(WINDOW_SECONDS, timed.host_time())
    timed.check_window(WINDOW_SECONDS)
