"""The pace of uploads: bounded on the whole, prompt for the first commits after silence and for the last before it."""

from hypothesis import given
from hypothesis import strategies as st

from replication.replica.pace import BURST_UPLOADS, LARGE_BYTES, QUIET_SECONDS, Pace

GAPS = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200)


def uploads(gaps: list[float], interval: float) -> tuple[list[float], list[float]]:
    """The moments of the uploads for commits with such gaps between them, and how long each commit waited."""
    pace, now = Pace(interval, at=0.0), 0.0
    made: list[float] = []
    waits: list[float] = []
    waiting: list[float] = []
    moments = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    while moments or waiting:
        due = pace.next_time(now, waiting[-1], 1) if waiting else float("inf")
        if moments and moments[0] <= due:
            now = moments.pop(0)
            waiting.append(now)
        else:
            now = max(now, due)
            made.append(now)
            waits += [now - commit for commit in waiting]
            waiting = []
            pace = pace.upload_made(now)
    return made, waits


@given(gaps=GAPS, interval=st.sampled_from([0.01, 1.0, 10.0]))
def test_uploads_are_one_an_interval_but_for_a_burst(gaps: list[float], interval: float) -> None:
    made, waits = uploads(gaps, interval)
    for first in range(len(made)):
        for last in range(first, len(made)):
            # One more for the interval that has just begun, and one on credit.
            assert last - first + 1 <= (made[last] - made[first]) / interval + BURST_UPLOADS + 2
    assert len(waits) == len(gaps)
    assert max(waits) <= 2 * interval + QUIET_SECONDS


@given(gaps=st.lists(st.floats(1.0, 3.0), min_size=1, max_size=100))
def test_commits_no_closer_than_the_interval_do_not_wait(gaps: list[float]) -> None:
    _, waits = uploads(gaps, 1.0)
    assert max(waits) == 0.0


def test_the_last_commit_of_a_busy_time_goes_soon_after_it() -> None:
    _, waits = uploads([0.02] * 500, 1.0)
    assert waits[-1] <= QUIET_SECONDS
    assert max(waits) <= 1.0 + 1e-9


def test_much_wal_goes_at_once_whatever_was_uploaded_before() -> None:
    pace = Pace(60.0, saved=-1.0, at=100.0)
    assert pace.next_time(100.0, 100.0, LARGE_BYTES) == 100.0
    assert pace.next_time(100.0, 100.0, LARGE_BYTES - 1) == 160.0


def test_without_an_interval_nothing_waits() -> None:
    pace = Pace(0.0)
    for _ in range(100):
        pace = pace.upload_made(1.0)
    assert pace.next_time(1.0, 1.0, 1) == 1.0
