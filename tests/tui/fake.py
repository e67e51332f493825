"""A Control that does what a test tells it to: settable statuses, recorded commands, errors and delays on demand."""

import threading
from dataclasses import replace
from pathlib import Path

from replication.config import Config, DatabaseConfig
from replication.control import BY_HAND
from replication.events import Event
from replication.position import Position
from replication.status import (
    DatabaseState,
    DatabaseStatus,
    EngineStatus,
    Progress,
    ReplicaState,
    ReplicaStatus,
    Upload,
    Verification,
    untold,
)

NOW = 1_792_497_871.0
"""The still clock of the tests: 2026-10-20 12:04:31Z."""
GENERATION = "7ecd33100da8c41f"
HANG_SECONDS_MAX = 20.0
"""How long a held command waits to be let go before it gives up."""


def clock() -> float:
    """The clock for Options in still pictures."""
    return NOW


def replica(name: str = "s3", state: ReplicaState = "ok", **changes: object) -> ReplicaStatus:
    """A replica in step, unless `changes` say otherwise."""
    made = ReplicaStatus(
        name=name,
        type="s3",
        address="s3://backup/app",
        state=state,
        position=Position(GENERATION, 3, 4152),
        pending_bytes=0,
        lag_seconds=0.0,
        uploading="",
        uploading_bytes=0,
        uploading_total_bytes=0,
        objects_written=1204,
        bytes_written=8_300_000,
        last_upload=NOW - 2,
        errors_in_a_row=0,
        last_error="",
        next_try=0.0,
        snapshot_time=NOW - 3600,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def database(path: str = "/srv/app.db", state: DatabaseState = "ok", **changes: object) -> DatabaseStatus:
    """A database with one replica in step, unless `changes` say otherwise."""
    made = DatabaseStatus(
        path=path,
        state=state,
        error="",
        position=Position(GENERATION, 3, 4152),
        generation_reason="first start",
        page_size=4096,
        wal_bytes=4_100_000,
        last_sync=NOW,
        last_checkpoint=NOW - 40,
        checkpoint_blocked=0,
        replicas=(replica(),),
        generation_began="2026-10-20T04:27:00Z",
        wal_frames=1000,
        wal_salt="00112233deadbeef",
        checkpoint_words="copied back 812 of 812 frames",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def failing(path: str = "/srv/bad.db", message: str = "the store does not answer") -> DatabaseStatus:
    """A database whose replica has failed three times."""
    bad = replica(
        state="error",
        pending_bytes=1_200_000,
        lag_seconds=14.0,
        errors_in_a_row=3,
        last_error=message,
        next_try=NOW + 4,
    )
    return database(path, replicas=(bad,))


def four() -> tuple[DatabaseStatus, ...]:
    """Four databases, one of them behind."""
    behind = replica(state="behind", pending_bytes=1_200_000, lag_seconds=14.2, last_upload=NOW - 14)
    uploads = tuple(Upload(f"{GENERATION}/{n}", 8272, 900, NOW - 50 * n, 0.1) for n in range(12))
    verified = Verification("s3", "ok", "equal at the same commit", Position(GENERATION, 3, 32), 1.9, NOW - 7200)
    return (
        database("/srv/app.db", replicas=(replica(uploads=uploads, verified=verified),)),
        database("/srv/jobs.db", position=Position("15f8733500000000", 0x11, 20)),
        database("/srv/long/way/down/analytics.db", replicas=(behind,)),
        database("/srv/auth.db"),
    )


class FakeControl:
    """Set `databases` and `events`; look at `commands`. `fails[name]` is raised by that command; while `hold` is
    cleared commands wait.
    """

    def __init__(self, *databases: DatabaseStatus) -> None:
        self.databases = databases
        self.events: list[Event] = []
        self.commands: list[tuple[str, ...]] = []
        self.fails: dict[str, Exception] = {}
        self.hold = threading.Event()
        self.hold.set()
        self.verifications: list[Verification] = []
        self.holders: list[str] = []
        """Who keeps a database paused."""
        self.renewed: list[str] = []
        """Who has renewed that, each time."""
        self.time = NOW
        self.config = empty_config()
        """What `drive` was given."""

    def event(self, level: str, message: str, database: str = "", **attributes: str) -> None:
        """Add an event."""
        items = tuple(attributes.items())
        self.events.append(Event(len(self.events) + 1, self.time, level, message, database, "s3", items))

    def change(self, path: str, **changes: object) -> None:
        """Replace values of one database."""
        self.databases = tuple(
            replace(item, **changes) if item.path == path else item  # type: ignore[arg-type]
            for item in self.databases
        )

    def status(self) -> EngineStatus:
        self._fail("status")
        return EngineStatus(self.time, self.databases)

    def events_since(self, number: int) -> list[Event]:
        self._fail("events_since")
        return [event for event in self.events if event.number > number]

    def sync_now(self, database: str | None = None) -> None:
        self._do("sync_now", database or "")

    def pause(self, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        self._do("pause", database)
        self.holders.append(holder)
        self.change(database, state="paused")

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        self._fail("renew")
        self.renewed.append(holder)

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        self._do("resume", database)
        self.holders = [other for other in self.holders if other != holder]
        if not self.holders:
            self.change(database, state="ok")
        return tuple(self.holders)

    def snapshot(
        self,
        database: str,
        replica: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress = untold,
    ) -> list[str]:
        self._do("snapshot", database)
        return ["s3: snapshot 00000003 written"]

    def verify(self, database: str, cancel: threading.Event, progress: Progress = untold) -> list[Verification]:
        self._do("verify", database)
        return self.verifications or [Verification("s3", "ok", "equal", Position(GENERATION, 3, 32), 1.9, self.time)]

    def _do(self, *command: str) -> None:
        self.commands.append(command)
        self.hold.wait(HANG_SECONDS_MAX)
        self._fail(command[0])

    def _fail(self, name: str) -> None:
        if name in self.fails:
            raise self.fails[name]


def config_of(*databases: DatabaseStatus) -> Config:
    """A configuration with these databases, whose replicas are nowhere."""
    return Config(None, tuple(DatabaseConfig(Path(item.path), Path("/nowhere/meta"), ()) for item in databases))


def empty_config() -> Config:
    """A configuration without databases, for screens that only ask the control."""
    return Config(None, ())
