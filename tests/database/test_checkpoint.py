"""When to checkpoint, as a table: sizes, times, and what other readers do to them."""

import pytest

from replication.database.checkpoint import (
    BLOCKED_RETRY_SECONDS_MAX,
    WAL_OFFSET_URGENT_BYTES,
    CheckpointPolicy,
    CheckpointState,
    blocked_delay,
    due,
    next_time,
)

PAGE = 4096
POLICY = CheckpointPolicy(pages_min=1000, pages_max=10_000, interval_seconds=60)
NO_TIMES = CheckpointPolicy(pages_min=1000, pages_max=0, interval_seconds=0)


def wal(pages: int) -> int:
    """The offset after so many frames."""
    return 32 + (24 + PAGE) * pages


@pytest.mark.parametrize(
    ("state", "policy", "now", "expected"),
    [
        # Nothing was written: never.
        (CheckpointState(0, 0, 0.0), POLICY, 1e9, False),
        (CheckpointState(32, 0, 0.0), POLICY, 1e9, False),
        (CheckpointState(wal(5), wal(5), 0.0), POLICY, 1e9, False),
        (CheckpointState(wal(20_000), wal(20_000), 0.0), POLICY, 1e9, False),
        # By size.
        (CheckpointState(wal(999), 0, 0.0), POLICY, 1.0, False),
        (CheckpointState(wal(1000), 0, 0.0), POLICY, 1.0, True),
        (CheckpointState(wal(1000), wal(999), 0.0), POLICY, 1.0, True),
        # By time.
        (CheckpointState(wal(1), 0, 0.0), POLICY, 59.9, False),
        (CheckpointState(wal(1), 0, 0.0), POLICY, 60.0, True),
        (CheckpointState(wal(1), 0, 0.0), NO_TIMES, 1e9, False),
        # Blocked by a reader: later and later, but for a WAL that has grown too long.
        (CheckpointState(wal(1000), 0, 0.0, 1, 100.0), POLICY, 100.9, False),
        (CheckpointState(wal(1000), 0, 0.0, 1, 100.0), POLICY, 101.0, True),
        (CheckpointState(wal(1000), 0, 0.0, 4, 100.0), POLICY, 107.9, False),
        (CheckpointState(wal(1000), 0, 0.0, 4, 100.0), POLICY, 108.0, True),
        (CheckpointState(wal(1000), 0, 0.0, 99, 100.0), POLICY, 129.9, False),
        (CheckpointState(wal(1000), 0, 0.0, 99, 100.0), POLICY, 130.0, True),
        (CheckpointState(wal(10_000), 0, 0.0, 99, 100.0), POLICY, 100.9, False),
        (CheckpointState(wal(10_000), 0, 0.0, 99, 100.0), POLICY, 101.0, True),
        (CheckpointState(wal(10_000), 0, 0.0, 99, 100.0), NO_TIMES, 101.0, False),
        (CheckpointState(WAL_OFFSET_URGENT_BYTES, 0, 0.0, 99, 100.0), NO_TIMES, 100.0, True),
        # The clock was set back: nothing waits until it is where it was.
        (CheckpointState(wal(1), 0, 1e9), POLICY, 1.0, True),
        (CheckpointState(wal(1000), 0, 1e9, 4, 1e9), POLICY, 1.0, True),
        (CheckpointState(wal(10_000), 0, 1e9, 4, 1e9), POLICY, 1.0, True),
    ],
)
def test_due(state: CheckpointState, policy: CheckpointPolicy, now: float, expected: bool) -> None:
    assert due(state, policy, PAGE, now) is expected


@pytest.mark.parametrize(
    ("state", "policy", "expected"),
    [
        (CheckpointState(0, 0, 5.0), POLICY, None),
        (CheckpointState(wal(5), wal(5), 5.0), POLICY, None),
        (CheckpointState(wal(6), wal(5), 5.0), POLICY, 65.0),
        (CheckpointState(wal(6), wal(5), 5.0), NO_TIMES, None),
        (CheckpointState(wal(6), 0, 5.0, 2, 50.0), POLICY, 52.0),
        (CheckpointState(wal(6), 0, 5.0, 2, 50.0), NO_TIMES, 52.0),
    ],
)
def test_next_time(state: CheckpointState, policy: CheckpointPolicy, expected: float | None) -> None:
    assert next_time(state, policy) == expected


def test_the_delay_grows_and_is_bounded() -> None:
    delays = [blocked_delay(count) for count in range(1, 2000)]
    assert delays == sorted(delays)
    assert delays[-1] == BLOCKED_RETRY_SECONDS_MAX
