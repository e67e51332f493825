"""What a screen shows with -read-only while no engine runs: how things stand, found out from outside.

Its promise: it replicates nothing, locks nothing and writes nothing, neither beside a database nor to a replica. What
there is comes from the local folders and the replicas, read again from time to time; restore points and the tables of
a moment can be looked at. Once an engine of the configuration runs, the screen is attached to that.
"""

import threading
import time
from collections.abc import Callable
from typing import Never, cast

from replication.config import Config
from replication.control import BY_HAND
from replication.control.client import Client
from replication.control.contract import JobControl
from replication.control.local import Local
from replication.control.place import find
from replication.control.requests import CHANGES, Request
from replication.control.values import JobStatus
from replication.database.together import all_databases
from replication.engine import Engine
from replication.errors import NotAllowedError
from replication.events import Event, EventLog
from replication.status import EngineStatus, Progress, Verification, untold
from replication.survey import survey
from tui.session.attached import Attached
from tui.session.late_engine import LateEngine, starting
from tui.session.outside import status_of
from tui.session.place import Place
from tui.version import version

READ_SECONDS = 15.0
"""Between two looks at folders and replicas."""
READ_SHARE = 20
"""And never more often than in so many times as long as one took: a store has other things to do."""
FIND_SECONDS = 1.0
"""Between two looks for an engine."""
NOBODY = Place("none")


class LookOnly(LateEngine):
    """A JobControl. `changed` is called from a thread when there is something new to show."""

    def __init__(self, config: Config, refresh_seconds: float, changed: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self.changed = changed
        self._refresh = refresh_seconds
        self._attached: Attached | None = None
        self._closed = threading.Event()
        self._nobody = _Nobody(config)
        self._looks = Local(cast(Engine, self._nobody), config, version(), "none", opens_live=False)

    def start(self) -> None:
        """Begin to look, in a thread."""
        self._thread = threading.Thread(target=self._look_on, name="look", daemon=True)
        self._thread.start()

    def close(self, timeout_seconds: float) -> list[str]:
        """Look no more. Return the names of what did not end, which is left behind: it holds nothing."""
        self._closed.set()
        if self._attached is not None:
            self._attached.close()
        return self._looks.close(timeout_seconds)

    @property
    def place(self) -> Place:
        """Where the engine is, if one runs."""
        return self._attached.place if self._attached is not None else NOBODY

    def status(self) -> EngineStatus:
        return self._running().status()

    def events_since(self, number: int) -> list[Event]:
        return self._running().events_since(number)

    def jobs(self) -> tuple[JobStatus, ...]:
        return self._running().jobs()

    def begin(self, request: Request, key: str = "") -> JobStatus:
        if request.DO in CHANGES:
            raise NotAllowedError("-read-only gives no command, and no engine runs: this screen only looks")
        return self._running().begin(request, key)

    def _running(self) -> JobControl:
        return self._attached or self._looks

    def _look_on(self) -> None:
        next_read = 0.0
        while not self._closed.is_set():
            path = find(self._config)
            if path is not None:
                self._attached = Attached(Client(path, read_only=True), self._refresh, self.changed)
                self._attached.start()
                return
            began = time.monotonic()
            if began >= next_read:
                self._nobody.read()
                took = time.monotonic() - began
                next_read = began + max(READ_SECONDS, READ_SHARE * took)
                self.changed()
            self._closed.wait(FIND_SECONDS)


class _Nobody:
    """In the place of an engine: it knows what was found out, and does nothing."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.events = EventLog()
        self._status = EngineStatus(time.time(), tuple(starting(str(item.path)) for item in config.databases))

    def read(self) -> None:
        """Find out how everything stands. May wait for stores."""
        found = survey(all_databases(self.config))
        now = time.time()
        self._status = EngineStatus(now, tuple(status_of(report, now) for report in found.reports))

    def status(self) -> EngineStatus:
        return self._status

    def events_since(self, number: int) -> list[Event]:
        return []

    def sync_now(self, database: str | None = None) -> None:
        _refuse()

    def pause(self, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        _refuse()

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        _refuse()

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        _refuse()

    def snapshot(
        self,
        database: str,
        replica: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress = untold,
    ) -> list[str]:
        _refuse()

    def verify(self, database: str, cancel: threading.Event) -> list[Verification]:
        _refuse()


def _refuse() -> Never:
    raise NotAllowedError("-read-only gives no command, and no engine runs: this screen only looks")
