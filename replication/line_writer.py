"""Lines to a descriptor whose reader may stop reading: who has a line to write does not wait for that.

Its promise: `put` never waits, and what is kept is bounded. What finds no room is counted, and a line with their number
takes its place.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

LINES_WAITING_MAX = 1000
"""So many lines are kept for a reader who is behind what a pipe itself keeps."""


class LineWriter:
    """Writes in a thread of its own. `lost` makes the line that stands for so many lost ones."""

    def __init__(self, descriptor: int, lost: Callable[[int], bytes]) -> None:
        self._descriptor = descriptor
        self._lost = lost
        self._waiting: deque[bytes] = deque()
        self._lost_count = 0
        self._busy = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, line: bytes) -> None:
        """Write a line, soon."""
        with self._changed:
            if len(self._waiting) >= LINES_WAITING_MAX:
                self._lost_count += 1
                return
            self._waiting.append(line)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="log", daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Wait until all is written, for so long at most. Return False if it is not."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._waiting))
                lines = list(self._waiting)
                self._waiting.clear()
                self._busy = True
                lost, self._lost_count = self._lost_count, 0
            if lost:
                lines.append(self._lost(lost))
            for line in lines:
                self._write(line)

    def _write(self, line: bytes) -> None:
        try:
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BlockingIOError:
                    # Another process that shares the descriptor wants it so.
                    select.select((), (self._descriptor,), ())
        except (OSError, ValueError):
            pass  # nobody reads it any more: the line is lost
