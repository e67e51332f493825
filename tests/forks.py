"""Small processes of their own that cost a thousandth of a second: forked from one that has all of it loaded.

A test that writes to a database does so in another process, and there are thousands. Each gets its own pid, streams,
locks, folder and umask. What forks them has one thread, opens no file and dies with the process that started it.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

_PYTHON = [sys.executable, "-I", "-S", "-c"]
"""Without the packages that are installed: they take as long to find as the rest of the process takes to start."""
_ANSWER_BYTES_MAX = 64
_SERVER = r"""
import gc, json, os, socket, sys

def loaded(code):
    names = {}
    exec(code, names)
    return names["run"]

orders = socket.socket(fileno=int(sys.argv[1]))
runs = [loaded(code) for code in sys.argv[2:]]
gc.freeze()
while True:
    text, files, _, _ = socket.recv_fds(orders, 1 << 16, 2)
    if not text:
        break
    order = json.loads(text)
    if "reap" in order:
        answer = os.waitstatus_to_exitcode(os.waitpid(order["reap"], 0)[1])
    elif answer := os.fork():
        for file in files:
            os.close(file)
    else:
        orders.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(order["cwd"])
        os.umask(order["umask"])
        try:
            runs[order["number"]](*order["arguments"])
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    orders.send(b"%d" % answer)
"""


class Fork:
    """One process, as subprocess.Popen has it. Until it was waited for, its process id is nobody else's."""

    def __init__(self, parent: "Forks", pid: int, stdin: IO[str], stdout: IO[str]) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self.returncode: int | None = None
        self._parent = parent
        self._ended = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Its exit code, negative for a signal, or None while it runs."""
        if self.returncode is None and self._has_ended(0):
            self._reap()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            if not self._has_ended(timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self._reap()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _has_ended(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _reap(self) -> None:
        self.returncode = self._parent.ask({"reap": self.pid})
        os.close(self._ended)


class Forks:
    """Starts processes, each of which runs `run` of one of these pieces of code. It begins with the first."""

    def __init__(self, *codes: str) -> None:
        self._codes = codes
        self._lock = threading.Lock()
        self._orders: socket.socket | None = None

    def start(self, code: str, *arguments: str | float) -> Fork:
        """Call `run` of the code with these arguments in a new process; its stdin and stdout are pipes."""
        their_stdin, our_stdin = os.pipe()
        our_stdout, their_stdout = os.pipe()
        order = {"number": self._codes.index(code), "arguments": arguments, "cwd": str(Path.cwd()), "umask": _umask()}
        try:
            pid = self.ask(order, their_stdin, their_stdout)
        finally:
            os.close(their_stdin)
            os.close(their_stdout)
        return Fork(self, pid, os.fdopen(our_stdin, "w"), os.fdopen(our_stdout))

    def ask(self, order: object, *files: int) -> int:
        """What the process that forks answers."""
        with self._lock:
            if self._orders is None:
                self._orders = self._begin()
            socket.send_fds(self._orders, [json.dumps(order).encode()], files)
            answer = self._orders.recv(_ANSWER_BYTES_MAX)
        assert answer, "the process that forks others died"
        return int(answer)

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            # It ends when it hears that this process has, whose end of the pair is the only one.
            process = subprocess.Popen([*_PYTHON, _SERVER, str(number), *self._codes], pass_fds=[number])

        def end() -> None:
            ours.close()
            process.wait()

        atexit.register(end)
        return ours


def _umask() -> int:
    """This process's, which is not changed even for a moment: other threads make files."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:")]
    return int(line.split()[1], 8)
