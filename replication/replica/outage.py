"""Which replicas of a store fail now: so that a thousand of them ask a store that is down no more than a few would,
and all try at once when one of them has reached it.
"""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Outages(Generic[T]):
    """The replicas that fail, by store. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: dict[str, set[T]] = {}

    def failed(self, store: str, who: T) -> None:
        """`who` could not do what it had to do at `store`."""
        with self._lock:
            self._failing.setdefault(store, set()).add(who)

    def crowd(self, store: str) -> int:
        """How many replicas fail at `store`."""
        with self._lock:
            return len(self._failing.get(store, ()))

    def reached(self, store: str, who: T) -> set[T]:
        """Forget who failed at `store`, since `who` succeeded there.

        Return the others that had failed: they may try now.
        """
        with self._lock:
            failing = self._failing.get(store)
            if failing is None or who not in failing:
                return set()
            del self._failing[store]
            return failing - {who}

    def forget(self, who: T) -> None:
        """Forget `who`: it is replicated no more."""
        with self._lock:
            for store, failing in list(self._failing.items()):
                failing.discard(who)
                if not failing:
                    del self._failing[store]
