"""A server for scrapes and health checks: one thread, few connections, a deadline for each.

Its promise: a client that says nothing, sends a byte now and then, or reads nothing, holds up nobody for longer than
CONNECTION_SECONDS_MAX, costs one of CONNECTIONS_MAX places, and loses it to a newcomer when all are taken. It leaves
to the caller what is answered; that is asked for in the thread of the server, one request after another.
"""

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from replication.monitoring.requests import Answer, Request, parse

CONNECTIONS_MAX = 16
CONNECTION_SECONDS_MAX = 10.0
"""How long a connection may last from its beginning until its answer was taken. Then it is cut."""
_LINGER_SECONDS_MAX = 1.0
"""So long an answer that was sent may take to be read."""
_READ_BYTES = 4096
_ACCEPTED_AT_ONCE = 16
_ACCEPT_PAUSE_SECONDS = 0.2
"""How long no connection is accepted while the process has no descriptor to spare."""


@dataclass(slots=True)
class _Connection:
    """One connection: what came so far, and what of the answer is still to be sent."""

    socket: socket.socket
    deadline: float
    received: bytearray = field(default_factory=bytearray)
    answer: memoryview | None = None


class Server:
    """Answers on a socket that listens, which it closes at its end, until `close`."""

    def __init__(self, listening: socket.socket, answer: Callable[[Request], Answer]) -> None:
        self._listening = listening
        self._answer = answer
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._connections: dict[socket.socket, _Connection] = {}
        self._not_before = 0.0
        self._ended = threading.Event()
        listening.setblocking(False)
        self._selector.register(listening, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self, timeout_seconds: float) -> bool:
        """End. Return False if an answer under way takes longer than that."""
        self._ended.set()
        with suppress(OSError):
            self._wake.send(b"x")
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                for key, _ in self._selector.select(self._wait()):
                    if key.fileobj is self._listening:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._connections:
                        self._serve(self._connections[key.fileobj])
                self._cut_late()
                self._listen_again()
        finally:
            for connection in list(self._connections.values()):
                self._end(connection)
            self._selector.close()
            for each in (self._listening, self._wake, self._woken):
                each.close()

    def _wait(self) -> float | None:
        times = [connection.deadline for connection in self._connections.values()]
        if self._not_before:
            times.append(self._not_before)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _ = self._listening.accept()
            except BlockingIOError:
                return
            except OSError:
                # No descriptor is left, or the other end has gone already: neither may make a loop of it.
                self._selector.unregister(self._listening)
                self._not_before = time.monotonic() + _ACCEPT_PAUSE_SECONDS
                return
            if len(self._connections) >= CONNECTIONS_MAX:
                self._end(min(self._connections.values(), key=lambda item: item.deadline))
            accepted.setblocking(False)
            self._connections[accepted] = _Connection(accepted, time.monotonic() + CONNECTION_SECONDS_MAX)
            self._selector.register(accepted, selectors.EVENT_READ)

    def _listen_again(self) -> None:
        if self._not_before and time.monotonic() >= self._not_before:
            self._not_before = 0.0
            self._selector.register(self._listening, selectors.EVENT_READ)

    def _serve(self, connection: _Connection) -> None:
        try:
            if connection.answer is None:
                self._read(connection)
            if connection.answer:
                self._write(connection, connection.answer)
            elif connection.answer is not None and not connection.socket.recv(_READ_BYTES):
                self._end(connection)
        except BlockingIOError:
            pass
        except OSError:
            self._end(connection)

    def _read(self, connection: _Connection) -> None:
        data = connection.socket.recv(_READ_BYTES)
        connection.received += data
        request = parse(bytes(connection.received))
        if request is None:
            if not data:
                self._end(connection)
            return
        answer, with_body = request, True
        if isinstance(answer, Request):
            with_body = answer.method != "HEAD"
            try:
                answer = self._answer(answer)
            except Exception as error:  # whatever it is: the next scrape comes, and its words may hold anything
                answer = Answer.words(500, f"this is a bug, please report it: {type(error).__name__}")
        connection.answer = memoryview(answer.encoded(with_body))
        self._selector.modify(connection.socket, selectors.EVENT_WRITE)

    def _write(self, connection: _Connection, answer: memoryview) -> None:
        connection.answer = answer[connection.socket.send(answer) :]
        if not connection.answer:
            # To close while something is unread here would cut off what is still to be read there.
            connection.socket.shutdown(socket.SHUT_WR)
            connection.deadline = min(connection.deadline, time.monotonic() + _LINGER_SECONDS_MAX)
            self._selector.modify(connection.socket, selectors.EVENT_READ)

    def _cut_late(self) -> None:
        now = time.monotonic()
        for connection in [item for item in self._connections.values() if item.deadline <= now]:
            self._end(connection)

    def _end(self, connection: _Connection) -> None:
        if self._connections.pop(connection.socket, None) is not None:
            self._selector.unregister(connection.socket)
            connection.socket.close()
