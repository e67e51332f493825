"""An engine that runs elsewhere, as a screen has it: what it said last, asked in a thread of its own.

Its promise: `status` and `events_since` answer at once, whatever the engine does; one that is gone is not shown as if
it were there, and once an engine answers again the screen has it. Commands go to the engine as they are.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from replication.control import BY_HAND
from replication.control.client import Client
from replication.control.requests import Request
from replication.control.values import Info, JobStatus
from replication.errors import EngineError, ReplicationError
from replication.events import EVENTS_MAX, Event
from replication.status import DatabaseStatus, EngineStatus, Progress, Verification, untold
from tui.session.place import Kind, Place
from tui.version import version

GONE_SECONDS = 1.0
"""An engine that does not answer for less than this counts as there: another may be taking over from it."""
UNHEARD_SECONDS = 5.0
"""An engine that was not heard for this long before is not being taken over from: it hangs."""
AGAIN_SECONDS = 0.25
"""Between two tries while it does not answer."""


class Attached:
    """A JobControl. `changed` is called from a thread when there is something new to show."""

    def __init__(self, client: Client, refresh_seconds: float, changed: Callable[[], None] = lambda: None) -> None:
        self.changed = changed
        self._client = client
        self._refresh = refresh_seconds
        self._status = EngineStatus(time.time(), ())
        self._events: tuple[Event, ...] = ()
        self._info: Info | None = None
        self._place = Place("service", socket=str(client.path))
        self._failing = 0.0
        """Since when the engine does not answer, of time.time(); 0 while it does."""
        self._answered = 0.0
        """When the engine answered last."""
        self._wake = threading.Event()
        self._closed = threading.Event()

    def start(self) -> None:
        """Begin to ask."""
        threading.Thread(target=self._ask_on, name="attached", daemon=True).start()

    def close(self) -> None:
        """Ask no more, and let go of the connection. The engine goes on."""
        self._closed.set()
        self._wake.set()
        self._client.close()

    @property
    def place(self) -> Place:
        """Where the engine is, and whether it answers."""
        return self._place

    # -- what it said last ------------------------------------------------------------------------------------------

    def status(self) -> EngineStatus:
        return self._status

    def events_since(self, number: int) -> list[Event]:
        return [event for event in self._events if event.number > number]

    def _ask_on(self) -> None:
        while not self._closed.is_set():
            wait = self._refresh
            try:
                self._ask()
            except ReplicationError as error:
                self._does_not_answer(error)
                wait = AGAIN_SECONDS
            if self._closed.is_set():
                return
            self.changed()
            self._wake.wait(wait)
            self._wake.clear()

    def _ask(self) -> None:
        """Ask for everything that the screen shows."""
        status, new = self._client.look(self._events[-1].number if self._events else 0)
        if self._info is None or self._failing:
            self._learn()
        if new:
            self._events = (*self._events, *new)[-EVENTS_MAX:]
        self._status, self._failing, self._answered = status, 0.0, time.time()
        if self._place.gone:
            self._place = replace(self._place, gone=0.0, why="")

    def _learn(self) -> None:
        """Find out which engine answers now."""
        try:
            info = self._client.info()
        except EngineError as error:
            if self._info is not None or "newer than this program" not in str(error):
                raise
            # What is understood of its answers is shown all the same.
            self._place = replace(self._place, words=str(error))
            return
        ours = version()
        words = f"{info.version}, this screen is {ours}" if info.version != ours else ""
        kind: Kind = "screen" if info.kind == "screen" else "service"
        if self._info is not None and self._info.engine != info.engine:
            # Another one counts its events from the first.
            self._events = ()
        self._info = info
        self._place = Place(kind, info.pid, info.started, info.version, str(self._client.path), words=words)

    def _does_not_answer(self, error: ReplicationError) -> None:
        now = time.time()
        self._failing = self._failing or now
        is_new = now - self._failing < GONE_SECONDS and now - self._answered < UNHEARD_SECONDS
        if is_new and self._info is not None:
            return
        gone, why = self._answered or self._failing, str(error)
        if (gone, why) != (self._place.gone, self._place.why):
            self._place = replace(self._place, gone=gone, why=why)
            self._status = EngineStatus(now, tuple(map(_gone, self._status.databases)))

    def hurry(self) -> None:
        """Ask at once, and connect at once."""
        self._client.hurry()
        self._wake.set()

    def _soon(self) -> None:
        """Ask at once, after something was done."""
        self._wake.set()

    # -- what the engine does ---------------------------------------------------------------------------------------

    def info(self) -> Info:
        return self._client.info()

    def wait_events(self, number: int, seconds: float) -> list[Event]:
        return self._client.wait_events(number, seconds)

    def begin(self, request: Request, key: str = "") -> JobStatus:
        return self._client.begin(request, key)

    def job(self, id: str, version: int = -1, seconds: float = 0.0) -> JobStatus:
        return self._client.job(id, version, seconds)

    def jobs(self) -> tuple[JobStatus, ...]:
        return self._client.jobs()

    def cancel(self, id: str) -> JobStatus:
        return self._client.cancel(id)

    def forget(self, id: str) -> None:
        self._client.forget(id)

    def stop(self) -> None:
        self._client.stop()

    def sync_now(self, database: str | None = None) -> None:
        self._client.sync_now(database)
        self._soon()

    def pause(self, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        try:
            self._client.pause(database, holder, lease_seconds)
        finally:
            self._soon()

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        self._client.renew(database, holder, lease_seconds)

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        try:
            return self._client.resume(database, holder)
        finally:
            self._soon()

    def snapshot(
        self,
        database: str,
        replica: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress = untold,
    ) -> list[str]:
        return self._client.snapshot(database, replica, cancel, progress)

    def verify(self, database: str, cancel: threading.Event, progress: Progress = untold) -> list[Verification]:
        return self._client.verify(database, cancel, progress)


def _gone(database: DatabaseStatus) -> DatabaseStatus:
    """The last status of a database, with an error: it is not known whether it is still so."""
    words = "the engine does not answer: whether this is replicated is not known"
    return replace(database, state="unknown", error=words)
