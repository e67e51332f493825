"""An HTTP proxy in front of an S3 server that counts requests and sees what they store.

Its promise: it changes nothing of what passes, so that the same signatures hold, but for the time it takes and what it
refuses where a measurement asks for that. An object counts as stored when the server has said so. HTTP/1.1 without
pipelining needs no lengths: a new request begins with the first bytes that a client sends after an answer has begun.
"""

import re
import select
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from benchmarks.sought import Search, Sought, Token

PIECE_BYTES = 1 << 18
HEAD_BYTES_MAX = 1 << 16
SLOW_PIECE_BYTES = 1 << 14
"""Of a body at a bounded rate, so that connections share the line."""
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_REFUSAL = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: "
    + str(len(_DENIED)).encode()
    + b"\r\n\r\n"
    + _DENIED
)
_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n")
_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")
_DATABASE = re.compile(r"/db-(\d+)/")


class CountingProxy:
    """`requests` and `puts` so far; `endpoint` is where clients connect."""

    def __init__(self, endpoint: str, sought: Sought) -> None:
        target = urlsplit(endpoint)
        assert target.hostname is not None
        assert target.port is not None
        self._target = (target.hostname, target.port)
        self.sought = sought
        self.requests = 0
        self.puts = 0
        self.parts: dict[str, set[Token]] = {}
        """What was seen in the parts of uploads that are not complete."""
        self.lock = threading.Lock()
        self.bytes_per_second = 0.0
        """Of all connections together, towards the server; 0 is no bound."""
        self.refuses_deletes = False
        self._free_at = 0.0
        """When what was let pass has passed, at that rate."""
        self._sockets: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._port = int(self._server.getsockname()[1])
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self._listen()

    def down(self) -> None:
        """Break all connections, and refuse new ones."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
        with self.lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def up(self) -> None:
        """Listen again, on the same port."""
        self._server = socket.create_server(("127.0.0.1", self._port), backlog=512)
        self._listen()

    def pass_slowly(self, piece: bytes) -> None:
        """Wait as long as a line of that rate would be busy, with what others send before it."""
        if self.bytes_per_second:
            with self.lock:
                now = time.monotonic()
                self._free_at = max(now, self._free_at) + len(piece) / self.bytes_per_second
                wait = self._free_at - now
            time.sleep(wait)

    def _listen(self) -> None:
        self._thread = threading.Thread(target=self._accept, args=(self._server,), daemon=True)
        self._thread.start()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._target) as server:
            both = {client, server}
            with self.lock:
                self._sockets |= both
            try:
                for one in both:
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _Exchange(self).pass_on(client, server)
            finally:
                with self.lock:
                    self._sockets -= both


class _Exchange:
    """One connection: which request is under way, and what was seen in its body."""

    def __init__(self, proxy: CountingProxy) -> None:
        self._proxy = proxy
        self._answered = True
        self._method, self._path = "", ""
        self._head = b""
        self._search = Search(())

    def pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """Until one side closes."""
        sides = {client.fileno(): client, server.fileno(): server}
        # A program may have more connections than select() has room for.
        ready = select.poll()
        for descriptor in sides:
            ready.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in ready.poll():
                source = sides[descriptor]
                slow = source is client and self._proxy.bytes_per_second
                piece = source.recv(SLOW_PIECE_BYTES if slow else PIECE_BYTES)
                if not piece:
                    return
                if source is client:
                    self._asked(piece)
                    if self._proxy.refuses_deletes and self._removes():
                        client.sendall(_REFUSAL)
                        return
                    self._proxy.pass_slowly(piece)
                    server.sendall(piece)
                else:
                    self._told(piece)
                    client.sendall(piece)

    def _removes(self) -> bool:
        """True if the request under way asks for objects to be removed."""
        query = urlsplit(self._path).query
        return (self._method == "DELETE" and not query) or (self._method == "POST" and query.startswith("delete"))

    def _asked(self, piece: bytes) -> None:
        if self._answered:
            self._head += piece
            match = _REQUEST.match(self._head)
            if match is None:
                # The rest of a body whose answer came early, or half a line.
                if b"\r\n" in self._head or len(self._head) > HEAD_BYTES_MAX:
                    self._head = b""
                return
            self._answered, piece, self._head = False, self._head, b""
            self._method, self._path = match[1].decode(), match[2].decode()
            database = _DATABASE.search(self._path)
            wanted = self._proxy.sought.wanted(int(database[1])) if database and self._method == "PUT" else ()
            self._search = Search(wanted)
            with self._proxy.lock:
                self._proxy.requests += 1
        self._search.feed(piece)

    def _told(self, piece: bytes) -> None:
        if self._answered:
            return
        at = time.monotonic()
        while (status := _STATUS.match(piece)) and status[1].startswith(b"1"):
            piece = piece.partition(b"\r\n\r\n")[2]
        if status is None:
            return
        self._answered = True
        if not status[1].startswith(b"2"):
            return
        query = parse_qs(urlsplit(self._path).query, keep_blank_values=True)
        upload = query.get("uploadId", [""])[0]
        with self._proxy.lock:
            if self._method == "PUT":
                self._proxy.puts += 1
            if self._method == "PUT" and upload:
                self._proxy.parts.setdefault(upload, set()).update(self._search.found)
                return
            complete = self._method == "POST" and bool(upload)
            found = self._proxy.parts.pop(upload, set()) if complete else self._search.found
        if found:
            self._proxy.sought.arrived(found, at)
