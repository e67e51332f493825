"""The end of a command that only reads, where SQLite cannot be stopped: one function of it may run for hours.

Its promise: a signal, or the time that a question has, ends the command soon after it, with the words and the exit code
that it would have ended with. It is for commands that leave nothing behind wherever they end.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from replication.errors import QueryError, RestoreCancelledError
from tui.text.rows import Row
from tui.verbs.console import complain, leave
from tui.verbs.moment import CANCELLED

GRACE_SECONDS = 1.5
"""So long SQLite may take to end by itself. A wait for the store is broken off after a second."""
TIME_IS_OVER = "The query was ended: its time is over. Ask for less, or give it more with -timeout."
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS = 0.1


class Watch:
    """What is under way since when, and when that is to end. The thread that looks at it only reads."""

    def __init__(self) -> None:
        self._since: float | None = None
        """None while SQLite has nothing to do: who reads our output may take as long as they like."""
        self._deadline = float("inf")
        self._cancelled = float("inf")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A block in which SQLite may be at work."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def each(self, rows: Iterator[Row], seconds: float | None) -> Iterator[Row]:
        """The same rows, all of which have to be found within so many seconds."""
        if seconds is not None:
            self._deadline = time.monotonic() + seconds
        while True:
            with self.at_work():
                row = next(rows, None)
            if row is None:
                return
            yield row
            del row

    def cancel(self) -> None:
        """Note that a signal came."""
        self._cancelled = min(self._cancelled, time.monotonic())

    def end_if_late(self) -> None:
        """End the process if it was to end, and SQLite goes on."""
        since = self._since
        if since is None:
            return
        now = time.monotonic()
        if now > max(self._cancelled, since) + GRACE_SECONDS:
            complain(CANCELLED, 1.0)
            leave(RestoreCancelledError.exit_code)
        if now > max(self._deadline, since) + GRACE_SECONDS:
            complain(TIME_IS_OVER, 1.0)
            leave(QueryError.exit_code)


@contextmanager
def watched() -> Iterator[Watch]:
    """A block that is looked after by a thread of its own. It is for the main thread, as signals are."""
    watch, is_over = Watch(), threading.Event()
    woken, wakes = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    # Python calls no handler while SQLite is at work: but it writes the numbers of signals here.
    previous = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)

    def look() -> None:
        while not is_over.is_set():
            if select.select([woken], [], [], _LOOK_SECONDS)[0] and set(os.read(woken, 4096)) & set(_SIGNALS):
                watch.cancel()
            watch.end_if_late()

    thread = threading.Thread(target=look, name="watchdog", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        signal.set_wakeup_fd(previous)
        os.write(wakes, b"\0")
        thread.join()
        os.close(woken)
        os.close(wakes)
