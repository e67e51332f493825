"""A server between the program and a store, whose listings are wrong in ways that servers were seen to have."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from peers import S3Server
from tests.storage.stub import Answer, Request, Stub

_EMPTY = "<IsTruncated>false</IsTruncated>"


def _listing(content: str) -> Answer:
    return Answer(200, f"<?xml version='1.0'?><ListBucketResult>{content}</ListBucketResult>".encode())


class BrokenListings:
    """`endpoint` is its address. While `broken` is set listings are answered by `how`, all else as the store does."""

    def __init__(self, server: S3Server, how: "How", stub: Stub) -> None:
        self.broken = threading.Event()
        self.broken.set()
        self.stub, self.endpoint = stub, stub.endpoint
        self._server, self._how = server, how
        self.client = server.client()

    def answer(self, request: Request) -> Answer:
        query = dict(parse_qsl(urlsplit(request.path).query))
        if request.verb == "GET" and "list-type" in query and self.broken.is_set():
            bucket = urlsplit(request.path).path.strip("/")
            wrong = self._how(self, bucket, query)
            if wrong is not None:
                return wrong
        return self._pass_on(request)

    def _pass_on(self, request: Request) -> Answer:
        """As it came: its signature covers the name of the host."""
        store = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)
        try:
            store.request(request.verb, request.path, request.body, request.headers)
            found = store.getresponse()
            body = found.read()
            kept = {name: value for name, value in found.getheaders() if name.lower() in _PASSED_ON}
            length = int(found.headers.get("Content-Length") or 0) if request.verb == "HEAD" else None
            return Answer(found.status, body, kept, length)
        finally:
            store.close()


_PASSED_ON = {"content-range", "etag", "last-modified", "content-type"}

How = Callable[[BrokenListings, str, dict[str, str]], Answer | None]


def nothing_below_a_delimiter(server: BrokenListings, bucket: str, query: dict[str, str]) -> Answer | None:
    """Listings with a delimiter are empty."""
    return _listing(_EMPTY) if "delimiter" in query else None


def delimiter_ignored(server: BrokenListings, bucket: str, query: dict[str, str]) -> Answer | None:
    """Listings with a delimiter show every object below."""
    if "delimiter" not in query:
        return None
    found = server.client.list_objects_v2(Bucket=bucket, Prefix=query.get("prefix", "")).get("Contents", [])
    items = "".join(
        f"<Contents><Key>{escape(item['Key'])}</Key><Size>{item['Size']}</Size>"
        f"<LastModified>{item['LastModified'].strftime('%Y-%m-%dT%H:%M:%S.000Z')}</LastModified></Contents>"
        for item in found
    )
    return _listing(items + _EMPTY)


def nothing_at_all(server: BrokenListings, bucket: str, query: dict[str, str]) -> Answer | None:
    """Every listing is empty."""
    return _listing(_EMPTY)


@contextmanager
def broken_listings(server: S3Server, how: How) -> Iterator[BrokenListings]:
    """Such a server, until the block ends."""
    stub = Stub(lambda request: found.answer(request))
    found = BrokenListings(server, how, stub)
    with stub.serving():
        yield found
    found.client.close()
