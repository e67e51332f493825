"""Who asked for a snapshot, and follows it: how far it is, and that it is wanted no longer.

Its promise: once `cancel` is set nothing waits for a turn, and no byte more is read; a snapshot that is not whole has
no name in a store.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from replication.errors import RestoreCancelledError

_LOOK_SECONDS = 0.1
_STEPS_MAX = 100
"""So often it is told at most how far one object is."""


@dataclass(slots=True)
class Order:
    """`told` takes the bytes of the database that were sent, and of how many."""

    cancel: threading.Event = field(default_factory=threading.Event)
    told: Callable[[int, int], None] = lambda done, total: None
    _next: int = 0

    def check(self) -> None:
        """Raise RestoreCancelledError once it was cancelled."""
        if self.cancel.is_set():
            raise RestoreCancelledError("The snapshot was cancelled, and nothing of it is in the replica.")

    def sent(self, done: int, total: int) -> None:
        """Tell how far it is, if that is worth telling. Raises as `check` does."""
        self.check()
        if done >= self._next or done >= total:
            self._next = done + total // _STEPS_MAX
            self.told(done, total)

    @contextmanager
    def turn(self, lock: threading.Lock) -> Iterator[None]:
        """A block with the lock. Raises as `check` does while it is waited for."""
        while not lock.acquire(timeout=_LOOK_SECONDS):
            self.check()
        try:
            yield
        finally:
            lock.release()
