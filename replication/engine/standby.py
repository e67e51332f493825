"""Databases that another engine has, as during a deploy: looked at again and again, and taken over at its end.

One thread for all of them. Its promise: what is free is taken within milliseconds, and nobody else waits for it.
"""

import threading
from collections.abc import Callable, Sequence

from replication.database.database import Database

LOOK_SECONDS_MIN = 0.01
LOOK_SECONDS_PER_DATABASE = 0.001
"""Between two looks at all that is waited for: a look takes some 20 µs for each."""


class Standby:
    """Calls `taken` with each database once its lock is ours."""

    def __init__(self, databases: Sequence[Database], taken: Callable[[Database], None]) -> None:
        self._waiting = list(databases)
        self._taken = taken
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="standby", daemon=True)
        self._thread.start()

    def close(self, timeout_seconds: float) -> bool:
        """Take nothing over any more; False if the thread did not end in time."""
        self._stop.set()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _look(self) -> None:
        while self._waiting and not self._stop.wait(LOOK_SECONDS_MIN + LOOK_SECONDS_PER_DATABASE * len(self._waiting)):
            for database in self._waiting.copy():
                if not self._stop.is_set() and database.take_over():
                    self._waiting.remove(database)
                    self._taken(database)
