"""The program on a terminal of its own: what it sends there, how much, and how it ends.

Its promise: the process is gone when the context ends, and no terminal is left open.
"""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import peers
from tests.cli import forked
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM
from tests.torture.nursery import Life

_ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[()][AB0]|\x1b[=>78]")
_READ_BYTES = 1 << 16


class Terminal:
    """A pty with the program on it. Nothing is taken from the program while no method runs."""

    def __init__(
        self,
        *arguments: str | Path,
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
        home: Path,
        anew: bool = False,
        program: Path = PROGRAM,
    ) -> None:
        """`anew` starts the interpreter as well; without it one is forked that has everything loaded. With `program`
        another program is run.
        """
        self._side, theirs = os.openpty()
        columns, rows = size
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        settings = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home)}
        self.said = b""

        environment = peers.clean_environment(**(settings | dict(environment or {})))
        self._process: Life | subprocess.Popen[bytes]
        if anew or program != PROGRAM or not forked.fits(environment):
            self._process = _started((program, *arguments), theirs, environment)
        else:
            self._process = forked.start_on_terminal([*map(str, arguments)], os.ttyname(theirs), environment)
        os.close(theirs)

    def listen(self, seconds: float, until: str = "") -> bytes:
        """Take what it sends for so long, or until `until` was among it."""
        heard, end = b"", time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not (until and until.encode() in heard):
            if select.select([self._side], [], [], left)[0]:
                try:
                    piece = os.read(self._side, _READ_BYTES)
                except OSError:
                    break  # Nobody holds the other side any more.
                if not piece:
                    break
                heard += piece
        self.said += heard
        return heard

    def wait_for(self, words: str) -> None:
        """Take what it sends until these words are among it, as they were sent."""
        assert words.encode() in self.listen(DEADLINE_SECONDS, words), self.text

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._side, keys.encode())

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def cpu_seconds(self) -> float:
        """The time it has needed on a processor so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def hang_up(self) -> None:
        """The window is closed, or the line is cut."""
        os.close(self._side)
        self._side = -1

    def end(self) -> int:
        """Take the rest of what it sends; the exit code."""
        if self._side >= 0:
            self.listen(DEADLINE_SECONDS)
        return self._process.wait(DEADLINE_SECONDS)

    def wait(self) -> int:
        """The exit code; nothing is taken from it meanwhile."""
        return self._process.wait(DEADLINE_SECONDS)

    @property
    def text(self) -> str:
        """All that was said, without what moves the cursor and sets colours."""
        return _ESCAPES.sub(b"", self.said).decode(errors="replace")

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._side >= 0:
            os.close(self._side)


def _started(
    arguments: tuple[str | Path, ...], terminal: int, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    def start() -> None:
        peers.die_with_parent()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    return subprocess.Popen(
        arguments,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=start,
    )
