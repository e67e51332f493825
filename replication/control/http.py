"""HTTP/1.1 on one connection, by h11: both ends, with a bound on all that is read and on every wait."""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import h11

HEAD_BYTES_MAX = 16 << 10
READ_BYTES = 64 << 10


class HTTPError(Exception):
    """What came is no HTTP, or longer than is read. `status` is the answer to it."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response, whole. `line` is method and target, or the status."""

    method: str
    target: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """A header by its name in small letters, or ""."""
        return next((value for key, value in self.headers if key == name), "")


class Wire:
    """One end of a connection: `receive` and `send` in turn. Raises HTTPError, and OSError for the socket."""

    def __init__(
        self, role: type[h11.CLIENT] | type[h11.SERVER], connected: socket.socket, body_bytes_max: int
    ) -> None:
        self._socket = connected
        self._body_bytes_max = body_bytes_max
        self._state = h11.Connection(role, max_incomplete_event_size=HEAD_BYTES_MAX)

    @property
    def began(self) -> bool:
        """True once a part of the next message is there."""
        return bool(self._state.trailing_data[0])

    def receive(self, seconds: float) -> Message | None:
        """The next message, which must be whole after so many seconds; None if the other end has closed before it."""
        deadline = time.monotonic() + seconds
        head: h11.Request | h11.Response | None = None
        body = bytearray()
        while True:
            try:
                event = self._state.next_event()
            except h11.RemoteProtocolError as error:
                raise HTTPError(str(error), error.error_status_hint) from None
            if event is h11.NEED_DATA:
                if self._state.they_are_waiting_for_100_continue:
                    self._write(self._state.send(h11.InformationalResponse(status_code=100, headers=[])), deadline)
                self._state.receive_data(self._read(deadline))
            elif isinstance(event, h11.Request | h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._body_bytes_max:
                    raise HTTPError("the body is too large", 413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _message(head, bytes(body))
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return None

    def send(self, head: h11.Request | h11.Response, body: bytes, seconds: float) -> None:
        """Send a message. Raises TimeoutError if the other end does not take it within so many seconds."""
        events = (head, *((h11.Data(data=body),) if body else ()), h11.EndOfMessage())
        # In one piece: the client reads it with one call.
        self._write(b"".join(self._state.send(event) or b"" for event in events), time.monotonic() + seconds)

    def next(self) -> bool:
        """Make ready for the next exchange. Return False if the connection ends with this one."""
        if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
            self._state.start_next_cycle()
            return True
        return False

    def _read(self, deadline: float) -> bytes:
        self._socket.settimeout(_left(deadline))
        return self._socket.recv(READ_BYTES)

    def _write(self, data: bytes | None, deadline: float) -> None:
        if data:
            self._socket.settimeout(_left(deadline))
            self._socket.sendall(data)


def response(status: int, kind: str, size: int, more: Sequence[tuple[str, str]] = ()) -> h11.Response:
    """The head of a response."""
    return h11.Response(status_code=status, headers=[("Content-Type", kind), ("Content-Length", str(size)), *more])


def _message(head: h11.Request | h11.Response, body: bytes) -> Message:
    headers = tuple((name.decode("ascii", "replace"), value.decode("latin-1")) for name, value in head.headers)
    if isinstance(head, h11.Request):
        return Message(head.method.decode("ascii"), head.target.decode("latin-1"), 0, headers, body)
    return Message("", "", head.status_code, headers, body)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the other end of the control socket does not go on")
    return left
