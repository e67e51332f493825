"""A relay in a thread of the test's own process, as the program that a far client starts; and the real one."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from replication.control.client import Client
from replication.control.connection import Process
from replication.control.far import FarClient, Route
from replication.control.relay import serve
from tests.interchange.program import PROGRAM


class InThread:
    """A Program: the relay to the engine that listens at `path`, without a process."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._pairs = [os.pipe() for _ in range(3)]
        (source, _), (_, sink), (_, complaints) = self._pairs

        def run() -> None:
            client = Client(path, read_only)
            try:
                serve(client, source, sink)
            finally:
                client.close()
                for descriptor in (source, sink, complaints):
                    os.close(descriptor)

        self._thread = threading.Thread(target=run, name="relay in a thread")
        self._thread.start()

    def descriptors(self) -> tuple[int, int, int]:
        return self._pairs[0][1], self._pairs[1][0], self._pairs[2][0]

    def wait(self, seconds: float | None = None) -> int:
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError
        return 0

    def kill(self) -> None:
        """It ends when its input does."""


def explain(code: int, said: str) -> str:
    """Why a relay ended, for a test to see."""
    return f"it ended with {code}: {said.strip()}"


def far_client(path: Path, refresh: float = 0.05, wait: float = 3.0, read_only: bool = False) -> FarClient:
    """A client over a relay in a thread."""
    return FarClient(Route("web1", lambda: InThread(path, read_only), explain), read_only, refresh, wait)


def program_route(*words: str | Path) -> Callable[[], Process]:
    """Starts the real relay, here."""
    return lambda: Process([str(PROGRAM), "relay", *map(str, words)])
