"""Totals since the program began, by name: any thread adds to them, any thread reads them.

Adding costs a lock that nobody holds for long. It leaves to the caller what the names mean.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Counts:
    """Counters by name, which only grow. What was never added to is 0."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, float] = {}

    def add(self, name: str, amount: float = 1) -> None:
        """Add so much to a counter."""
        with self._lock:
            self._totals[name] = self._totals.get(name, 0) + amount

    def done(self, what: str, seconds: float, failed: bool = False) -> None:
        """Count that `what` was done once more: in `whats`, `what_seconds` and, if it failed, `what_errors`."""
        totals = self._totals
        with self._lock:
            totals[f"{what}s"] = totals.get(f"{what}s", 0) + 1
            totals[f"{what}_seconds"] = totals.get(f"{what}_seconds", 0) + seconds
            if failed:
                totals[f"{what}_errors"] = totals.get(f"{what}_errors", 0) + 1

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """A block that is `done` when it ends, and has failed if it raises."""
        began, failed = time.monotonic(), True
        try:
            yield
            failed = False
        finally:
            self.done(what, time.monotonic() - began, failed)

    def get(self, name: str) -> float:
        """The value of a counter."""
        return self._totals.get(name, 0)

    def all(self) -> tuple[tuple[str, float], ...]:
        """Everything that was ever added to, by name."""
        with self._lock:
            return tuple(sorted(self._totals.items()))


@dataclass(frozen=True, slots=True)
class Requests:
    """What a store was asked: how often, and with how many stored bytes, by LIST, GET, PUT and DELETE."""

    counts: Counts = field(default_factory=Counts)
    sizes: Counts = field(default_factory=Counts)

    def add(self, operation: str, size: int = 0) -> None:
        """Count one more request. `size` is of its content."""
        self.counts.add(operation)
        if size:
            self.sizes.add(operation, size)
