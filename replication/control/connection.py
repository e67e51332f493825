"""One run of a program whose input and output are a relay: `ssh HOST litestream-tui relay`, or the relay itself.

Its promise: nobody waits here longer than they said, whatever the program does; when it has ended everybody who waits
is told why, in words; and after `close` it is gone.
"""

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from replication.control.frames import IDS, MAGIC, FrameError, Receiver, Sender, packed, unpacked
from replication.control.values import Failure, error_of
from replication.errors import EngineError, NoEngineError
from replication.wire import Plain, WireError, value_of

NOISE_BYTES_MAX = 64 << 10
"""What a login may say before the relay begins."""
COMPLAINT_BYTES_MAX = 8 << 10
END_SECONDS_MAX = 1.0
"""How long the program may take to end by itself."""
_READ_BYTES = 64 << 10

Explain = Callable[[int, str], str]
"""Why a program ended, in words, by its exit code and what it said on stderr last."""


class Program(Protocol):
    """What runs: its three descriptors, its end, and how to end it."""

    def descriptors(self) -> tuple[int, int, int]:
        """To its input, from its output, and from what it says on stderr: the caller's to close."""

    def wait(self, seconds: float | None = None) -> int:
        """Its exit code, or TimeoutError."""

    def kill(self) -> None:
        """End it and what it started, now."""


class Process:
    """A Program of the operating system, in a session of its own: it can ask nothing on our terminal."""

    def __init__(self, command: Sequence[str]) -> None:
        """Raises NoEngineError if there is no such program."""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            words = f"{command[0]} cannot be run: {error.strerror}; install it, or add its folder to PATH"
            raise NoEngineError(words) from None

    def descriptors(self) -> tuple[int, int, int]:
        made = []
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            made.append(os.dup(pipe.fileno()))
            pipe.close()
        return made[0], made[1], made[2]

    def wait(self, seconds: float | None = None) -> int:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


@dataclass(slots=True)
class Pending:
    """An answer that is waited for."""

    came: threading.Event = field(default_factory=threading.Event)
    answer: tuple[dict[str, Plain], bytes] | None = None


class Connection:
    """Runs from the call to `close`, or until the program ends."""

    def __init__(self, program: Program, explain: Explain) -> None:
        self.ended = ""
        """Why it has ended, in words; empty while it runs."""
        self.open = False
        """True once the relay has begun to answer."""
        self.heard = time.monotonic()
        """When something came last, or it was started."""
        self._explain = explain
        self._ids = itertools.cycle(range(IDS))
        self._pending: dict[int, Pending] = {}
        self._lock = threading.Lock()
        self._complaint = b""
        self._program = program
        self._input, self._output, self._complaints = program.descriptors()
        self._sender = Sender(self._write)
        self._receiver = Receiver()
        self._listening = threading.Thread(target=self._hear_complaints, name="relay stderr", daemon=True)
        self._listening.start()
        for work in (self._send, self._receive):
            threading.Thread(target=work, name="relay line", daemon=True).start()

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes sent, and received after the greeting."""
        return self._sender.size, self._receiver.size

    def begin(self, head: Plain, body: bytes = b"") -> Pending:
        """Ask, without waiting. Raises the error of a program that has ended."""
        made, message = Pending(), packed(head, body)
        with self._lock:
            if self.ended:
                raise NoEngineError(self.ended)
            id = next(id for id in self._ids if id not in self._pending)
            self._pending[id] = made
        self._sender.add(id, message)
        return made

    def wait(self, pending: Pending, seconds: float) -> tuple[dict[str, Plain], bytes] | None:
        """The answer, or None if it has not come within so many seconds. Raises what was answered in its place."""
        if not pending.came.wait(max(0.0, seconds)):
            return None
        if pending.answer is None:
            raise NoEngineError(self.ended)
        head, body = pending.answer
        if "failure" not in head:
            return head, body
        try:
            raise error_of(value_of(Failure, head["failure"]))
        except WireError as error:
            raise EngineError(f"the engine's answer cannot be understood: {error}") from None

    def close(self, why: str = "the connection was closed") -> None:
        """End the program, without waiting for it."""
        self._end(why)
        # Its input ends with that, and then the program.
        self._sender.close()
        threading.Thread(target=self._over, name="relay end", daemon=True).start()

    def kill(self) -> None:
        """End the program now: whatever it waits for, it is not left behind."""
        self.close()
        self._program.kill()

    # -- threads ------------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        # Why nobody takes it is told by the end of the program.
        try:
            self._sender.run()
        except OSError:
            pass
        finally:
            os.close(self._input)

    def _receive(self) -> None:
        try:
            data = self._greeting()
            while data:
                self.heard = time.monotonic()
                for id, message in self._receiver.feed(data):
                    answer = unpacked(message)
                    with self._lock:
                        pending = self._pending.pop(id, None)
                    if pending is not None:
                        pending.answer = answer
                        pending.came.set()
                data = os.read(self._output, _READ_BYTES)
        except FrameError as error:
            self.close(f"what comes is not from a relay of litestream-tui: {error}")
            return
        except OSError:
            pass
        finally:
            os.close(self._output)
        self._ended()

    def _greeting(self) -> bytes:
        """What comes after it, once it has come; nothing if the program ends before."""
        came = b""
        while MAGIC not in came:
            data = os.read(self._output, _READ_BYTES)
            if not data:
                return b""
            came += data
            if len(came) > NOISE_BYTES_MAX:
                raise FrameError(f"a login says more than {NOISE_BYTES_MAX >> 10} KiB")
        self.open = True
        rest = came[came.index(MAGIC) + len(MAGIC) :]
        return rest or os.read(self._output, _READ_BYTES)

    def _ended(self) -> None:
        """The program says nothing more: it has ended, or is about to."""
        code = self._over()
        # What it said last is there by then, unless something that it left behind holds the other end.
        self._listening.join(END_SECONDS_MAX)
        self._end(self._explain(code, self._complaint.decode(errors="replace")))
        self._sender.close()

    def _end(self, why: str) -> None:
        with self._lock:
            self.ended = self.ended or why
            waiting, self._pending = self._pending, {}
        for pending in waiting.values():
            pending.came.set()

    def _over(self) -> int:
        """Its exit code; it is ended if it does not by itself."""
        try:
            return self._program.wait(END_SECONDS_MAX)
        except TimeoutError:
            self._program.kill()
            return self._program.wait()

    def _hear_complaints(self) -> None:
        try:
            while data := os.read(self._complaints, _READ_BYTES):
                self._complaint = (self._complaint + data)[-COMPLAINT_BYTES_MAX:]
        finally:
            os.close(self._complaints)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._input, left) :]
