"""What systemd is told of a run: that it is ready, how it is in words, that it gets somewhere, and that it ends.

Its promises: "ready" means that every database was opened, or is waited for. The watchdog is fed only while the engine
gets somewhere: a hang of all databases is not hidden, and one bad database ends nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from replication.events import EventLog
from replication.scrub import scrub
from replication.status import DatabaseStatus, EngineStatus
from tui.text.format import counted
from tui.verbs.notify import Notifier

OPENING_SECONDS_MAX = 30.0
"""How long a database that hangs while it is opened keeps the others from being called ready."""
WORDS_SECONDS_MIN = 1.0
WORDS_SECONDS_MAX = 10.0
"""The status is looked at after an event, at most once in the first; without events once in the second."""
EXTEND_SECONDS = 30.0
"""Seconds that a start which makes progress asks systemd for."""
PINGS = 4
"""Pings within the time after which systemd would end us without one."""
WORDS_CHARS_MAX = 300
_BAD = ("error", "busy", "pausing", "paused", "waiting", "starting")
"""States that are named, the worst first."""


class Running(Protocol):
    """What the service asks of an engine."""

    events: EventLog

    def status(self) -> EngineStatus: ...

    def makes_progress(self) -> bool: ...

    def copying(self) -> list[str]: ...


class Service:
    """Called by the thread that waits for the end of the run; without a systemd that listens it does nothing."""

    def __init__(self, engine: Running, notifier: Notifier, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._notifier = notifier
        self._monotonic = monotonic
        self._ready = False
        self._began = self._progressed = monotonic()
        self._pinged = self._looked = float("-inf")
        self._said = ""
        self._news = True
        self._told_of_hang = False

    def tick(self, news: bool) -> None:
        """Tell systemd what has changed. `news` is true if something happened since the last call."""
        if not self._notifier.is_heard:
            return
        now = self._monotonic()
        self._news |= news
        self._ping(now)
        if now >= self._looked + (WORDS_SECONDS_MIN if self._news or not self._ready else WORDS_SECONDS_MAX):
            self._look(now)

    def stopping(self, words: str) -> None:
        """Tell systemd that the program ends, and in words what it does until then."""
        self._notifier.send(STOPPING=1, STATUS=words)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """A block in which the configuration is read anew: `systemctl reload` waits for its end."""
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notifier.send(RELOADING=1, MONOTONIC_USEC=usec, STATUS="reading the configuration anew")
        try:
            yield
        finally:
            self._said = words(self._engine.status())
            self._notifier.send(READY=1, STATUS=self._said)

    def _ping(self, now: float) -> None:
        seconds = self._notifier.watchdog_seconds
        if self._ready and not seconds:
            return
        if now < self._pinged + (min(seconds, EXTEND_SECONDS) or EXTEND_SECONDS) / PINGS:
            return
        if self._engine.makes_progress():
            self._pinged = self._progressed = now
            self._told_of_hang = False
            if not self._ready:
                self._notifier.send(EXTEND_TIMEOUT_USEC=int(EXTEND_SECONDS * 1e6))
            if seconds:
                self._notifier.send(WATCHDOG=1)
        elif seconds and not self._told_of_hang and now >= self._progressed + seconds / 2:
            self._told_of_hang = True
            self._engine.events.emit(
                "error",
                "nothing is copied any more: every thread that copies hangs; systemd will end the program",
                hangs_at=", ".join(self._engine.copying()),
                seconds=round(now - self._progressed),
            )

    def _look(self, now: float) -> None:
        self._looked, self._news = now, False
        status = self._engine.status()
        if not self._ready:
            self._ready = is_ready(status, late=now >= self._began + OPENING_SECONDS_MAX)
            if self._ready:
                self._said = words(status)
                self._notifier.send(READY=1, STATUS=self._said)
                return
        if (said := words(status)) != self._said:
            self._said = said
            self._notifier.send(STATUS=said)


def is_ready(status: EngineStatus, late: bool) -> bool:
    """True once every database was looked at. When it is `late`, those that hang keep the others waiting no more."""
    opened = [database.state != "starting" for database in status.databases]
    return all(opened) or (late and any(opened))


def words(status: EngineStatus) -> str:
    """How things stand, in one line: how many are well, and of the rest the worst, by name."""
    told = [(state, text) for database in status.databases for state, text in [_state(database)]]
    bad = sorted((item for item in told if item[0] in _BAD), key=lambda item: _BAD.index(item[0]))
    count = counted(len(told), "database")
    if not bad:
        return f"{count}, all replicated"
    line = scrub(f"{count}, {len(told) - len(bad)} replicated, {len(bad)} not; {bad[0][1]}")
    return line if len(line) <= WORDS_CHARS_MAX else f"{line[: WORDS_CHARS_MAX - 1]}…"


def _state(database: DatabaseStatus) -> tuple[str, str]:
    """The state of a database with its replicas, and what is said of it."""
    if database.state in _BAD:
        text = f"{database.path} is {_NAMED.get(database.state, database.state)}"
        return (
            database.state,
            database.error if database.path in database.error else f"{text}: {database.error}".rstrip(": "),
        )
    for replica in database.replicas:
        if replica.state == "error":
            return "error", f"{database.path} replica {replica.name}: {replica.last_error or replica.warning}"
    return "ok", ""


_NAMED = {"error": "in error", "waiting": "waited for", "starting": "being opened"}
