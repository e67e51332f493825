"""When to checkpoint: a pure policy over sizes and times.

A checkpoint is never forced on anyone: it runs when enough frames were copied since the last complete one, or
enough time has passed; when other readers keep it from completing, the next try waits longer and longer.
"""

from dataclasses import dataclass

from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE

BLOCKED_RETRY_SECONDS_MIN = 1.0
BLOCKED_RETRY_SECONDS_MAX = 30.0

WAL_OFFSET_URGENT_BYTES = 1 << 30
"""From here on a checkpoint is tried at every sync: no life of the WAL may pass 4 GiB."""


@dataclass(frozen=True, slots=True)
class CheckpointPolicy:
    """The thresholds: pages of WAL, and seconds between checkpoints; 0 turns `pages_max` or the interval off."""

    pages_min: int
    pages_max: int
    interval_seconds: float


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """What the policy looks at. Offsets are bytes in the current life of the WAL, times are seconds of one clock.

    `done_offset` is where the last complete checkpoint of this life ended (0 if none did), `last_time` when any
    complete checkpoint last ended (or the database was opened), `blocked_count` how many in a row were incomplete
    since, the last of them at `blocked_time`.
    """

    offset: int
    done_offset: int
    last_time: float
    blocked_count: int = 0
    blocked_time: float = 0.0


def due(state: CheckpointState, policy: CheckpointPolicy, page_size: int, now: float) -> bool:
    """True if a checkpoint should run now.

    A time in the future means that the clock was set back, and counts as due.
    """
    if state.offset <= max(state.done_offset, WAL_HEADER_SIZE):
        return False
    if urgent(state):
        return True
    if policy.pages_max and state.offset >= _size(policy.pages_max, page_size):
        return state.blocked_count == 0 or not 0 <= now - state.blocked_time < BLOCKED_RETRY_SECONDS_MIN
    if state.blocked_count and 0 <= now - state.blocked_time < blocked_delay(state.blocked_count):
        return False
    if state.offset >= _size(policy.pages_min, page_size):
        return True
    return policy.interval_seconds > 0 and not 0 <= now - state.last_time < policy.interval_seconds


def urgent(state: CheckpointState) -> bool:
    """True if a checkpoint must run even while an image is read, since the WAL may not grow much longer."""
    return state.offset >= WAL_OFFSET_URGENT_BYTES and state.offset > state.done_offset


def next_time(state: CheckpointState, policy: CheckpointPolicy) -> float | None:
    """When time alone may make a checkpoint due, or None."""
    if state.offset <= max(state.done_offset, WAL_HEADER_SIZE):
        return None
    if state.blocked_count:
        return state.blocked_time + blocked_delay(state.blocked_count)
    return state.last_time + policy.interval_seconds if policy.interval_seconds > 0 else None


def blocked_delay(count: int) -> float:
    """Seconds to wait after `count` incomplete checkpoints in a row."""
    return min(BLOCKED_RETRY_SECONDS_MAX, BLOCKED_RETRY_SECONDS_MIN * 2.0 ** min(count - 1, 10))


def _size(pages: int, page_size: int) -> int:
    return WAL_HEADER_SIZE + (FRAME_HEADER_SIZE + page_size) * pages
