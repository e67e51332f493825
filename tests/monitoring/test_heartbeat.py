"""The heartbeat: it goes while all is restorable and only then, and no URL costs anybody anything but itself."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import peers
from replication.events import EventLog
from replication.monitoring.address import listen
from replication.monitoring.heartbeat import HUNG_MAX, Heartbeat
from replication.monitoring.requests import Answer, Request
from replication.monitoring.server import Server
from tests.engine.running import until

KEY = "/ping/0123-KEYCANARY-4567"


@contextmanager
def listener(
    answer: Callable[[Request], Answer] = lambda request: Answer.words(200, "OK"),
) -> Iterator[tuple[str, list[str]]]:
    """Where heartbeats are sent to, and the paths that were asked for."""
    asked: list[str] = []

    def heard(request: Request) -> Answer:
        asked.append(request.path)
        return answer(request)

    listening = listen("127.0.0.1:0")
    server = Server(listening, heard)
    server.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{KEY}", asked
    finally:
        server.close(5)


class Watched(EventLog):
    """Events, and a mark for each time that it was looked whether all is restorable."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[None] = []


@contextmanager
def beating(url: str, missing: list[str], answer_seconds: float = 10.0) -> Iterator[Watched]:
    """A heartbeat at a short interval, for as long as `missing` is empty."""
    events = Watched()

    def look() -> list[str]:
        events.looks.append(None)
        return list(missing)

    heartbeat = Heartbeat(url, 0.02, look, events.emit, 0.02, answer_seconds)
    heartbeat.start()
    try:
        yield events
    finally:
        heartbeat.close()
    assert "KEYCANARY" not in str(events.since(0))


def messages(events: EventLog) -> list[str]:
    return [f"{event.message} {dict(event.attributes).get('error', '')}".strip() for event in events.since(0)]


def test_it_goes_only_while_all_is_restorable() -> None:
    missing: list[str] = []
    with listener() as (url, asked), beating(url, missing) as events:
        until(lambda: len(asked) >= 3)
        assert set(asked) == {KEY}
        missing += ["/a.db: disk full, 7 bytes", "/b.db: paused"]
        until(lambda: len(messages(events)) == 2)
        before = len(asked)
        missing[0] = "/a.db: disk full, 8 bytes"
        looks = len(events.looks)
        until(lambda: len(events.looks) > looks + 5)
        assert len(asked) == before
        missing.clear()
        until(lambda: len(asked) > before)
        until(lambda: len(messages(events)) == 3)
    assert messages(events) == [
        "heartbeat sent",
        "no heartbeat none is sent, as not all is restorable: /a.db: disk full, 7 bytes and 1 more",
        "heartbeat sent",
    ]


def test_a_refusal_is_told_once_and_tried_again() -> None:
    with listener(lambda request: Answer.words(503, "no")) as (url, asked), beating(url, []) as events:
        until(lambda: len(asked) >= 3)
    assert messages(events) == ["no heartbeat 127.0.0.1 answered with status 503"]


def test_a_redirect_is_not_followed() -> None:
    with listener() as (other, followed):

        def elsewhere(request: Request) -> Answer:
            return Answer(302, b"", headers=(("Location", other),))

        with listener(elsewhere) as (url, asked), beating(url, []) as events:
            until(lambda: len(asked) >= 2)
    assert messages(events) == ["no heartbeat 127.0.0.1 answered with status 302; write the URL that it leads to"]
    assert followed == []


def test_nobody_there() -> None:
    [port] = peers.free_ports(1)
    with beating(f"http://127.0.0.1:{port}{KEY}", []) as events:
        until(lambda: bool(messages(events)))
    assert messages(events) == ["no heartbeat 127.0.0.1 was not reached: Connection refused"]


def test_one_that_never_answers_costs_a_bounded_number_of_threads() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}{KEY}"
        with beating(url, [], answer_seconds=0.1) as events:
            until(lambda: "no heartbeat 127.0.0.1 does not answer" in messages(events) or len(messages(events)) > 1)
            names = [thread.name for thread in threading.enumerate()]
            assert names.count("heartbeat-request") <= HUNG_MAX
        # The request's own bound ends it.
        until(lambda: "heartbeat-request" not in [thread.name for thread in threading.enumerate()])


def test_one_that_drips_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as dripping,
        beating(f"http://127.0.0.1:{dripping.getsockname()[1]}{KEY}", [], answer_seconds=0.2) as events,
    ):
        accepted, _ = dripping.accept()
        with accepted:
            # A header without end: of the others more than a hundred are no HTTP.
            accepted.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            deadline = time.monotonic() + 30
            while not messages(events):
                assert time.monotonic() < deadline
                accepted.sendall(b"y")
                time.sleep(0.01)
    assert messages(events)[0] == "no heartbeat 127.0.0.1 did not answer within 0.2 s"


def test_what_is_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            accepted, _ = other.accept()
            with accepted:
                accepted.recv(4096)
                accepted.sendall(b"SSH-2.0-KEYCANARY\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with beating(f"http://127.0.0.1:{other.getsockname()[1]}{KEY}", []) as events:
            until(lambda: bool(messages(events)))
    assert "did not answer as HTTP does" in messages(events)[0]


def test_a_password_in_the_url_goes_as_a_header() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"http://user:KEYCANARY%2B@127.0.0.1:{other.getsockname()[1]}/ping"
        with beating(url, []):
            accepted, _ = other.accept()
            with accepted:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += accepted.recv(4096)
                accepted.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert head.startswith(b"GET /ping HTTP/1.1\r\n")
    assert b"Authorization: Basic dXNlcjpLRVlDQU5BUlkr\r\n" in head
    assert b"CANARY" not in head
