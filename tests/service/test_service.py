"""What is told when: ready, words, the watchdog and a reload, with an engine whose state the test sets."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from replication.events import EventLog
from replication.status import DatabaseStatus, EngineStatus
from tests.service.listener import Listener, listening
from tui.verbs.notify import Notifier
from tui.verbs.service import OPENING_SECONDS_MAX, WORDS_CHARS_MAX, WORDS_SECONDS_MAX, Service, is_ready, words

WATCHDOG_SECONDS = 8.0


def database(state: str, path: str = "/srv/app.db", error: str = "") -> DatabaseStatus:
    return DatabaseStatus(path, state, error, None, "", 4096, 0, 0.0, 0.0, 0, ())  # type: ignore[arg-type]


def status(*states: str) -> EngineStatus:
    return EngineStatus(0.0, tuple(database(state, f"/srv/{number}.db") for number, state in enumerate(states)))


@dataclass
class Engine:
    """Stands in for one; `now` is its clock and the service's."""

    states: tuple[str, ...] = ("starting",)
    progress: bool = True
    now: float = 0.0
    events: EventLog = field(default_factory=EventLog)

    def status(self) -> EngineStatus:
        return status(*self.states)

    def makes_progress(self) -> bool:
        return self.progress

    def copying(self) -> list[str]:
        return ["sync /srv/0.db"]


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with listening(tmp_path) as found:
        yield found


def told(listener: Listener) -> dict[str, str]:
    """All that was told since the last time, the last of each name."""
    found: dict[str, str] = {}
    while (datagram := listener.next(0.001)) is not None:
        found |= datagram
    return found


def test_ready_comes_with_the_last_database_or_late_without_those_that_hang(listener: Listener) -> None:
    engine = Engine(("ok", "starting"))
    service = Service(engine, Notifier(listener.address), lambda: engine.now)
    service.tick(news=True)
    assert "READY" not in told(listener)
    engine.now = OPENING_SECONDS_MAX - 1.0
    service.tick(news=True)
    assert "READY" not in told(listener)
    engine.now = OPENING_SECONDS_MAX
    service.tick(news=False)
    found = told(listener)
    assert (found["READY"], found["STATUS"]) == (
        "1",
        "2 databases, 1 replicated, 1 not; /srv/1.db is being opened",
    )
    assert not is_ready(status("starting", "starting"), late=True), "all hang: that is no start"
    assert is_ready(status("waiting", "error", "busy", "paused"), late=False)


def test_a_start_that_gets_somewhere_asks_for_time_and_one_that_hangs_does_not(listener: Listener) -> None:
    engine = Engine()
    service = Service(engine, Notifier(listener.address), lambda: engine.now)
    service.tick(news=True)
    assert "EXTEND_TIMEOUT_USEC" in told(listener)
    engine.now, engine.progress = 20.0, False
    service.tick(news=True)
    assert told(listener) == {}


def test_the_watchdog_goes_hungry_and_the_log_says_where_it_hangs(listener: Listener) -> None:
    engine = Engine(("ok",))
    service = Service(engine, Notifier(listener.address, WATCHDOG_SECONDS), lambda: engine.now)
    service.tick(news=True)
    assert told(listener)["WATCHDOG"] == "1"
    engine.now = 1.0
    service.tick(news=False)
    assert "WATCHDOG" not in told(listener), "it was fed a moment ago"
    engine.now, engine.progress = 3.0, False
    for _ in range(40):
        engine.now += 0.5
        service.tick(news=False)
    assert "WATCHDOG" not in told(listener)
    [event] = engine.events.since(0)
    assert event.level == "error"
    assert dict(event.attributes)["hangs_at"] == "sync /srv/0.db"
    engine.progress = True
    service.tick(news=False)
    assert told(listener)["WATCHDOG"] == "1"


def test_words_follow_what_happens_and_nothing_is_said_twice(listener: Listener) -> None:
    engine = Engine(("ok", "ok"))
    service = Service(engine, Notifier(listener.address), lambda: engine.now)
    service.tick(news=True)
    assert told(listener)["STATUS"] == "2 databases, all replicated"
    engine.states = ("ok", "error")
    engine.now = 0.5
    service.tick(news=True)
    engine.now = 1.0
    # What happened half a second after the last look is not forgotten.
    service.tick(news=False)
    assert told(listener) == {"STATUS": "2 databases, 1 replicated, 1 not; /srv/1.db is in error"}
    engine.now += WORDS_SECONDS_MAX
    service.tick(news=True)
    assert told(listener) == {}


def test_a_reload_says_that_it_began_and_that_it_ended_whatever_comes(listener: Listener) -> None:
    engine = Engine(("ok",))
    service = Service(engine, Notifier(listener.address), lambda: engine.now)
    service.tick(news=True)
    told(listener)
    with suppress(ValueError), service.reloading():
        began = told(listener)
        assert began["RELOADING"] == "1"
        assert int(began["MONOTONIC_USEC"]) > 0
        assert "READY" not in began
        raise ValueError("a defect")
    assert told(listener) == {"READY": "1", "STATUS": "1 database, all replicated"}


def test_words_are_one_line_of_bounded_length_with_the_worst_first() -> None:
    long = EngineStatus(0.0, (database("waiting"), database("error", "/srv/x.db", "bad\n" * 500)))
    line = words(long)
    assert len(line) <= WORDS_CHARS_MAX
    assert line.startswith("2 databases, 0 replicated, 2 not; /srv/x.db is in error: bad")


def test_without_a_listener_nothing_is_asked_of_the_engine() -> None:
    engine = Engine()
    engine.status = None  # type: ignore[assignment, method-assign]
    service = Service(engine, Notifier(), lambda: engine.now)
    service.tick(news=True)
    service.stopping("ending")
