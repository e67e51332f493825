"""What is served at one address, from when it is asked for until it is not.

Its promise: an address that cannot be listened on is told, and tried again until it is free, for the engine before may
still have it.
"""

import threading
from collections.abc import Callable

from replication.errors import ReplicationError
from replication.events import Emit
from replication.monitoring.address import listen, shown
from replication.monitoring.requests import Answer, Request
from replication.monitoring.server import Server

LISTEN_AGAIN_SECONDS = 5.0


class Serving:
    """`answer` is asked in a thread of its own, from `start` to `close`."""

    def __init__(self, addr: str, answer: Callable[[Request], Answer], emit: Emit) -> None:
        self._addr = addr
        self._answer = answer
        self._emit = emit
        self._server: Server | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen, now or as soon as that can be."""
        try:
            self._serve()
        except ReplicationError as error:
            self._emit("error", "no metrics are served", error=f"{error}. Replication goes on; it is tried again")
            threading.Thread(target=self._listen_later, name="metrics-listen", daemon=True).start()

    def close(self, timeout_seconds: float) -> bool:
        """End; False if an answer under way takes longer than that."""
        self._ended.set()
        with self._lock:
            server = self._server
        return server is None or server.close(timeout_seconds)

    def _listen_later(self) -> None:
        while not self._ended.wait(LISTEN_AGAIN_SECONDS):
            try:
                self._serve()
            except ReplicationError:
                continue
            return

    def _serve(self) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            listening = listen(self._addr)
            self._server = Server(listening, self._answer)
            where = shown(listening)
            self._server.start()
        self._emit("info", "serving metrics", at=f"{where}/metrics")
