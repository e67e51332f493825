"""What a control interface answers with, beside the status: frozen values of plain parts. Times are since the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from replication import errors
from replication.errors import ReplicationError
from replication.restore.meter import RestoreProgress

API = 1
"""The version of the interface. It goes up for what an older client cannot understand, not for new fields and jobs."""

JobState = Literal["running", "cancelling", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Info:
    """Which engine it is. `engine` is another one for each start: numbers of events and jobs are its own."""

    version: str
    api: int
    engine: str
    pid: int
    started: float
    config: str
    """The path of its configuration; empty if it has none."""
    databases: tuple[str, ...]
    kind: str = "service"
    """Service, or screen: an engine that ends with its screen."""
    registered: tuple[str, ...] = ()
    """Databases that were registered and are not in its configuration."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something was not done: the class of the error, its words, the exit code of a command that ends with it."""

    error: str
    words: str
    exit_code: int = 1
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the error."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How a job stands. `version` goes up with each change, so that one can wait for the next."""

    id: str
    do: str
    """What it does: the name of its request."""
    database: str
    state: JobState
    began: float
    version: int = 0
    ended: float = 0.0
    progress: RestoreProgress | None = None
    words: str = ""
    """What the job waits for or reports while it goes on, in words."""
    failure: Failure | None = None
    result: Any = None
    """The result. Its class depends on the request: see results.py."""

    @property
    def over(self) -> bool:
        """True once the job has ended."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync came to: `position` is the newest commit that was copied, `replicas` says which have it."""

    position: str
    replicas: tuple[str, ...]
    lacking: tuple[str, ...]
    """Replicas that do not have it yet."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What reading the configuration anew came to: databases by their paths, and notes to be heeded."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """How many of each: "2 added, 1 removed"."""
        counts = {"added": len(self.added), "removed": len(self.removed), "changed": len(self.changed)}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing changed"


_CLASSES = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, ReplicationError)
}


def failure_of(error: BaseException) -> Failure:
    """An error as a value."""
    if not isinstance(error, ReplicationError):
        return Failure("ReplicationError", f"{type(error).__name__}: {error}; this is a bug, please report it")
    # A class that is known here, though the error may be of one below it that only its module knows.
    name = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _CLASSES)
    more = {key: value for key, value in vars(error).items() if isinstance(value, str | int | bool)}
    return Failure(name, str(error), error.exit_code, more)


def error_of(failure: Failure) -> ReplicationError:
    """The error that a value stands for, of the nearest class that is known here."""
    kind = _CLASSES.get(failure.error, ReplicationError)
    # The words are final: they must not pass through the constructor of the class again.
    error = kind.__new__(kind, failure.words)
    Exception.__init__(error, failure.words)
    for key, value in failure.more.items():
        if key.isidentifier() and not key.startswith("_") and key != "exit_code":
            setattr(error, key, value)
    return error
