"""The ways out of the screen: signals, a terminal that has gone, and an application that does not end.

Its promise: after SIGINT, SIGTERM or SIGHUP, or when the terminal has gone, the engine is closed and the process
ends, even if the screen is stuck writing to a terminal that takes nothing.
"""

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STUCK_SECONDS_MAX = 2.0
"""How long the screen may take to end before the engine is closed without it."""
LOOK_SECONDS = 1.0
"""How often to look whether the terminal is still there."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """`leave` asks the application to end, from any thread; `close` closes the engine and ends the process."""

    def __init__(self, leave: Callable[[], None], close: Callable[[], None]) -> None:
        self._leave = leave
        self._close = close
        self._asked = threading.Event()
        self._ended = threading.Event()

    @contextmanager
    def watching(self, descriptor: int) -> Iterator[None]:
        """A block in which signals, and a hang-up of the terminal on `descriptor`, end the application."""
        # Python's handlers run even while the screen waits for a terminal that takes nothing; a handler of the
        # event loop would not.
        numbers = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        previous = {number: signal.signal(number, self._signalled) for number in numbers}
        threading.Thread(target=self._watch, args=(descriptor,), name="terminal", daemon=True).start()
        try:
            yield
        finally:
            self._ended.set()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._asked.set()

    def _watch(self, descriptor: int) -> None:
        while not self._asked.wait(LOOK_SECONDS) and not self._ended.is_set():
            if hung_up(descriptor):
                break
        if self._ended.is_set():
            return
        # In a thread of its own: a stuck screen may not even take the request.
        threading.Thread(target=self._leave, name="leave", daemon=True).start()
        if not self._ended.wait(STUCK_SECONDS_MAX):
            self._close()


def hung_up(descriptor: int) -> bool:
    """True when the other side of the terminal has gone."""
    look = select.poll()
    look.register(descriptor, 0)
    try:
        return any(what & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, what in look.poll(0))
    except OSError:
        return True


def end_process(code: int) -> None:
    """End at once: threads that hang and what waits for the terminal are left behind."""
    os._exit(code)
