"""How far a restore is: counted by the threads that read, and reported from the thread of the restore."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Phase = Literal["plan", "snapshot", "wal", "check", "done"]


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far a restore is: stored bytes and objects, and of how many."""

    phase: Phase
    bytes_done: int
    bytes_total: int
    objects_done: int
    objects_total: int


class RestoreMeter:
    """Counts stored bytes, from any thread, and reports them from the thread of the restore."""

    def __init__(self, bytes_total: int, objects_total: int, progress: Callable[[RestoreProgress], None]) -> None:
        self._bytes_total = bytes_total
        self._objects_total = objects_total
        self._progress = progress
        self._lock = threading.Lock()
        self._phase: Phase = "snapshot"
        self._objects = 0
        self.bytes_done = 0

    def count(self, size: int) -> None:
        """Count so many stored bytes more."""
        with self._lock:
            self.bytes_done += size

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield these pieces of a database, with a report after each."""
        for piece in pieces:
            yield piece
            self._tell()

    def begin(self, phase: Phase, objects: int) -> None:
        """Begin the next phase, with so many objects done."""
        self._phase = phase
        self._objects = objects
        self._tell()

    def objects_done(self, count: int) -> None:
        """Count so many objects more."""
        self._objects += count
        self._tell()

    def _tell(self) -> None:
        total = self._bytes_total
        done = min(self.bytes_done, total)
        self._progress(RestoreProgress(self._phase, done, total, self._objects, self._objects_total))
