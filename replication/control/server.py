"""The control of an engine, served to clients on a Unix socket: threads, bounds and waits. routes.py has the answers.

Its promise: whatever clients send, or do not send or read, costs the engine a bounded number of threads and a bounded
time each, and keeps nobody else from an answer: where all places are taken, the one that waits longest for its client
is let go. While nobody asks, nothing runs.
"""

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h11

from replication.control.contract import JobControl
from replication.control.http import HTTPError, Message, Wire, response
from replication.control.listener import PERMISSIONS_DEFAULT, Listener
from replication.control.peer import Peer
from replication.control.routes import TEXT, Answer, Asked, answer

CLIENTS_MAX = 64
"""Connections at once. More wait in the kernel's queue."""
WAITING_MAX = 40
"""So many of them may wait for news at once. Others are answered at once."""
REQUEST_BYTES_MAX = 64 << 10
REQUEST_SECONDS_MAX = 10.0
"""A request that has begun must have come by then, and an answer must have been taken."""
IDLE_SECONDS_MAX = 60.0
"""How long a connection may stay open between two requests."""
_FULL_SECONDS = 0.05
_READ_ONLY_HEADER = "litestream-tui-read-only"


@dataclass(slots=True, eq=False)
class _Client:
    """One connection; `since` is when it began to wait for its client, or None while it is at work for it."""

    connected: socket.socket
    since: float | None


class Server:
    """Serves `control` from `start` to `close`."""

    def __init__(self, control: JobControl, path: Path, permissions: int = PERMISSIONS_DEFAULT) -> None:
        self.path = path
        self._control = control
        self._permissions = permissions
        self._listener: Listener | None = None
        self._clients: set[_Client] = set()
        self._changed = threading.Condition()
        self._waiting = threading.Semaphore(WAITING_MAX)
        self._closed = False

    def start(self) -> None:
        """Listen. Raises TakenError or LocalFileError, and then there is no socket of ours."""
        listener = self._listener = Listener(self.path, self._permissions)
        threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True).start()

    def close(self) -> None:
        """Listen no more, and let go of all clients; answers under way are not waited for."""
        self._closed = True
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        with self._changed:
            for client in self._clients:
                _shut(client.connected)

    # -- connections ------------------------------------------------------------------------------------------------

    def _accept(self, listener: Listener) -> None:
        while not self._closed:
            try:
                connected = listener.accept()
            except OSError:
                if not self._closed:
                    # Descriptors have run out, perhaps: what waits is taken when there are some.
                    time.sleep(_FULL_SECONDS)
                continue
            client = self._place_for(connected)
            try:
                threading.Thread(target=self._serve, args=(client,), name="control client", daemon=True).start()
            except RuntimeError:
                # No more threads can be had.
                self._leave(client)

    def _place_for(self, connected: socket.socket) -> _Client:
        """A place among those that are served, once there is one."""
        client = _Client(connected, time.monotonic())
        with self._changed:
            while len(self._clients) >= CLIENTS_MAX and not self._closed:
                idle = [one for one in self._clients if one.since is not None]
                if idle:
                    longest = min(idle, key=lambda one: one.since or 0.0)
                    longest.since = None
                    _shut(longest.connected)
                self._changed.wait(_FULL_SECONDS)
            self._clients.add(client)
        return client

    def _leave(self, client: _Client) -> None:
        client.connected.close()
        with self._changed:
            self._clients.discard(client)
            self._changed.notify_all()

    def _serve(self, client: _Client) -> None:
        # An error of the connection concerns this client alone.
        with suppress(OSError, h11.LocalProtocolError):
            try:
                self._talk(client)
            finally:
                self._leave(client)

    def _talk(self, client: _Client) -> None:
        peer = Peer.of(client.connected)
        wire = Wire(h11.SERVER, client.connected, REQUEST_BYTES_MAX)
        seconds = REQUEST_SECONDS_MAX
        while not self._closed:
            client.since = time.monotonic()
            try:
                if seconds > REQUEST_SECONDS_MAX and not wire.began:
                    client.connected.settimeout(seconds)
                    # A byte is there, and its request has begun.
                    if not client.connected.recv(1, socket.MSG_PEEK):
                        return
                message = wire.receive(REQUEST_SECONDS_MAX)
            except HTTPError as error:
                self._send(wire, Answer(error.status, f"{error}\n", TEXT))
                return
            if message is None:
                return
            client.since = None
            answered = self._answer(message, peer)
            client.since = time.monotonic()
            self._send(wire, answered)
            if not wire.next():
                return
            seconds = IDLE_SECONDS_MAX

    def _answer(self, message: Message, peer: Peer) -> Answer:
        may_wait = self._waiting.acquire(blocking=False)
        try:
            asked = Asked(
                message.method,
                message.target,
                message.body,
                owner=peer.is_ours,
                read_only=bool(message.header(_READ_ONLY_HEADER)),
                may_wait=may_wait,
            )
            return answer(self._control, asked)
        finally:
            if may_wait:
                self._waiting.release()

    def _send(self, wire: Wire, answered: Answer) -> None:
        body = answered.body.encode("utf-8", "surrogateescape")
        more = [("Allow", ", ".join(answered.allowed))] if answered.allowed else []
        wire.send(response(answered.status, answered.kind, len(body), more), body, REQUEST_SECONDS_MAX)


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
