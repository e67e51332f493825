"""How far a restore is: counted by the threads that read, and reported from the thread of the restore."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Phase = Literal["plan", "snapshot", "wal", "check", "done"]


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far a restore is: stored bytes and objects, of how many."""

    phase: Phase
    bytes_done: int
    bytes_total: int
    objects_done: int
    objects_total: int


class RestoreMeter:
    """Counts stored bytes, from any thread, and tells them from the thread of the restore."""

    def __init__(self, bytes_total: int, objects_total: int, progress: Callable[[RestoreProgress], None]) -> None:
        self._bytes_total = bytes_total
        self._objects_total = objects_total
        self._progress = progress
        self._lock = threading.Lock()
        self._phase: Phase = "snapshot"
        self._objects = 0
        self.bytes_done = 0

    def count(self, size: int) -> None:
        """So many stored bytes have come."""
        with self._lock:
            self.bytes_done += size

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """These pieces of a database, with a word after each."""
        for piece in pieces:
            yield piece
            self._tell()

    def begin(self, phase: Phase, objects: int) -> None:
        """The next phase, and how many objects are done."""
        self._phase = phase
        self._objects = objects
        self._tell()

    def objects_done(self, count: int) -> None:
        """So many more objects are done."""
        self._objects += count
        self._tell()

    def _tell(self) -> None:
        total = self._bytes_total
        done = min(self.bytes_done, total)
        self._progress(RestoreProgress(self._phase, done, total, self._objects, self._objects_total))
