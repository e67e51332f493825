"""The program on a pty, with what stands there now: enough of a terminal to know when a key was answered.

Its promise: the program is gone when the context ends. It knows the escapes that the screen sends (cursor
positions, colours, modes) and no more.
"""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PROGRAM = str(Path(sys.executable).parent / "litestream-tui")
DEADLINE_SECONDS = 60.0
_READ_BYTES = 1 << 16
_PIECES = re.compile(
    r"\x1b\[(?P<to>\d+;\d+)H|\x1b\[[0-9;?<>=:$ ]*[a-zA-Z]|\x1b[()][AB0]|\x1b[=>78]|\x1b.|[\r\n]|[^\x1b\r\n]+"
)

Rows = list[str]


class Terminal:
    """A pty with `litestream-tui WORDS` on it. `rows` is what stands there."""

    def __init__(self, words: list[str], home: Path, size: tuple[int, int] = (80, 24)) -> None:
        self._columns, rows = size
        self._grid = [[" "] * self._columns for _ in range(rows)]
        self._at = (0, 0)
        self._rest = b""
        self.sent_bytes = 0
        """What it sent since the start."""
        self._side, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, self._columns, 0, 0))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [PROGRAM, *words], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def rows(self) -> Rows:
        return ["".join(row).rstrip() for row in self._grid]

    def listen(self, seconds: float) -> int:
        """Take what it sends for so long; the bytes."""
        before, end = self.sent_bytes, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._take(left)
        return self.sent_bytes - before

    def until(self, shown: Callable[[Rows], bool], since: float | None = None) -> float:
        """Seconds since `since` (else now) until the terminal shows that."""
        began = time.monotonic() if since is None else since
        while not shown(self.rows):
            if time.monotonic() - began > DEADLINE_SECONDS:
                raise TimeoutError("not shown in time; there is\n" + "\n".join(self.rows))
            self._take(1.0)
        return time.monotonic() - began

    def press(self, keys: str, shown: Callable[[Rows], bool]) -> float:
        """Type; seconds until the terminal shows that."""
        while select.select([self._side], [], [], 0)[0]:
            self._take(0)
        os.write(self._side, keys.encode())
        return self.until(shown)

    def _take(self, seconds: float) -> None:
        if not select.select([self._side], [], [], seconds)[0]:
            return
        try:
            piece = os.read(self._side, _READ_BYTES)
        except OSError:
            piece = b""
        if not piece:
            raise RuntimeError("the program has ended; it said\n" + "\n".join(self.rows))
        self.sent_bytes += len(piece)
        self._rest += piece
        # An escape or a letter that was cut in two waits for its other half.
        whole = len(self._rest)
        for back in range(1, min(24, whole) + 1):
            byte = self._rest[-back]
            if byte == 0x1B and not re.match(rb"\x1b(\[[0-9;?<>=:$ ]*[a-zA-Z]|[^\[])", self._rest[-back:]):
                whole -= back
                break
        while whole and _cut_letter(self._rest[:whole]):
            whole -= 1
        text, self._rest = self._rest[:whole].decode(errors="replace"), self._rest[whole:]
        self._show(text)

    def _show(self, text: str) -> None:
        y, x = self._at
        for match in _PIECES.finditer(text):
            piece = match[0]
            if match["to"]:
                y, x = (int(number) - 1 for number in match["to"].split(";"))
            elif piece == "\r":
                x = 0
            elif piece == "\n":
                y += 1
            elif piece[0] != "\x1b":
                for letter in piece:
                    if y < len(self._grid) and x < self._columns:
                        self._grid[y][x] = letter
                    x += 1
        self._at = (y, x)

    def end(self) -> None:
        """Let the program end as a user would, without waiting for uploads."""
        self._process.terminate()
        end = time.monotonic() + DEADLINE_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            try:
                self._take(0.05)
            except RuntimeError:
                break

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.end()
                self._process.wait(DEADLINE_SECONDS)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            os.close(self._side)


def _cut_letter(piece: bytes) -> bool:
    """True if the last letter of a piece of UTF-8 is not whole."""
    for back in range(1, 4):
        if len(piece) >= back and piece[-back] >= 0xC0:
            return back < (2 if piece[-back] < 0xE0 else 3 if piece[-back] < 0xF0 else 4)
    return False
