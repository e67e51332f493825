"""A line with latency to a server on this machine: what is sent arrives so much later, as fast as it was sent."""

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE_BYTES = 1 << 16
END_SECONDS = 30.0
_UnderWay = queue.SimpleQueue[tuple[float, bytes]]


@contextmanager
def far_line(port: int, seconds: float) -> Iterator[int]:
    """A port of the loopback that leads to `port`; what goes over it takes `seconds` in each direction.

    Whoever uses it ends before the block does.
    """
    connections: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, port, seconds, connections))
        accepting.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *connections):
                thread.join(END_SECONDS)


def _accept(listener: socket.socket, port: int, seconds: float, connections: list[threading.Thread]) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            connections.append(threading.Thread(target=_connect, args=(near, port, seconds), daemon=True))
            connections[-1].start()


def _connect(near: socket.socket, port: int, seconds: float) -> None:
    with near, socket.create_connection(("127.0.0.1", port)) as far:
        threads = []
        for source, target in ((near, far), (far, near)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            under_way: _UnderWay = queue.SimpleQueue()
            threads.append(threading.Thread(target=_take, args=(source, under_way, seconds)))
            threads.append(threading.Thread(target=_bring, args=(target, under_way)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _take(source: socket.socket, under_way: _UnderWay, seconds: float) -> None:
    piece = b"more"
    while piece:
        try:
            piece = source.recv(PIECE_BYTES)
        except OSError:
            piece = b""
        under_way.put((time.monotonic() + seconds, piece))


def _bring(target: socket.socket, under_way: _UnderWay) -> None:
    with suppress(OSError):
        while (item := under_way.get())[1]:
            time.sleep(max(0.0, item[0] - time.monotonic()))
            target.sendall(item[1])
        target.shutdown(socket.SHUT_WR)
