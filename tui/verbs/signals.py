"""Signals of a program that replicates: none is lost, none is waited for, and it is known which came from a terminal.

They are blocked in every thread and taken by one of their own, so that they are heeded while the main thread starts
a command, or waits for the reader of its output. That thread knows who sent them: a terminal sends Ctrl-C to all
processes in front of it, so that a command which is one of them must not be sent it a second time.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType

_SENT_BY_KERNEL = 0x80
"""SI_KERNEL, the si_code of what a terminal sends."""


KEPT_BACK = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)


@contextmanager
def kept_back() -> Iterator[None]:
    """A block in which signals wait, for the thread that begins it and for those that are started in it.

    `Signals.taken` ends that for what it does not take itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, KEPT_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Signals:
    """Calls `caught(number, from_terminal)` for each of `numbers`, but for those that are ignored on purpose."""

    def __init__(self, numbers: Iterable[int], caught: Callable[[int, bool], None]) -> None:
        # nohup has SIGHUP ignored.
        self._numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        self._caught = caught
        self._ended = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A block in which they are. It is for the main thread; others were started while signals were kept back."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(KEPT_BACK) - set(self._numbers))
        if not self._numbers:
            yield
            return
        previous = {number: signal.signal(number, self._handle) for number in self._numbers}
        thread = threading.Thread(target=self._take, name="signals", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended = True
            if thread.ident is not None and thread.is_alive():
                signal.pthread_kill(thread.ident, self._numbers[0])
                thread.join()
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """A block in which a process may be started: it inherits the mask of the thread that starts it."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._caught(number, False)

    def _take(self) -> None:
        while True:
            info = signal.sigwaitinfo(self._numbers)
            if self._ended:
                return
            self._caught(info.si_signo, info.si_code == _SENT_BY_KERNEL)


SAME_WISH_SECONDS = 0.05
"""A wrapper such as timeout(1) signals its child and then the whole group: what comes so soon is one wish to end."""


def has_terminal() -> bool:
    """Whether a terminal controls this process, and would send SIGHUP when it hangs up."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class Wish(Enum):
    """What one more signal says."""

    FIRST = 1
    SAME = 2
    """The first signal once more, within SAME_WISH_SECONDS: nothing new is wished."""
    AT_ONCE = 3
    """The end shall be waited for no longer."""


class Wishes:
    """Wishes to end a run, by signals."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._first: tuple[int, float] | None = None

    @property
    def any(self) -> bool:
        """True once there was one."""
        return self._first is not None

    def add(self, number: int) -> Wish:
        """What the signal of this number says, of all that came."""
        now = self._monotonic()
        if self._first is None:
            self._first = (number, now)
            return Wish.FIRST
        same, then = self._first
        return Wish.SAME if number == same and now < then + SAME_WISH_SECONDS else Wish.AT_ONCE
