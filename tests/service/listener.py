"""systemd's end of sd_notify: a datagram socket, as a path or as one of the kernel's abstract names."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_SECONDS = 30.0
QUIET_SECONDS = 0.2


class Listener:
    """What was told, a datagram each, in order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def wait(self, what: Callable[[dict[str, str]], bool], seconds: float = DEADLINE_SECONDS) -> dict[str, str]:
        """The next datagram of which it is true."""
        deadline = time.monotonic() + seconds
        while True:
            if (found := self.next(deadline - time.monotonic())) is None:
                raise AssertionError(f"it was not told in time; told was {self.told}")
            if what(found):
                return found

    def next(self, seconds: float) -> dict[str, str] | None:
        """The next datagram; None if there is none in time."""
        self._socket.settimeout(max(0.001, seconds))
        try:
            text = self._socket.recv(65536).decode()
        except TimeoutError:
            return None
        found = dict(line.split("=", 1) for line in text.splitlines())
        self.told.append(found)
        return found

    def close(self) -> None:
        self._socket.close()


@contextmanager
def listening(folder: Path, abstract: bool = False) -> Iterator[Listener]:
    """One that listens for the length of a block."""
    listener = Listener(f"@litestream-tui-test{folder}"[:100] if abstract else str(folder / "notify"))
    try:
        yield listener
    finally:
        listener.close()


def has(name: str, text: str = "") -> Callable[[dict[str, str]], bool]:
    """Whether a datagram has that name, with a value that has that text."""
    return lambda told: name in told and text in told[name]
