"""A server between the program and a real S3 store, which does on bad days all that stores were ever seen to do.

Outside a bad spell every request is passed on as it came, signatures included. In a spell each request meets one
fault by chance. It promises that what it passes on is whole, that every fault is counted by its name in `injected`,
and that `settle` returns when nothing of a spell is left on its way. All chance comes from the Random it is given.
"""

import http.client
import random
import re
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import NoReturn
from urllib.parse import unquote

from peers import S3Server
from tests.torture.exchange import Answer, Request, exchange, flipped, read_head, reset

STALL_SECONDS_MAX = 60.0
"""A stalled client that does not give up is let go then."""
LATE_SECONDS_MAX = 1.5
"""How long after its loss a late request still reaches the store."""
ANSWER_SECONDS_MAX = 30.0
_CANARY = "the key {key} with the secret {secret}"

ERRORS: Mapping[str, tuple[int, str]] = {
    "503 SlowDown": (503, "SlowDown"),
    "429": (429, "TooManyRequests"),
    "429 Retry-After": (429, "TooManyRequests"),
    "500": (500, "InternalError"),
    "403 ExpiredToken": (403, "ExpiredToken"),
    "403 InvalidAccessKeyId": (403, "InvalidAccessKeyId"),
}
KINDS: Mapping[str, str] = {
    **dict.fromkeys(ERRORS, "any"),
    "reset before": "any",
    "reset in the body": "any",
    "answer lost": "any",
    "stall before the answer": "any",
    "stall in the answer": "read",
    "stall in the body": "put",
    "body cut": "get",
    "bit flipped in GET": "get",
    "bit flipped in PUT": "put",
    "bit rotten in the store": "put",
    "late PUT": "put",
    "untrue DELETE": "delete",
    "half a DELETE": "delete",
    "late listing": "list",
}
"""Every fault, with the requests that it can befall."""


@dataclass(slots=True)
class Spell:
    """A bad time: the chance of each kind, and when it began."""

    chances: Mapping[str, float]
    began: float = field(default_factory=time.monotonic)


class GoneError(Exception):
    """The connection to the client is over."""


class HostileProxy:
    """`endpoint` is its address; `requests` counts all requests, `injected` the faults."""

    def __init__(self, server: S3Server, chance: random.Random) -> None:
        self.requests = 0
        self.injected: Counter[str] = Counter()
        self._store = server
        self._chance = chance
        self._own = server.client()
        self._spell: Spell | None = None
        self._lock = threading.Lock()
        self._late: list[threading.Thread] = []
        self._born: dict[str, float] = {}
        self._listings: dict[str, Answer] = {}
        self._clients: set[socket.socket] = set()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept, name="hostile-proxy", daemon=True)
        self._acceptor.start()

    def bad(self, chances: Mapping[str, float]) -> None:
        """Begin a bad spell; the chances are those of each kind of KINDS, and add up to 1 at most."""
        assert set(chances) <= set(KINDS)
        with self._lock:
            self._spell = Spell(chances)

    def good(self) -> None:
        """End the spell. What it delayed may still arrive."""
        with self._lock:
            self._spell = None

    def settle(self) -> None:
        """Wait until every late request has reached the store."""
        with self._lock:
            late, self._late = self._late, []
        for thread in late:
            thread.join(ANSWER_SECONDS_MAX)
            assert not thread.is_alive(), "a late request did not reach the store"

    def close(self) -> None:
        self._closing.set()
        self.settle()
        with self._lock:
            clients = list(self._clients)
        for one in (self._listener, *clients):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5.0)
        self._own.close()

    # -- connections ----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._clients.add(client)
        store = http.client.HTTPConnection("127.0.0.1", self._store.port, timeout=ANSWER_SECONDS_MAX)
        reader = client.makefile("rb")
        try:
            while (request := read_head(reader)) is not None:
                self._answer(client, reader, store, request)
        except (GoneError, OSError, ValueError, http.client.HTTPException):
            pass
        finally:
            store.close()
            with self._lock:
                self._clients.discard(client)
            with suppress(OSError):
                reader.close()
            client.close()

    def _answer(
        self, client: socket.socket, reader: BufferedReader, store: http.client.HTTPConnection, request: Request
    ) -> None:
        kind, draw, spell = self._fault(request)
        if kind == "reset before":
            self._reset(client)
        if request.asks_first:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if kind == "stall in the body" or (kind == "reset in the body" and request.length):
            reader.read(request.length // 2)
            if kind == "reset in the body":
                self._reset(client)
            self._stall(client)
        request.body = reader.read(request.length)
        if len(request.body) < request.length:
            raise GoneError
        if kind == "late PUT":
            self._pass_on_late(request, draw)
            self._reset(client)
        answer = self._meet(kind, draw, request) or self._ask(store, request)
        self._remember(request, answer)
        if kind == "late listing" and spell is not None:
            answer = self._older(request, answer, spell)
        elif kind == "answer lost":
            self._reset(client)
        elif kind == "stall before the answer":
            self._stall(client)
        elif kind == "bit flipped in GET" and answer.status in (200, 206):
            answer.body = flipped(answer.body, draw)
        whole = answer.head + answer.body
        if kind in ("stall in the answer", "body cut", "reset in the body"):
            client.sendall(whole[: len(whole) - (len(answer.body) + 1) // 2])
            if kind == "stall in the answer":
                self._stall(client)
            if kind == "reset in the body":
                self._reset(client)
            raise GoneError
        client.sendall(whole)

    def _fault(self, request: Request) -> tuple[str | None, random.Random, Spell | None]:
        """What befalls a request, and its own chance for how."""
        with self._lock:
            self.requests += 1
            spell, draw = self._spell, random.Random(self._chance.random())
            if spell is None:
                return None, draw, None
            at = draw.random()
            for kind, chance in spell.chances.items():
                if KINDS[kind] in request.sorts:
                    at -= chance
                    if at < 0:
                        self.injected[kind] += 1
                        return kind, draw, spell
            return None, draw, spell

    def _reset(self, client: socket.socket) -> NoReturn:
        reset(client)
        raise GoneError

    def _stall(self, client: socket.socket) -> NoReturn:
        """Say nothing until the client has had enough."""
        hung_up = select.poll()
        hung_up.register(client, select.POLLRDHUP)
        deadline = time.monotonic() + STALL_SECONDS_MAX
        while time.monotonic() < deadline and not self._closing.is_set():
            if hung_up.poll(100):
                break
        raise GoneError

    # -- what the store is asked ----------------------------------------------------------------------------------

    def _ask(self, store: http.client.HTTPConnection, request: Request) -> Answer:
        try:
            return exchange(store, request)
        except (OSError, http.client.HTTPException):
            # The store closes connections that were quiet for long.
            store.close()
            return exchange(store, request)

    def _pass_on_late(self, request: Request, draw: random.Random) -> None:
        def later() -> None:
            time.sleep(draw.random() * LATE_SECONDS_MAX)
            connection = http.client.HTTPConnection("127.0.0.1", self._store.port, timeout=ANSWER_SECONDS_MAX)
            exchange(connection, request)
            connection.close()

        thread = threading.Thread(target=later, daemon=True)
        with self._lock:
            self._late.append(thread)
            thread.start()

    def _meet(self, kind: str | None, draw: random.Random, request: Request) -> Answer | None:
        """The answer to a request that the store does not see as it came; None for one that it does."""
        if kind is not None and kind in ERRORS:
            status, code = ERRORS[kind]
            words = _CANARY.format(key=self._store.access_key, secret=self._store.secret_key)
            xml = f"<Error><Code>{code}</Code><Message>{words}</Message>"
            xml += f"<AWSAccessKeyId>{self._store.access_key}</AWSAccessKeyId></Error>"
            more = [("Retry-After", "1")] if kind == "429 Retry-After" else []
            return Answer(status, [("Content-Type", "application/xml"), *more], xml.encode())
        if kind == "bit flipped in PUT":
            request.body = flipped(request.body, draw)
        elif kind == "bit rotten in the store":
            return self._put_rotten(request, draw)
        elif kind in ("untrue DELETE", "half a DELETE"):
            if kind == "half a DELETE":
                keys = re.findall(r"<Key>(.*?)</Key>", request.body.decode())
                for key in keys[: len(keys) // 2]:
                    self._own.delete_object(Bucket=request.key.split("/")[0], Key=key)
            done = b"" if request.verb == "DELETE" else b"<DeleteResult></DeleteResult>"
            return Answer(200 if done else 204, [("Content-Type", "application/xml")], done)
        return None

    def _put_rotten(self, request: Request, draw: random.Random) -> Answer:
        """Store other bytes than were sent, and say that all is well: only reading them back shows it."""
        bucket, _, key = request.key.partition("/")
        body, query = flipped(request.body, draw), request.query
        if "uploadId" in query:
            number, upload = int(query["partNumber"][0]), query["uploadId"][0]
            tag = self._own.upload_part(Bucket=bucket, Key=key, PartNumber=number, UploadId=upload, Body=body)["ETag"]
        else:
            tag = self._own.put_object(Bucket=bucket, Key=key, Body=body)["ETag"]
        return Answer(200, [("ETag", tag)], b"")

    # -- listings -------------------------------------------------------------------------------------------------

    def _remember(self, request: Request, answer: Answer) -> None:
        with self._lock:
            if answer.status == http.HTTPStatus.OK and ("put" in request.sorts or "uploadId" in request.query):
                self._born.setdefault(request.key, time.monotonic())
            elif "list" in request.sorts and self._spell is None and answer.status == http.HTTPStatus.OK:
                self._listings[request.target] = answer

    def _older(self, request: Request, answer: Answer, spell: Spell) -> Answer:
        """The listing as it was before the spell: one that was given then, or this one without what is newer."""
        with self._lock:
            old = self._listings.get(request.target)
            bucket = request.key.split("/")[0]
            new = {key.removeprefix(f"{bucket}/") for key, at in self._born.items() if at >= spell.began}
            known = {key.removeprefix(f"{bucket}/") for key, at in self._born.items() if at < spell.began}
        if old is not None:
            return old
        text = answer.body.decode()

        def keep(found: "re.Match[str]") -> str:
            # boto3 asks for names in the spelling of URLs.
            name = unquote(found[1])
            if name.endswith("/"):
                newer = any(key.startswith(name) for key in new) and not any(key.startswith(name) for key in known)
            else:
                newer = name in new
            return "" if newer else found[0]

        text = re.sub(r"<Contents>(?:(?!</Contents>).)*?<Key>(.*?)</Key>.*?</Contents>", keep, text, flags=re.DOTALL)
        text = re.sub(r"<CommonPrefixes><Prefix>(.*?)</Prefix></CommonPrefixes>", keep, text, flags=re.DOTALL)
        return Answer(answer.status, answer.headers, text.encode())


@contextmanager
def hostile_proxy(server: S3Server, chance: random.Random) -> Iterator[HostileProxy]:
    """A proxy before `server` that is closed at the end of the block."""
    proxy = HostileProxy(server, chance)
    try:
        yield proxy
    finally:
        proxy.close()
