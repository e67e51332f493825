"""The command of -exec: started, given the signals that we are given, and waited for.

Its promises: no signal is lost, not even in the instant in which the command starts; one that the terminal sends to
both of us reaches it once; its end is known at once; and if we are process 1, or asked to be given orphans
(PR_SET_CHILD_SUBREAPER), those are reaped.
"""

import ctypes
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

from replication.errors import UsageError
from replication.scrub import holds_secret
from replication.storage.kinds import KINDS
from tui.verbs.process import descriptors_as_inherited
from tui.verbs.signals import Signals

ONLY_PASSED_ON = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
"""Signals that are passed on and end nothing here: what they mean is the command's business, and many reload at SIGHUP.
If the command ends by one, that ends us as any end of it does."""
_PR_GET_CHILD_SUBREAPER = 37


class Command:
    """`ended` is called, in a thread, as soon as it has ended. `signal` and `kill` may be called by any thread."""

    def __init__(self, command: str, ended: Callable[[], None], inherits_keys: bool = True) -> None:
        self._words = words_of(command)
        self._ended = ended
        self._inherits_keys = inherits_keys
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        """Signals that came before the command was started."""
        self._lock = threading.RLock()
        self._reaps = os.getpid() == 1 or _is_subreaper()

    def start(self, signals: Signals) -> None:
        """Start it, without a shell; raise UsageError if that cannot be done."""
        try:
            with descriptors_as_inherited(), signals.let_through():
                process = subprocess.Popen(self._words, env=None if self._inherits_keys else _without_keys())
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"cannot run {self._words[0]}, the command to run beside replication: {reason}") from None
        with self._lock:
            self._process = process
            waiting, self._waiting = self._waiting, []
            for number in waiting:
                self._send(process, number)
        threading.Thread(target=self._wait, args=(process.pid,), name="command", daemon=True).start()

    def signal(self, number: int, from_terminal: bool) -> None:
        """Pass a signal on, unless the terminal has sent it there as well."""
        with self._lock:
            process = self._process
            if process is None:
                self._waiting.append(number)
            elif not (from_terminal and _is_beside_us(process.pid)):
                self._send(process, number)

    def kill(self) -> None:
        """End it at once."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def exit_code(self) -> int | None:
        """Its exit code once it has ended; 128 and the number if a signal ended it. Orphans are reaped."""
        with self._lock:
            code = self._process.poll() if self._process is not None else None
            if code is None and self._reaps and self._process is not None:
                _reap_orphans(self._process.pid)
        return code if code is None or code >= 0 else 128 - code

    def _send(self, process: "subprocess.Popen[bytes]", number: int) -> None:
        process.send_signal(number)
        if number == signal.SIGTERM:
            # A stopped process would otherwise never get the signal.
            process.send_signal(signal.SIGCONT)

    def _wait(self, pid: int) -> None:
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self._ended()


def _without_keys() -> dict[str, str]:
    """The environment but for the store's keys: those that are looked for, and whatever else holds one of them."""
    keys = {name for kind in KINDS.values() for name in kind.secret_variables}
    return {name: value for name, value in os.environ.items() if name not in keys and not holds_secret(value)}


def words_of(command: str) -> list[str]:
    """The command as words. Raises UsageError if it cannot be split into any."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the command to run beside replication cannot be read: {error}; look at its quotes") from None
    if not words:
        raise UsageError("the command to run beside replication is empty; leave -exec out to run none")
    return words


def _reap_orphans(command: int) -> None:
    """Take note of the end of processes whose parents have ended; that of the command is left to its waiter."""
    with suppress(ChildProcessError):
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid == command:
                return
            os.waitpid(found.si_pid, os.WNOHANG)


def _is_beside_us(pid: int) -> bool:
    try:
        return os.getpgid(pid) == os.getpgrp()
    except OSError:
        return True


def _is_subreaper() -> bool:
    answer = ctypes.c_int(0)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0) == 0 and bool(answer)
