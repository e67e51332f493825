"""How monitoring begins and ends: a taken address is tried until it is free, and nothing goes on after the end."""

import socket
import threading

import pytest

from replication.config import Config
from replication.events import EventLog
from replication.monitoring import pages as module
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
