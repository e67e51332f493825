"""An engine that is loaded and started behind the screen: the first paint waits for neither SQLite nor S3 libraries.

It is a JobControl from the first moment: until the engine runs, every database is "starting". What the engine
refuses at its start (another process has a database) is handed to the caller, who ends the screen with it.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from replication.config import Config
from replication.control import BY_HAND, JobControl
from replication.control.requests import Request
from replication.control.values import Info, JobStatus
from replication.errors import ReplicationError
from replication.events import Event
from replication.status import DatabaseStatus, EngineStatus, Progress, Verification, untold
from tui.version import version

if TYPE_CHECKING:
    from replication.control.service import ControlService
    from replication.engine import Engine


class LateEngine:
    """`start` returns at once; `refused` is called, in a thread, with the error of an engine that cannot start."""

    def __init__(self, config: Config, refused: Callable[[], None] = lambda: None, expand_env: bool = True) -> None:
        self.error: BaseException | None = None
        """Why the engine could not start."""
        self.refused = refused
        self._config = config
        self._expand_env = expand_env
        self._engine: Engine | None = None
        self._service: ControlService | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load and start the engine in a thread."""
        self._thread = threading.Thread(target=self._start, name="engine-start", daemon=True)
        self._thread.start()

    def _start(self) -> None:
        try:
            from replication.config import load_config
            from replication.control.rereading import Rereading
            from replication.control.service import ControlService
            from replication.engine import Engine

            engine = Engine(self._config)
            rereading = Rereading(engine, lambda: load_config(self._config.path, self._expand_env))
            service = ControlService(engine, self._config, version(), "screen", rereading=rereading)
            engine.start()
            service.start()
        except BaseException as error:  # it is the caller's to tell, whatever it is
            self.error = error
            self.refused()
            return
        self._service = service
        self._engine = engine

    def config(self) -> Config:
        """What the engine replicates now."""
        return self._engine.config if self._engine is not None else self._config

    def registered(self) -> tuple[str, ...]:
        """Databases that the engine has and the configuration has not."""
        return self._engine.registered if self._engine is not None else ()

    def close(self, timeout_seconds: float) -> list[str]:
        """Close the engine, if it ever started. Return the names of what did not end."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)
            if self._thread.is_alive():
                return [self._thread.name]
        if self._engine is None or self._service is None:
            return []
        left = self._service.control.close() + self._engine.close(timeout_seconds)
        self._service.close()
        return left

    def status(self) -> EngineStatus:
        if self._engine is not None:
            return self._engine.status()
        return EngineStatus(time.time(), tuple(starting(str(item.path)) for item in self._config.databases))

    def events_since(self, number: int) -> list[Event]:
        return self._engine.events_since(number) if self._engine is not None else []

    def wait_events(self, number: int, seconds: float) -> list[Event]:
        return self._running().wait_events(number, seconds)

    def info(self) -> Info:
        return self._running().info()

    def begin(self, request: Request, key: str = "") -> JobStatus:
        return self._running().begin(request, key)

    def job(self, id: str, version: int = -1, seconds: float = 0.0) -> JobStatus:
        return self._running().job(id, version, seconds)

    def jobs(self) -> tuple[JobStatus, ...]:
        return self._running().jobs() if self._service is not None else ()

    def cancel(self, id: str) -> JobStatus:
        return self._running().cancel(id)

    def forget(self, id: str) -> None:
        self._running().forget(id)

    def stop(self) -> None:
        self._running().stop()

    def sync_now(self, database: str | None = None) -> None:
        self._running().sync_now(database)

    def pause(self, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        self._running().pause(database, holder, lease_seconds)

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        self._running().renew(database, holder, lease_seconds)

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        return self._running().resume(database, holder)

    def snapshot(
        self,
        database: str,
        replica: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress = untold,
    ) -> list[str]:
        return self._running().snapshot(database, replica, cancel, progress)

    def verify(self, database: str, cancel: threading.Event, progress: Progress = untold) -> list[Verification]:
        return self._running().verify(database, cancel, progress)

    def _running(self) -> JobControl:
        if self._service is None:
            raise ReplicationError("the engine is still starting; try again in a moment")
        return self._service.control


def starting(path: str) -> DatabaseStatus:
    """A database of which nothing is known yet."""
    return DatabaseStatus(path, "starting", "", None, "", 0, 0, 0.0, 0.0, 0, ())
