"""A terminal that can be read: what stands on its screen after all that the program sent, row by row.

Its promise: `rows` are what a person would see at this moment. Colours are left to others.
"""

import fcntl
import re
import signal
import struct
import termios
import time
from collections.abc import Mapping
from pathlib import Path

import pyte

from tests.interchange.program import DEADLINE_SECONDS, PROGRAM
from tests.tui.terminal import Terminal

_LOOK_SECONDS = 0.02
_NOT_UNDERSTOOD = re.compile(rb"\x1b\[[<>=?][0-9;]*(?:u|\$p)")
"""Questions to newer terminals, which the emulator would write on its screen as letters."""


class Window(Terminal):
    """The program on a pty, with an emulator that draws what it sends."""

    def __init__(
        self,
        *arguments: str | Path,
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
        home: Path,
        program: Path = PROGRAM,
    ) -> None:
        super().__init__(*arguments, size=size, environment=environment, home=home, program=program)
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._drawn: list[str] | None = None

    def __enter__(self) -> "Window":
        return self

    def listen(self, seconds: float, until: str = "") -> bytes:
        heard = super().listen(seconds, until)
        if heard:
            self._stream.feed(_NOT_UNDERSTOOD.sub(b"", heard))
            self._drawn = None
        return heard

    def resize(self, columns: int, rows: int) -> None:
        """The window gets another size."""
        fcntl.ioctl(self._side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)
        self.send(signal.SIGWINCH)

    @property
    def rows(self) -> list[str]:
        """What stands on the screen, without blanks at the ends of rows."""
        # To draw it costs more than all else here, and most looks find it as it was.
        if self._drawn is None:
            self._drawn = [row.rstrip() for row in self._screen.display]
        return self._drawn

    @property
    def picture(self) -> str:
        return "\n".join(self.rows)

    def row(self, *words: str) -> str:
        """The first row with all of these words, or nothing."""
        return next((row for row in self.rows if all(word in row for word in words)), "")

    def shows(self, *words: str, without: str = "", seconds: float = DEADLINE_SECONDS) -> str:
        """Wait until one row has all of these words, and none has `without`; the row."""
        deadline = time.monotonic() + seconds
        while not (found := self.row(*words)) or (without and without in self.picture):
            assert time.monotonic() < deadline, f"no row with {words} within {seconds:.0f} s:\n{self.picture}"
            self.listen(_LOOK_SECONDS)
        return found
