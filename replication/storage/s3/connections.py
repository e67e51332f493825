"""Connections to one S3 server, kept between requests, by the standard library's HTTP client.

Its promises: a request is sent once, whatever comes of it; every wait is bounded; no redirect is followed; a kept
connection that the server closed meanwhile is not used; and when nothing is asked for a while none stays open.
It leaves to the caller what requests and answers mean.
"""

import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from replication.storage.s3.address import Server
from replication.storage.s3.faults import (
    ConnectionClosedError,
    ConnectTimeoutError,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseCutError,
    ResponseFormatError,
)
from replication.storage.s3.network import Proxy
from replication.storage.s3.timeouts import Timeouts
from replication.storage.s3.xml import ANSWER_BYTES_MAX

KEPT_CONNECTIONS_MAX = 32
"""Connections kept for all replicas that share a client; more threads open their own."""
KEPT_SECONDS_MAX = 30.0
"""How long a connection is kept without use; it is closed at most as long again after that."""

LAST_SECONDS_MAX = 1.0
"""How long a request may take that undoes something while the program ends."""
JOINED_BYTES_MAX = 64 * 1024
"""A body up to this long goes out together with its head."""


class _Connection(http.client.HTTPConnection):
    """Sends a head together with its short body: each piece of its own would wake the server, and cost both sides."""

    # http.client would open a connection anew and send on it, without the check whether the server has closed it.
    auto_open = 0
    _joins = False
    _head = b""

    def exchange(
        self, method: str, target: str, body: bytes | bytearray, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Send a request and return its answer once it has begun."""
        self._joins = 0 < len(body) <= JOINED_BYTES_MAX
        # A server may refuse a body before it has all of it, and close: its answer says why.
        with suppress(BrokenPipeError):
            self.request(method, target, body or None, headers)
            return self.getresponse()
        response = self.getresponse()
        response.will_close = True
        return response

    def send(self, data: Any) -> None:
        if self._joins:
            self._head, self._joins = data, False
            return
        if self._head:
            data, self._head = self._head + data, b""
        super().send(data)


class _TLSConnection(_Connection, http.client.HTTPSConnection):
    """The same connection under TLS."""


_Kept = tuple[float, str, _Connection]


class Connections:
    """All connections of one client. The lock covers the list of those kept; requests are made outside it."""

    def __init__(self, server: Server, timeouts: Timeouts, tls: ssl.SSLContext | None, proxy: Proxy | None) -> None:
        self._server = server
        self._timeouts = timeouts
        self._tls = tls
        self._proxy = proxy
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []
        self._sweep: threading.Timer | None = None
        self._closed = False
        self._in_use: set[_Connection] = set()
        self._interrupted = False

    def request(
        self,
        method: str,
        host: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | bytearray,
        last: bool = False,
    ) -> "Response":
        """Send a request, and return its answer once it has begun. Once interrupted, only one of the `last` is sent."""
        if self._proxy is not None and not self._server.tls:
            target, headers = f"http://{host}{target}", {**headers, **self._proxy.headers}
        if self._interrupted and not last:
            raise ConnectionClosedError
        connection = self._take(host) or self._connect(host)
        with self._lock:
            self._in_use.add(connection)
            if self._interrupted and not last:
                _break_off(connection)
        try:
            return Response(self, host, connection, connection.exchange(method, target, body, headers))
        except TimeoutError as error:
            self._drop(connection)
            raise ReadTimeoutError from error
        except (OSError, http.client.HTTPException) as error:
            self._drop(connection)
            raise ConnectionClosedError from error
        except BaseException:
            self._drop(connection)
            raise

    def interrupt(self) -> None:
        """Break off all requests that are under way; those that undo them are given a second."""
        with self._lock:
            self._interrupted = True
            for connection in self._in_use:
                _break_off(connection)

    def _drop(self, connection: _Connection) -> None:
        self.ended(connection)
        connection.close()

    def ended(self, connection: _Connection) -> None:
        """Take a connection off the list of those in use: its request is over."""
        with self._lock:
            self._in_use.discard(connection)

    def close(self) -> None:
        """Close what is kept; what is in use is closed after it."""
        with self._lock:
            self._closed = True
            kept, self._kept = self._kept, []
            sweep, self._sweep = self._sweep, None
        if sweep is not None:
            sweep.cancel()
        for _, _, connection in kept:
            connection.close()

    def give_back(self, host: str, connection: _Connection) -> None:
        """Keep a connection whose last answer was read to its end."""
        with self._lock:
            keep = not self._closed and len(self._kept) < KEPT_CONNECTIONS_MAX
            if keep:
                self._kept.append((time.monotonic(), host, connection))
                self._begin_sweep()
        if not keep:
            connection.close()

    def _take(self, host: str) -> _Connection | None:
        while True:
            with self._lock:
                # The one used last: the others grow old and are closed.
                found = next((item for item in reversed(self._kept) if item[1] == host), None)
                if found is None:
                    return None
                self._kept.remove(found)
            connection = found[2]
            if not _is_dropped(connection):
                return connection
            connection.close()

    def _connect(self, host: str) -> _Connection:
        wait = LAST_SECONDS_MAX if self._interrupted else self._timeouts.connect_seconds
        to = host if self._proxy is None else self._proxy.address
        if self._tls is None:
            connection = _Connection(to, timeout=wait)
        else:
            connection = _TLSConnection(to, timeout=wait, context=self._tls)
            if self._proxy is not None:
                connection.set_tunnel(host, headers=self._proxy.headers)
        try:
            connection.connect()
        except TimeoutError as error:
            connection.close()
            raise ConnectTimeoutError from error
        except BaseException as error:
            connection.close()
            if self._proxy is not None and isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
                raise ProxyConnectionError from error
            if isinstance(error, http.client.HTTPException):
                raise ConnectionClosedError from error
            raise
        connection.sock.settimeout(LAST_SECONDS_MAX if self._interrupted else self._timeouts.read_seconds)
        return connection

    def _begin_sweep(self) -> None:
        if self._sweep is None:
            sweep = threading.Timer(KEPT_SECONDS_MAX, self._close_idle)
            sweep.name = "s3-idle"
            sweep.daemon = True
            # At the end of the process no thread can be started, and then none is needed.
            with suppress(RuntimeError):
                sweep.start()
                self._sweep = sweep

    def _close_idle(self) -> None:
        with self._lock:
            since = time.monotonic() - KEPT_SECONDS_MAX
            idle = [item for item in self._kept if item[0] <= since]
            self._kept = [item for item in self._kept if item[0] > since]
            self._sweep = None
            if self._kept:
                self._begin_sweep()
        for _, _, connection in idle:
            connection.close()


class Response:
    """An answer whose body is read piece by piece. It belongs to one thread at a time, and wants a `close`."""

    def __init__(
        self,
        connections: Connections,
        host: str,
        connection: _Connection,
        response: http.client.HTTPResponse,
    ) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._connections = connections
        self._host = host
        self._connection: _Connection | None = connection
        self._response = response

    @property
    def length(self) -> int | None:
        """Bytes of the body that are still to come; None if the server did not say how many."""
        return self._response.length

    def read(self, size: int) -> bytes:
        """Up to `size` bytes more of the body; fewer, or none, only at its end."""
        try:
            return self._response.read(size)
        except TimeoutError as error:
            raise ReadTimeoutError from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ResponseCutError from error

    def read_whole(self) -> bytes:
        """The whole body, which is an answer in words; ResponseFormatError if it is longer than any is."""
        if self._response.isclosed():
            return b""
        data = self.read(ANSWER_BYTES_MAX + 1)
        if len(data) > ANSWER_BYTES_MAX:
            raise ResponseFormatError("too long")
        if self._response.length:
            raise ResponseCutError
        return data

    def close(self) -> None:
        """Let go of the connection: it is kept if the body was read to its end, else closed."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._connections.ended(connection)
        if self._response.isclosed() and not self._response.will_close and connection.sock is not None:
            self._connections.give_back(self._host, connection)
        else:
            self._response.close()
            connection.close()


def _break_off(connection: _Connection) -> None:
    """Let the thread that waits for it go on, with an error."""
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _is_dropped(connection: _Connection) -> bool:
    """True if the server closed the connection, or sent what nobody asked for, while it was kept."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
