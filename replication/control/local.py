"""The control of an engine in this process."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from replication.config import Config
from replication.control import requests as ask
from replication.control.changing import Changing
from replication.control.jobs import Jobs
from replication.control.rereading import Rereading
from replication.control.values import API, Info, JobStatus
from replication.control.work import Work
from replication.engine import Engine
from replication.events import Event
from replication.status import BY_HAND, EngineStatus, Progress, Verification, untold

JOBS_SECONDS_MAX = 2.0
"""How long jobs under way may take to clean up when the engine ends."""


class Local:
    """A JobControl on an engine that the caller starts and closes; `stop` calls `ends`."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        version: str,
        kind: str = "service",
        ends: Callable[[], None] = lambda: None,
        rereading: Rereading | None = None,
        opens_live: bool = True,
    ) -> None:
        """`rereading` reads its configuration anew, if that can be."""
        self.engine = engine
        self._jobs = Jobs()
        self._work = Work(engine, lambda: engine.config, self._jobs, Changing(engine, rereading), opens_live)
        self._ends = ends
        self._info = Info(version, API, self._jobs.engine, os.getpid(), time.time(), str(config.path or ""), (), kind)

    def info(self) -> Info:
        databases = tuple(item.path for item in self.engine.status().databases)
        return replace(self._info, databases=databases, registered=self.engine.registered)

    def status(self) -> EngineStatus:
        return self.engine.status()

    def events_since(self, number: int) -> list[Event]:
        return self.engine.events_since(number)

    def wait_events(self, number: int, seconds: float) -> list[Event]:
        return self.engine.events.wait(number, seconds)

    def begin(self, request: ask.Request, key: str = "") -> JobStatus:
        return self._jobs.begin(request.DO, getattr(request, "database", ""), self._work.of(request), key)

    def job(self, id: str, version: int = -1, seconds: float = 0.0) -> JobStatus:
        return self._jobs.status(id, version, seconds)

    def jobs(self) -> tuple[JobStatus, ...]:
        return self._jobs.all()

    def cancel(self, id: str) -> JobStatus:
        return self._jobs.cancel(id)

    def forget(self, id: str) -> None:
        self._jobs.forget(id)

    def stop(self) -> None:
        self._ends()

    # -- what the engine does in the caller's thread ----------------------------------------------------------------

    def sync_now(self, database: str | None = None) -> None:
        self.engine.sync_now(database)

    def pause(self, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        self.engine.pause(database, holder, lease_seconds)

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        self.engine.renew(database, holder, lease_seconds)

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        return self.engine.resume(database, holder)

    def snapshot(
        self,
        database: str,
        replica: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress = untold,
    ) -> list[str]:
        return self.engine.snapshot(database, replica, cancel, progress)

    def verify(self, database: str, cancel: threading.Event, progress: Progress = untold) -> list[Verification]:
        return self.engine.verify(database, cancel, progress)

    def close(self, seconds: float = JOBS_SECONDS_MAX) -> list[str]:
        """Cancel the jobs under way, and return the names of those that did not end.

        The engine is the caller's to close.
        """
        return self._jobs.close(seconds)
