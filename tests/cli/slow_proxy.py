"""A server between the program and a store, which passes on so many bytes of the answers and then falls silent,
for good or until it is told to go on.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_PIECE_BYTES = 16_384


class SlowProxy:
    """`stalled` is set when the first answer was held back."""

    def __init__(self, endpoint: str, answer_bytes_max: int) -> None:
        target = urlsplit(endpoint)
        assert target.port is not None
        self._target = (target.hostname, target.port)
        self._left = answer_bytes_max
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.stalled = threading.Event()
        self._may_go_on = threading.Event()
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def go_on(self) -> None:
        """Pass on what was held back, and all that comes."""
        self._may_go_on.set()

    def close(self) -> None:
        self._may_go_on.set()
        for one in (self._server, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5.0)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._server.accept()
                theirs = socket.create_connection(self._target)
                self._sockets += [ours, theirs]
                for work in ((self._pass_on, ours, theirs, False), (self._pass_on, theirs, ours, True)):
                    thread = threading.Thread(target=work[0], args=work[1:], daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answer: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if answer and not self._allowed(len(piece)):
                    self.stalled.set()
                    self._may_go_on.wait()
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def _allowed(self, count: int) -> bool:
        with self._lock:
            self._left -= count
            return self._left >= 0


@contextmanager
def slow_proxy(endpoint: str, answer_bytes_max: int) -> Iterator[SlowProxy]:
    """A proxy that is closed at the end of the block."""
    proxy = SlowProxy(endpoint, answer_bytes_max)
    try:
        yield proxy
    finally:
        proxy.close()
