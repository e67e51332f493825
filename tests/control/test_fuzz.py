"""Requests that nobody would send, by the thousand: each is answered, and nothing is done that was not asked for.

Short here, and 100,000 in `make torture`.
"""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

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
FUZZ = settings(
    max_examples=100_000 if MANY else 300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
RAW = settings(FUZZ, max_examples=5_000 if MANY else 60)
STATUSES = {200, 400, 403, 404, 405, 409, 500, 501, 503}
NAMES = sorted({"database", "path", "holder", "do", "key", "wait", "timeout", "replica", "look", "points", "object"})
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
    paths = sorted({path for _, path in routes()} - {"/v1/stop"})
    path = draw(st.sampled_from(paths) | TEXT_.map("/{}".format) | TEXT_)
    path += draw(st.sampled_from(["", "", "/x", "//", "/../..", "/%00"]))
    keys = st.sampled_from(NAMES) | TEXT_
    query = draw(st.dictionaries(keys | st.sampled_from(["after", "wait", "version", "forget"]), TEXT_, max_size=3))
    if query:
        path += "?" + "&".join(f"{key}={value}" for key, value in query.items())
    body = draw(st.dictionaries(keys, values(name), max_size=6))
    # Not those that would really do something for long, or write.
    harmless = sorted(REQUESTS.keys() - {"restore", "restore-over", "pause", "verify", "look"})
    if draw(st.booleans()):
        body["do"] = draw(st.sampled_from(harmless))
    data = draw(st.just(json.dumps(body).encode()) | st.binary(max_size=60))
    return Asked(draw(METHODS), path, data, owner=draw(st.booleans()), read_only=draw(st.booleans()), may_wait=False)


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
