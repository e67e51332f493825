"""One HTTP request and its answer as values, for a proxy that does to them what it likes. No faults here."""

import http.client
import random
import socket
import struct
from dataclasses import dataclass
from io import BufferedReader
from urllib.parse import parse_qs, unquote, urlsplit

_OWN_HEADERS = ("content-length", "transfer-encoding", "connection", "keep-alive")
"""Those of an answer that describe one connection, and not the one that it goes on to."""


@dataclass(slots=True)
class Request:
    """One request of S3; `body` is empty until it was read."""

    verb: str
    target: str
    headers: list[tuple[str, str]]
    length: int
    body: bytes = b""
    asks_first: bool = False
    """It waits for a word before it sends its body, which is not passed on."""

    @property
    def key(self) -> str:
        """Bucket and key."""
        return unquote(urlsplit(self.target).path).lstrip("/")

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def sorts(self) -> set[str]:
        """What it is: any, and of that read, get, list, put, delete."""
        if self.verb == "GET":
            return {"any", "read", "list" if "list-type" in self.query else "get"}
        if self.verb == "DELETE" and "uploadId" not in self.query:
            return {"any", "delete"}
        if self.verb == "POST" and "delete" in self.query:
            return {"any", "delete"}
        return {"any", "put"} if self.verb == "PUT" else {"any"}


@dataclass(slots=True)
class Answer:
    """A whole answer, of the store or of our own. `length` is announced; None means that of the body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    length: int | None = None

    @property
    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, 'Answer')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.status != http.HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {len(self.body) if self.length is None else self.length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def read_head(reader: BufferedReader) -> Request | None:
    """The next request of a connection up to its body; None at the end."""
    first = reader.readline()
    if not first.strip():
        return None
    verb, target, _ = first.decode("latin-1").split(" ", 2)
    headers: list[tuple[str, str]] = []
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    asks_first = ("expect", "100-continue") in [(name.lower(), value.lower()) for name, value in headers]
    headers = [item for item in headers if item[0].lower() != "expect"]
    return Request(verb, target, headers, length, asks_first=asks_first)


def exchange(connection: http.client.HTTPConnection, request: Request) -> Answer:
    """Ask the store, with the headers as they came, so that its signature stays right."""
    connection.putrequest(request.verb, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers:
        connection.putheader(name, value)
    connection.endheaders(request.body or None)
    answer = connection.getresponse()
    body = answer.read()
    headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS]
    length = answer.getheader("Content-Length") if request.verb == "HEAD" else None
    return Answer(answer.status, headers, body, None if length is None else int(length))


def flipped(data: bytes, chance: random.Random) -> bytes:
    """The same bytes with one bit turned; none can be turned in nothing."""
    if not data:
        return data
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def reset(client: socket.socket) -> None:
    """End a connection as a crash does: what was not read is lost on both sides."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
