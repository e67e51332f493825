"""How far a replica is behind: bytes, and from when on that is more than an upload under way. Pure.

One for the engine, which knows when each commit arrived, and for a caller without an engine, which knows less.
"""

import threading
from collections.abc import Callable

from replication.position import Position

BEHIND_SECONDS_MIN = 5.0
"""With a younger commit missing a replica is syncing, with an older one behind, whatever the sync interval."""
BEHIND_INTERVALS = 5
"""The same bound in sync intervals, where those are long."""


def is_behind(lag_seconds: float, sync_seconds: float) -> bool:
    """True if a commit waits for longer than uploads at that interval explain."""
    return lag_seconds >= max(BEHIND_SECONDS_MIN, BEHIND_INTERVALS * sync_seconds)


def pending_bytes(here: Position, there: Position | None, size_of: Callable[[int], int]) -> int:
    """Bytes of WAL that a replica at `there` lacks of what is copied up to `here`.

    `size_of` gives the size of an index of this generation that has ended. For a replica in another generation only
    what is certain to be sent counts, and never less than 1.
    """
    if there is None or there.generation != here.generation:
        return max(1, here.offset)
    ended = sum(map(size_of, range(there.index, here.index)))
    # A replica that was asked after the local folder may be ahead of what was read there.
    return max(0, ended + here.offset - there.offset) if there.index <= here.index else 0


class EndedSizes:
    """The sizes of indexes that have ended, which never change: each is asked for once. Safe from any thread."""

    def __init__(self, size: Callable[[str, int], int]) -> None:
        self._size = size
        self._generation = ""
        self._known: dict[int, int] = {}
        self._lock = threading.Lock()

    def pending_bytes(self, here: Position, there: Position | None) -> int:
        """The same with sizes from `size_of`, each asked for once. Raises OSError."""
        if there is None or there.generation != here.generation or there.index == here.index:
            return pending_bytes(here, there, self._size_of)
        with self._lock:
            if self._generation != here.generation:
                self._generation, self._known = here.generation, {}
            self._known = {index: size for index, size in self._known.items() if index >= there.index}
            return pending_bytes(here, there, self._size_of)

    def _size_of(self, index: int) -> int:
        if index not in self._known:
            self._known[index] = self._size(self._generation, index)
        return self._known[index]
