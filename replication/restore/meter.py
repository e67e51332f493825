"""How far a restore is: counted in any thread, told in that of the restore."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from replication.restore.plan import Plan

Phase = Literal["plan", "snapshot", "wal", "check", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restore is: stored bytes and objects, of how many."""

    phase: Phase
    bytes_done: int
    bytes_total: int
    objects_done: int
    objects_total: int


class Meter:
    """Counts stored bytes, from any thread, and tells them from the thread of the restore."""

    def __init__(self, plan: Plan, progress: Callable[[Progress], None]) -> None:
        # Added up once: a plan may have very many segments, and each of them tells.
        self._bytes_total = plan.size
        self._objects_total = plan.objects
        self._progress = progress
        self._lock = threading.Lock()
        self._phase: Phase = "snapshot"
        self._objects = 0
        self.bytes_done = 0

    def count(self, size: int) -> None:
        with self._lock:
            self.bytes_done += size

    def pieces(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._tell()

    def begin(self, phase: Phase, objects: int) -> None:
        self._phase = phase
        self._objects = objects
        self._tell()

    def objects_done(self, count: int) -> None:
        self._objects += count
        self._tell()

    def _tell(self) -> None:
        total = self._bytes_total
        done = min(self.bytes_done, total)
        self._progress(Progress(self._phase, done, total, self._objects, self._objects_total))
