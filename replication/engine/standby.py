"""Databases that another engine has, as during a deploy: looked at again and again, and taken over at its end.

One thread for all of them. Its promise: what is free is taken within milliseconds, and nobody else waits for it.
"""

import threading
from collections.abc import Sequence
from typing import Protocol

LOOK_SECONDS_MIN = 0.01
LOOK_SECONDS_PER_DATABASE = 0.001
"""Between two looks at all that is waited for: a look takes some 20 µs for each."""


class Waiting(Protocol):
    """One that is waited for."""

    def take_over(self) -> bool:
        """True once it is ours, or is to be waited for no more."""


class Standby:
    """Looks at all that is waited for until each was taken over."""

    def __init__(self, waiting: Sequence[Waiting]) -> None:
        self._waiting = list(waiting)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="standby", daemon=True)
        self._thread.start()

    def close(self, timeout_seconds: float) -> list[str]:
        """Take nothing over any more; the names of what did not end in time."""
        self._stop.set()
        self._thread.join(timeout_seconds)
        return [self._thread.name] if self._thread.is_alive() else []

    def _look(self) -> None:
        while self._waiting and not self._stop.wait(LOOK_SECONDS_MIN + LOOK_SECONDS_PER_DATABASE * len(self._waiting)):
            for one in self._waiting.copy():
                if not self._stop.is_set() and one.take_over():
                    self._waiting.remove(one)
