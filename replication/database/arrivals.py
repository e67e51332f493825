"""When commits arrived here, for the lag of replicas: one entry a copy, until every replica has it.

Bounded: beyond ARRIVALS_MAX every second entry goes, the oldest never, so that the lag of a long outage stays right
and only the times between become coarser. Safe from any thread.
"""

import threading
from collections.abc import Iterable, Sequence

from replication.position import Position

ARRIVALS_MAX = 1024
"""So many copies are remembered with their times."""


class Arrivals:
    """Positions with the time, in seconds since the epoch, at which everything up to there had been copied."""

    def __init__(self) -> None:
        self._entries: list[tuple[Position, float]] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def add(self, position: Position, time: float) -> None:
        """Remember that everything up to `position` has been copied by now."""
        with self._lock:
            if len(self._entries) >= ARRIVALS_MAX:
                del self._entries[1::2]
            self._entries.append((position, time))

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


def _missing_from(entries: Sequence[tuple[Position, float]], replica: Position) -> int:
    """The number of the first entry that a replica at that position lacks."""
    # Positions of two generations have no order, but the entries have: a replica that has one has those before it.
    for number in range(len(entries) - 1, -1, -1):
        position = entries[number][0]
        if position.generation == replica.generation and position <= replica:
            return number + 1
    return 0
