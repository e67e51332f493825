"""The screen's demo: several databases with writers of their own, so that every state can be seen within a minute.

Its promise: the writing processes are gone when the context ends. The folder given, and what is in it, is left
to the caller.
"""

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from replication.config import Config, DatabaseConfig, ReplicaConfig, default_meta_path
from replication.errors import ReplicationError
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from tui.demo.application import Application
from tui.demo.replication import CHECKPOINT_PAGES

OUTAGE_EVERY_SECONDS = 45.0
OUTAGE_SECONDS = 15.0
"""How long the disk of flaky.db is away, each time."""
SNAPSHOT_SECONDS = 60
LATER_SECONDS = 20.0
"""When later.db is made."""
JOIN_SECONDS_MAX = 3.0


@dataclass(frozen=True, slots=True)
class Member:
    """One database: how many commits it gets in how many seconds, again and again, and after how long it is made."""

    name: str
    commits: int
    seconds: float
    after: float = 0.0


MEMBERS = (
    Member("busy.db", 10, 1.0),
    Member("quiet.db", 1, 20.0),
    Member("flaky.db", 2, 1.0),
    Member("later.db", 1, 5.0, after=LATER_SECONDS),
)
WORDS = (
    "busy.db is written ten times a second, quiet.db now and then; the disk of flaky.db's replica comes and goes; "
    "later.db comes later. Try enter, r, R, s, v; ? has all keys."
)
LEAVING_WORDS = "q, then b leaves it running, and the same command comes back. "


CONFIG_NAME = "litestream.yml"


def config_text(folder: Path) -> str:
    """The same databases as a configuration file, whose engine is found by the folder."""
    lines = ["dbs:"]
    for member in MEMBERS:
        replica = folder / "disk" / member.name if member.name == "flaky.db" else folder / "replicas" / member.name
        lines += [
            f"- path: {_quoted(folder / member.name)}",
            f"  min-checkpoint-page-count: {CHECKPOINT_PAGES}",
            "  replicas:",
            "  - name: demo",
            f"    path: {_quoted(replica)}",
            f"    snapshot-interval: {SNAPSHOT_SECONDS}s",
        ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    """A path as YAML takes it, whatever is in it."""
    return json.dumps(str(path))


class Crowd:
    """Writers that write until the context ends, and a disk that comes and goes."""

    def __init__(self, folder: Path, location_of: Callable[[str], Location] | None = None) -> None:
        """`location_of` says where a database is replicated to; by default a folder below `folder`."""
        self._folder = folder
        self._location_of = location_of or (lambda name: FileLocation(folder / "replicas" / name))
        self._stop = threading.Event()
        self._stack = ExitStack()
        self._threads: list[threading.Thread] = []

    @property
    def config(self) -> Config:
        """All databases, with checkpoints and snapshots often enough to see some."""
        return Config(None, tuple(self._database(member.name) for member in MEMBERS))

    def _database(self, name: str) -> DatabaseConfig:
        location = FileLocation(self._disk / name) if name == "flaky.db" else self._location_of(name)
        path = self._folder / name
        replica = ReplicaConfig("demo", location, snapshot_interval=float(SNAPSHOT_SECONDS))
        return DatabaseConfig(path, default_meta_path(path), (replica,), min_checkpoint_page_count=CHECKPOINT_PAGES)

    @property
    def _disk(self) -> Path:
        return self._folder / "disk"

    def __enter__(self) -> "Crowd":
        self._disk.mkdir(parents=True, exist_ok=True)
        for member in MEMBERS:
            self._begin(f"write {member.name}", lambda member=member: self._write(member))  # type: ignore[misc]
        self._begin("disk", self._come_and_go)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS_MAX)
        self._stack.close()

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _write(self, member: Member) -> None:
        if self._stop.wait(member.after):
            return
        # A writer that fails is one that stops: the screen shows its database as it is.
        with suppress(ReplicationError), Application(self._folder / member.name) as application:
            while not self._stop.is_set():
                application.commit(member.commits, min(1.0, member.seconds))
                self._stop.wait(max(0.0, member.seconds - 1.0))

    def _come_and_go(self) -> None:
        away = self._folder / "disk, away"
        while not self._stop.wait(OUTAGE_EVERY_SECONDS - OUTAGE_SECONDS):
            self._disk.rename(away)
            try:
                # A file stands where the folder was, so that nothing can be written there meanwhile.
                self._disk.touch(exist_ok=False)
            except FileExistsError:
                # The engine was quicker and has made the folder anew: what it wrote goes to the rest.
                _move_into(self._disk, away)
            else:
                self._stop.wait(OUTAGE_SECONDS)
                self._disk.unlink()
            away.rename(self._disk)


def _move_into(new: Path, old: Path) -> None:
    for path in sorted(new.rglob("*"), reverse=True):
        target = old / path.relative_to(new)
        if path.is_dir():
            path.rmdir()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    new.rmdir()
