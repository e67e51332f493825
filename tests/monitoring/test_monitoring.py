"""How monitoring begins and ends: a taken address is tried until it is free, and nothing goes on after the end."""

import socket
import threading
from typing import Any

import pytest

from replication.config import Config
from replication.events import EventLog
from replication.monitoring import serving as module
from replication.monitoring.address import listen
from replication.monitoring.pages import Monitoring
from replication.status import EngineStatus
from tests.engine.running import until
from tests.monitoring.scraped import ask


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_a_taken_address_is_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def counted(addr: str) -> socket.socket:
        tries.append(addr)
        return listen(addr)

    monkeypatch.setattr(module, "listen", counted)
    monkeypatch.setattr(module, "LISTEN_AGAIN_SECONDS", 0.01)
    events = EventLog()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monitoring = Monitoring(Config(None, (), addr=f"127.0.0.1:{port}"), lambda: EngineStatus(0.0, ()), events.emit)
        monitoring.start()
        until(lambda: len(tries) > 3)
    until(lambda: "serving metrics" in [event.message for event in events.since(0)])
    assert ask(port, "/healthz").status == 200
    assert monitoring.close(5.0) == []
    assert [event.message for event in events.since(0)] == ["no metrics are served", "serving metrics"]


def test_the_end_ends_the_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTEN_AGAIN_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(None, (), addr=f"127.0.0.1:{taken.getsockname()[1]}")
        monitoring = Monitoring(config, lambda: EngineStatus(0.0, ()), EventLog().emit)
        monitoring.start()
        assert "metrics-listen" in names()
        assert monitoring.close(5.0) == []
        until(lambda: "metrics-listen" not in names())


def test_nothing_runs_without_being_asked_for() -> None:
    before = names()
    monitoring = Monitoring(Config(None, ()), lambda: EngineStatus(0.0, ()), EventLog().emit)
    monitoring.start()
    assert names() == before
    assert monitoring.close(5.0) == []


# -- another configuration ------------------------------------------------------------------------------------------


def monitoring_of(events: EventLog, **settings: Any) -> Monitoring:
    return Monitoring(Config(None, (), **settings), lambda: EngineStatus(0.0, ()), events.emit)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_another_address_is_served_at_once_and_the_one_before_no_longer() -> None:
    events, first, second = EventLog(), free_port(), free_port()
    monitoring = monitoring_of(events, addr=f"127.0.0.1:{first}")
    monitoring.start()
    assert ask(first, "/healthz").status == 200
    monitoring.use(Config(None, (), addr=f"127.0.0.1:{second}"))
    assert ask(second, "/healthz").status == 200
    with pytest.raises(ConnectionRefusedError):
        ask(first, "/healthz")
    # The same port on another interface.
    monitoring.use(Config(None, (), addr=f":{second}"))
    assert ask(second, "/healthz").status == 200
    monitoring.use(Config(None, ()))
    with pytest.raises(ConnectionRefusedError):
        ask(second, "/healthz")
    assert monitoring.close(5.0) == []
    served, ended = "serving metrics", "metrics are served no longer"
    assert [event.message for event in events.since(0)] == [served, ended, served, ended, served, ended]


def test_one_that_is_the_same_is_not_touched() -> None:
    events, port = EventLog(), free_port()
    monitoring = monitoring_of(events, addr=f"127.0.0.1:{port}", heartbeat_url="http://127.0.0.1:1/x")
    monitoring.start()
    with socket.create_connection(("127.0.0.1", port)) as connected:
        monitoring.use(Config(None, (), addr=f"127.0.0.1:{port}", heartbeat_url="http://127.0.0.1:1/x"))
        connected.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connected.recv(100).startswith(b"HTTP/1.1 200")
    assert [event.message for event in events.since(0)] == ["serving metrics"]
    assert names().count("heartbeat") == 1
    assert monitoring.close(5.0) == []
    until(lambda: "heartbeat" not in names())


def test_another_heartbeat_takes_the_place_of_the_one_before() -> None:
    events = EventLog()
    monitoring = monitoring_of(events)
    monitoring.start()
    monitoring.use(Config(None, (), heartbeat_url="http://127.0.0.1:1/x"))
    until(lambda: names().count("heartbeat") == 1)
    monitoring.use(Config(None, (), heartbeat_url="http://127.0.0.1:2/x"))
    monitoring.use(Config(None, (), heartbeat_url="http://127.0.0.1:2/x", heartbeat_interval=77.0))
    until(lambda: names().count("heartbeat") == 1)
    monitoring.use(Config(None, ()))
    until(lambda: "heartbeat" not in names())
    assert monitoring.close(5.0) == []
    # After the end nothing begins.
    monitoring.use(Config(None, (), addr="127.0.0.1:0", heartbeat_url="http://127.0.0.1:1/x"))
    assert not {"heartbeat", "metrics"} & set(names())
