"""When commits arrived here, for the lag of replicas and for what segments note: one entry a copy, until all have it.

Bounded: beyond ARRIVALS_MAX every second entry goes, the oldest never, so that the lag of a long outage stays right
and only the times between become coarser. Safe from any thread.
"""

import threading
import time as clock
from collections.abc import Iterable, Sequence

from replication.position import Position

ARRIVALS_MAX = 1024
"""Copies that are remembered with their times."""


class Arrivals:
    """Positions with the time, in seconds since the epoch, at which everything up to there had been copied.

    And with that of the monotonic clock, which no setting of a clock moves.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[Position, float, float]] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def add(self, position: Position, time: float, monotonic: float | None = None) -> None:
        """Remember that everything up to `position` has been copied by now."""
        monotonic = clock.monotonic() if monotonic is None else monotonic
        with self._lock:
            if len(self._entries) >= ARRIVALS_MAX:
                del self._entries[1::2]
            self._entries.append((position, time, monotonic))

    def forget(self, replicas: Iterable[Position]) -> None:
        """Drop the entries that all replicas at these positions have."""
        positions = tuple(replicas)
        with self._lock:
            del self._entries[: min((_missing_from(self._entries, position) for position in positions), default=0)]

    def first_missing(self, replica: Position | None) -> float | None:
        """The time of the first entry that a replica lacks; None if it lacks none. Without a position it lacks all."""
        with self._lock:
            first = _missing_from(self._entries, replica) if replica is not None else 0
            return self._entries[first][1] if first < len(self._entries) else None

    def between(self, start: Position, end: Position) -> list[tuple[Position, float]]:
        """Return where copies ended past `start` and up to `end`, with the monotonic time of each."""
        found: list[tuple[Position, float]] = []
        with self._lock:
            # The newest are the last, and those of one generation are in order.
            for position, _, monotonic in reversed(self._entries):
                if position.generation == start.generation and position <= start:
                    break
                if position.generation == start.generation and position <= end:
                    found.append((position, monotonic))
        return found[::-1]


def _missing_from(entries: Sequence[tuple[Position, float, float]], replica: Position) -> int:
    """The number of the first entry that a replica at that position lacks."""
    # Positions of two generations have no order, but the entries have: a replica that has one has those before it.
    for number in range(len(entries) - 1, -1, -1):
        position = entries[number][0]
        if position.generation == replica.generation and position <= replica:
            return number + 1
    return 0
