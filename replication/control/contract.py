"""What a screen or a program may ask of an engine, as one small interface: status, events, commands, jobs.

`local.py` implements it in the engine's process, `client.py` as a client of one that runs elsewhere: every value that
passes is frozen and made of plain parts. Databases are named by their path as `status` shows it. All raise
ReplicationError, of the class that it had in the engine.
"""

import threading
from typing import Protocol

from replication.control.requests import Request
from replication.control.values import Info, JobStatus
from replication.events import Event
from replication.status import BY_HAND, EngineStatus, Progress, Verification, untold


class Control(Protocol):
    """What a screen may ask of an engine. Commands that take long block, and are called from a thread of their own."""

    def status(self) -> EngineStatus:
        """The status of everything now."""

    def events_since(self, number: int) -> list[Event]:
        """Events after event `number`, oldest first."""

    def sync_now(self, database: str | None = None) -> None:
        """Sync a database, or all with None, and try its replicas, waiting for no gap and no retry."""

    def pause(self, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        """Let go of a database for `holder`: nothing is copied or uploaded until nobody holds it any more.

        Blocks until it is let go of, and raises PausedError if it goes on before that: `holder` has let go, or has not
        renewed. Asked again it is the same hold with another time.

        Without a lease the pause lasts as long as the engine does: for a person at its own screen. A caller that may
        die, hang or lose the connection takes a lease, and renews it before it ends; else replication goes on, and an
        event says so.
        """

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        """Keep a database paused for so long from now on. Waits for nothing. Raises PausedError if `holder` has not
        renewed in time: then it is replicated again, and `holder` may not act on it as on one that is let go of.
        """

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        """End the pause of `holder`, and return the holders that still need one. Waits for nothing.

        If nobody does it is replicated again; where nothing proves that no commit was missed, with a new generation.
        """

    def snapshot(
        self,
        database: str,
        replica: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress = untold,
    ) -> list[str]:
        """Write a snapshot now, to one replica or to all. Return what became of each, in words.

        Blocks; setting `cancel` ends it early, and nothing of one that is not whole is left. `progress` takes a
        RestoreProgress of each replica, in bytes of the database.
        """

    def verify(self, database: str, cancel: threading.Event, progress: Progress = untold) -> list[Verification]:
        """Restore the newest commit from each replica and compare it with the source.

        Blocks; setting `cancel` ends it early. `progress` takes a RestoreProgress of each replica.
        """


class JobControl(Control, Protocol):
    """The same, and jobs. A job takes long, goes on without the client that began it, and is known by an id.

    A job outlives the connection; the engine keeps what came of the newest JOBS_KEPT_MAX jobs.
    """

    def info(self) -> Info:
        """The id of the engine, its process and its version."""

    def wait_events(self, number: int, seconds: float) -> list[Event]:
        """As `events_since`, but wait so long for a first one."""

    def begin(self, request: Request, key: str = "") -> JobStatus:
        """Begin a job, and return at once. Asked again with the same `key`, it is the same job.

        So a client that does not know whether a request arrived can ask again.
        """

    def job(self, id: str, version: int = -1, seconds: float = 0.0) -> JobStatus:
        """How a job stands, once it is newer than `version`, or as it is after so long.

        Raises NoJobError if it is not kept.
        """

    def jobs(self) -> tuple[JobStatus, ...]:
        """All jobs that are kept, oldest first, without results: those are asked of each job by its id."""

    def cancel(self, id: str) -> JobStatus:
        """Cancel a job: it ends soon, and what it wrote is removed. One that is over stays as it is."""

    def forget(self, id: str) -> None:
        """Cancel a job, and let go of what it keeps, such as the temporary file of a look."""

    def stop(self) -> None:
        """End the engine in good order, as a signal does. Returns when that has begun."""
