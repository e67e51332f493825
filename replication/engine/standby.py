"""Databases that another engine has, as during a deploy: looked at again and again, and taken over at its end.

One thread for all of them. Its promise: what is free is taken within milliseconds, and nobody else waits for it.
"""

import threading
from contextlib import suppress
from typing import Protocol

LOOK_SECONDS_MIN = 0.01
LOOK_SECONDS_PER_DATABASE = 0.001
"""The gap between two rounds grows by this with each database that is waited for: a look at one takes some 20 µs."""


class Waiting(Protocol):
    """A database that is waited for."""

    def take_over(self) -> bool:
        """Take the database over. Return False if it is still to be waited for."""


class Standby:
    """Looks at all databases that are waited for until each was taken over. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Waiting] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        """Runs as long as anything is waited for."""

    def add(self, one: Waiting) -> None:
        """Wait for this database too."""
        with self._lock:
            self._waiting.append(one)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="standby", daemon=True)
                self._thread.start()

    def remove(self, one: Waiting) -> None:
        """Wait for this database no more."""
        with self._lock, suppress(ValueError):
            self._waiting.remove(one)

    def close(self, timeout_seconds: float) -> list[str]:
        """Take nothing over any more. Return the names of what did not end in time."""
        self._stop.set()
        if (thread := self._thread) is None:
            return []
        thread.join(timeout_seconds)
        return [thread.name] if thread.is_alive() else []

    def _look(self) -> None:
        while waiting := self._still_waiting():
            if self._stop.wait(LOOK_SECONDS_MIN + LOOK_SECONDS_PER_DATABASE * len(waiting)):
                return
            for one in waiting:
                if not self._stop.is_set() and one.take_over():
                    self.remove(one)

    def _still_waiting(self) -> list[Waiting]:
        with self._lock:
            if not self._waiting:
                self._thread = None
            return self._waiting.copy()
