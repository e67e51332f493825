"""HTTP as far as a scrape and a health check need it: one GET a connection. Pure.

It leaves to the server to read, to write and to wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

REQUEST_BYTES_MAX = 8 << 10
"""A longer request, its headers included, is refused."""

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: GET or HEAD of a path, with the last value of each word of its query."""

    method: str
    path: str
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and text for it."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def words(cls, status: int, text: str, *headers: tuple[str, str]) -> "Answer":
        return cls(status, f"{text}\n".encode(errors="replace"), headers=headers)

    def encoded(self, with_body: bool) -> bytes:
        """The bytes that go over the connection, which ends with them."""
        lines = [
            f"HTTP/1.1 {self.status} {_REASONS.get(self.status, '')}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Connection: close",
            "Cache-Control: no-store",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (self.body if with_body else b"")


def parse(received: bytes) -> Request | Answer | None:
    """The request that was received so far, None if more is to come, or why it is refused."""
    end = min((at for mark in (b"\r\n\r\n", b"\n\n") if (at := received.find(mark)) >= 0), default=-1)
    if end < 0:
        if len(received) < REQUEST_BYTES_MAX:
            return None
        return Answer.words(431, f"a request has at most {REQUEST_BYTES_MAX} bytes")
    words = received.split(b"\n", 1)[0].strip().decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        return Answer.words(400, "that is no request of HTTP/1.1")
    method, target = words[:2]
    if method not in ("GET", "HEAD"):
        return Answer.words(405, "only GET is answered here", ("Allow", "GET, HEAD"))
    path, _, query = target.partition("?")
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        return Answer.words(400, "the query has too many parts")
    return Request(method, path, {name: found[-1] for name, found in values.items()})
