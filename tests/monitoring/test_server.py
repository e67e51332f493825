"""The server of addr: what it answers, and that nobody who connects can hold up anybody else."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from replication.errors import ReplicationError
from replication.monitoring import server as server_module
from replication.monitoring.address import listen, shown
from replication.monitoring.requests import REQUEST_BYTES_MAX, Answer, Request, parse
from replication.monitoring.server import CONNECTIONS_MAX, Server
from tests.monitoring.scraped import ask

SECONDS_MAX = 5.0
"""Far less than a connection's own deadline, on a busy machine too."""


@contextmanager
def serving(answer: Callable[[Request], Answer]) -> Iterator[int]:
    """A server on a port of this machine."""
    listening = listen("127.0.0.1:0")
    port = listening.getsockname()[1]
    server = Server(listening, answer)
    server.start()
    try:
        yield port
    finally:
        assert server.close(SECONDS_MAX)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), SECONDS_MAX)


def echo(request: Request) -> Answer:
    return Answer.words(200, f"{request.path} {dict(request.query)}")


def talk(port: int, data: bytes) -> bytes:
    """What comes back for these bytes, until the other end closes."""
    with socket.create_connection(("127.0.0.1", port), SECONDS_MAX) as connection:
        connection.sendall(data)
        return received(connection)


def received(connection: socket.socket) -> bytes:
    found = b""
    while data := connection.recv(65536):
        found += data
    return found


def test_get_and_head() -> None:
    with serving(echo) as port:
        assert ask(port, "/x?a=1&a=2&b").text == "/x {'a': '2', 'b': ''}\n"
        head = talk(port, b"HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert b"Content-Length: 6\r\n" in head
        assert b"Connection: close\r\n" in head
        # As people type it.
        assert talk(port, b"GET /x HTTP/1.0\n\n").endswith(b"/x {}\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\xff\xfe\x00 \x00 \x00\r\n\r\n", 400),
        (b"GET /?" + b"&".join(b"a=1" for _ in range(40)) + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 4 * REQUEST_BYTES_MAX, 431),
    ],
)
def test_what_is_refused(request_: bytes, status: int) -> None:
    with serving(echo) as port:
        assert talk(port, request_).startswith(f"HTTP/1.1 {status} ".encode())
        assert ask(port, "/after").status == 200


def test_a_request_is_the_same_however_it_is_cut() -> None:
    whole = b"GET /metrics?a=1 HTTP/1.1\r\nHost: h\r\n\r\n"
    for end in range(len(whole)):
        assert parse(whole[:end]) is None
    assert parse(whole) == Request("GET", "/metrics", {"a": "1"})


def test_a_defect_is_told_without_its_words() -> None:
    def broken(request: Request) -> Answer:
        raise ValueError("CANARY")

    with serving(broken) as port:
        answered = ask(port, "/metrics")
        assert answered.status == 500
        assert "CANARY" not in answered.text
        assert ask(port, "/metrics").status == 500


def test_those_who_say_nothing_hold_up_nobody() -> None:
    """Twice as many as there are places connect and say nothing, or a byte; each request is answered at once."""
    with serving(echo) as port, ExitStack() as stack:
        for number in range(2 * CONNECTIONS_MAX):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port), SECONDS_MAX))
            if number % 2:
                silent.sendall(b"G")
            began = time.monotonic()
            assert ask(port, "/x").status == 200
            assert time.monotonic() - began < SECONDS_MAX


def test_those_who_read_nothing_hold_up_nobody() -> None:
    def much(request: Request) -> Answer:
        return Answer(200, b"x" * (64 << 20) if request.path == "/much" else b"little")

    with serving(much) as port, ExitStack() as stack:
        for _ in range(3):
            deaf = stack.enter_context(socket.create_connection(("127.0.0.1", port), SECONDS_MAX))
            deaf.sendall(b"GET /much HTTP/1.1\r\n\r\n")
        assert ask(port, "/little").text == "little"


def test_who_drips_is_cut_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CONNECTION_SECONDS_MAX", 0.3)
    with serving(echo) as port, socket.create_connection(("127.0.0.1", port), SECONDS_MAX) as dripping:
        began = time.monotonic()

        def drip() -> None:
            try:
                while True:
                    dripping.send(b"x")
                    time.sleep(0.02)
            except OSError:
                pass

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        thread.join(SECONDS_MAX)
        assert not thread.is_alive()
        assert time.monotonic() - began < SECONDS_MAX


def test_a_hundred_at_once_are_answered_or_cut() -> None:
    answered: list[int] = []

    def one() -> None:
        # Whoever is cut for a later one may ask again, as Prometheus does at its next scrape.
        while True:
            try:
                answered.append(ask(port, "/x").status)
                return
            except OSError:
                continue

    with serving(echo) as port:
        threads = [threading.Thread(target=one, daemon=True) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answered == [200] * 100


def test_no_descriptor_is_left_behind() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with serving(echo) as port:
        for _ in range(20):
            assert ask(port, "/x").status == 200
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_port_in_use_is_told_with_what_to_do() -> None:
    with listen("127.0.0.1:0") as taken:
        addr = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ReplicationError, match=f"cannot listen on addr {addr}: another program listens there; end"):
            listen(addr)


@pytest.mark.parametrize(
    ("addr", "words"),
    [("192.0.2.1:0", "does not have that address"), ("no-such-host.invalid:0", "its host is not known")],
)
def test_an_address_that_is_not_ours(addr: str, words: str) -> None:
    with pytest.raises(ReplicationError, match=words):
        listen(addr)


@pytest.mark.parametrize("addr", [":0", "localhost:0", "127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"])
def test_every_form_of_an_address(addr: str) -> None:
    try:
        listening = listen(addr)
    except ReplicationError as error:
        if "[" in addr and not _has_ipv6():
            pytest.skip(f"no IPv6 here: {error}")
        raise
    with listening:
        port = listening.getsockname()[1]
        host = "::1" if addr == "[::1]:0" else "127.0.0.1"
        if addr != "[::]:0":
            socket.create_connection((host, port), SECONDS_MAX).close()
        assert shown(listening).endswith(f":{port}")


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
