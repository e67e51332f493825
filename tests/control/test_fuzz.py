"""Requests that nobody would send, by the thousand: each is answered, and nothing is done that was not asked for.

Short here; in `make torture` 100,000 of them go over a real socket, whole, damaged and cut off.
"""

import json
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replication.control.litestream import ROUTES
from replication.control.requests import REQUESTS
from replication.control.routes import JSON, TEXT, Asked, answer, routes
from tests.control.serving import Served, served
from tests.engine.running import in_step, only, until
from tests.foreign import Shell

MANY = bool(os.environ.get("TORTURE_MINUTES"))
# `make torture` has them by their mark: one makes its cases inside of itself, where hypothesis marks nothing.
pytestmark = [pytest.mark.timeout(4 * 3600), pytest.mark.torture] if MANY else pytest.mark.timeout(120)
FUZZ = settings(
    max_examples=20_000 if MANY else 100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RAW = settings(FUZZ, max_examples=5_000 if MANY else 60)
REQUESTS_MIN = 100_000 if MANY else 200
"""So many go over the socket."""
STATUSES = {200, 400, 403, 404, 405, 409, 500, 501, 503}
NAMES = sorted(
    {"database", "path", "holder", "do", "key", "wait", "timeout", "replica", "look", "points", "object"}
    | {"replica_url", "position", "table", "lease_seconds", "generation", "timestamp", "index", "only"}
)
HARMFUL = {"/v1/stop", "/unregister"}
"""They would do what they are for."""
STATUSES_OF_HTTP = STATUSES | {100, 413, 414, 431}
METHODS = st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "X"])
TEXT_ = st.text(max_size=12)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("fuzz")) as found:
        yield found


def values(name: str) -> st.SearchStrategy[object]:
    """What a field may hold: the database among others, and no path that anything could be written to."""
    return st.one_of(
        st.sampled_from([name, "", "/etc/passwd", "../x", "replica", "x\0", "0" * 16 + "/00000000:0"]),
        TEXT_,
        st.integers(),
        st.floats(),
        st.booleans(),
        st.none(),
        st.lists(TEXT_, max_size=3),
        st.dictionaries(TEXT_, TEXT_, max_size=3),
    )


@st.composite
def requests(draw: st.DrawFn, name: str) -> Asked:
    known = sorted((method, path) for method, path in routes() if path not in HARMFUL)
    method, path = draw(st.sampled_from(known))
    if draw(st.integers(0, 4)) == 0:
        # One in five is for what there is not, or asks otherwise than one can.
        method, path = draw(METHODS), draw(st.just(path) | TEXT_.map("/{}".format) | TEXT_)
        path += draw(st.sampled_from(["", "/x", "//", "/../..", "/%00"]))
    keys = st.sampled_from(NAMES) | TEXT_
    query = draw(st.dictionaries(keys | st.sampled_from(["after", "wait", "version", "forget"]), TEXT_, max_size=3))
    if query:
        path += "?" + "&".join(f"{key}={value}" for key, value in query.items())
    body = draw(st.dictionaries(keys, values(name), max_size=6))
    for field in ("database", "path", "holder"):
        if draw(st.booleans()):
            body[field] = name if field != "holder" else "x"
    # Not those that would really do something for long, or write.
    harmless = sorted(REQUESTS.keys() - {"restore", "restore-over", "pause", "verify", "look", "unregister"})
    if draw(st.booleans()):
        body["do"] = draw(st.sampled_from(harmless))
    data = json.dumps(body).encode() if draw(st.integers(0, 9)) else draw(st.binary(max_size=60))
    return Asked(method, path, data, owner=draw(st.booleans()), read_only=draw(st.booleans()), may_wait=False)


def test_every_request_has_an_answer(at: Served) -> None:
    @FUZZ
    @given(requests(at.name))
    def ask(asked: Asked) -> None:
        answered = answer(at.local, asked)
        assert answered.status in STATUSES, answered
        assert answered.kind in (JSON, TEXT)
        if answered.kind == JSON:
            found = json.loads(answered.body)
            assert answered.status == 200 or "error" in found
            # What a defect would say.
            assert "this is a bug" not in answered.body, (asked, answered)
        if asked.read_only and answered.status == 200 and asked.method == "POST":
            assert json.loads(answered.body).get("do") not in ("sync", "snapshot", "verify", "pause"), asked
        assert answered.status != 200 or asked.method in ("GET", "POST", "DELETE")

    ask()
    for path in sorted(ROUTES):
        assert answer(at.local, Asked("PATCH", path)).status == 405
    at.local.resume(at.name, "POST /stop")
    until(lambda: in_step(at.engine))


@st.composite
def on_the_wire(draw: st.DrawFn, name: str) -> list[bytes]:
    """One request as it is sent: whole, with another byte in it, cut off in the middle, and with a false length."""
    asked = draw(requests(name))
    whole = written(asked, len(asked.body))
    where, byte = draw(st.integers(0, len(whole) - 1)), draw(st.integers(0, 255))
    false = draw(st.sampled_from([0, len(asked.body) + 1, 1 << 40, -1]))
    changed = whole[:where] + bytes([byte]) + whole[where + 1 :]
    return [whole, changed, whole[:where], written(asked, false) + whole]


def written(asked: Asked, length: int) -> bytes:
    """A request with this length in its head."""
    head = [f"{asked.method} {quote(asked.target, safe='/?&=%.')} HTTP/1.1", "Host: x", f"Content-Length: {length}"]
    if asked.read_only:
        head.append("Litestream-TUI-Read-Only: yes")
    return "\r\n".join([*head, "", ""]).encode() + asked.body


def test_over_the_socket_every_request_has_an_answer_or_its_connection_an_end(at: Served) -> None:
    seen: Counter[int] = Counter()

    @settings(FUZZ, max_examples=REQUESTS_MIN // 4)
    @given(on_the_wire(at.name))
    def send(sent: list[bytes]) -> None:
        for data in sent:
            answered = exchanged(at, data)
            statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answered)]
            assert set(statuses) <= STATUSES_OF_HTTP, (data, answered)
            assert b"this is a bug" not in answered, (data, answered)
            seen.update(statuses[:1] or [0])

    send()
    print(f"{seen.total()} requests over the socket: {dict(sorted(seen.items()))}; 0 is an end without an answer")
    assert seen.total() >= REQUESTS_MIN
    assert at.local.info().databases == (at.name,)
    at.local.resume(at.name, "POST /stop")
    until(lambda: in_step(at.engine) and len(at.server._clients) == 0)


def exchanged(at: Served, data: bytes) -> bytes:
    """What is answered until the connection ends."""
    answered = b""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(30.0)
        connected.connect(str(at.server.path))
        try:
            connected.sendall(data)
            connected.shutdown(socket.SHUT_WR)
            while piece := connected.recv(1 << 16):
                answered += piece
        except (BrokenPipeError, ConnectionResetError):
            # It was answered, or refused, while more was sent.
            pass
    return answered


def test_whatever_bytes_come_the_engine_goes_on(at: Served) -> None:
    start = st.sampled_from([b"", b"GET /v1/info HTTP/1.1\r\n", b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\n", b"GET "])

    @RAW
    @given(start, st.binary(max_size=200), st.booleans())
    def send(first: bytes, rest: bytes, ended: bool) -> None:
        with socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(20.0)
            connected.connect(str(at.server.path))
            try:
                connected.sendall(first + rest)
                if ended:
                    connected.shutdown(socket.SHUT_WR)
                    while connected.recv(65536):
                        pass
            except (BrokenPipeError, ConnectionResetError):
                pass

    send()
    before = only(at.engine).position
    Shell(Path(at.name)).run("INSERT INTO t VALUES(9)")
    until(lambda: in_step(at.engine) and only(at.engine).position != before)
    assert at.control.info().pid == os.getpid()
