"""What a screen is given: how things stand, the options it was opened with, and what it may ask of the application.

All values are frozen; the application replaces the view at each poll.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from replication.config import Config
from replication.control import JobControl
from replication.errors import ReplicationError
from replication.events import Event
from replication.status import DatabaseStatus, EngineStatus
from tui.session.place import HERE, Place

REFRESH_SECONDS = 1.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How the screen was asked to be. `clock` gives seconds since the epoch; a still one makes still pictures."""

    read_only: bool = False
    refresh_seconds: float = REFRESH_SECONDS
    slow: bool = False
    """True for a slow connection: no clock and no ages that change by themselves."""
    ascii: bool = False
    mouse: bool = True
    clock: Callable[[], float] = time.time
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys that the user gave to actions, by action id."""
    log_path: Path | None = None
    """The log of this program while the screen is open."""
    log_problem: str = ""
    """Why there is no log, to be said once."""
    welcome: str = ""
    """What to say when the screen opens."""
    again: str = "litestream-tui"
    """The command that shows this again."""


@dataclass(frozen=True, slots=True)
class View:
    """What the engine said last: status, and the kept events, oldest first."""

    status: EngineStatus
    events: tuple[Event, ...] = ()
    place: Place = HERE
    """Where the engine lives."""

    def database(self, path: str) -> DatabaseStatus | None:
        """The status of one database, by its path."""
        return next((item for item in self.status.databases if item.path == path), None)


class Shell(Protocol):
    """The application, as a screen sees it."""

    control: JobControl
    config: Config
    options: Options
    view: View
    frozen: bool
    """True while the user holds the display still."""
    running: set[tuple[str, str]]
    """Commands under way: what, and the path of the database."""
    leaving: threading.Event
    """Set when the program ends: background work gives up and cleans up after itself."""

    def now(self) -> float:
        """Seconds since the epoch, by the clock of the options."""

    def in_background(
        self,
        work: Callable[[], T],
        done: Callable[[T], None] | None = None,
        failed: Callable[[ReplicationError], None] | None = None,
    ) -> None:
        """Do `work` in a thread; then, on the screen's thread, `done` with its result or `failed` with why not."""

    def tell(self, words: str, severity: str = "information") -> None:
        """Answer a key press: a toast. `severity` is information, warning or error."""

    def open_detail(self, database: str) -> None:
        """The screen of one database."""

    def open_restore(self, database: str) -> None:
        """The restore picker of one database."""

    def open_uploads(self) -> None:
        """What is and was uploaded."""

    def open_jobs(self) -> None:
        """The jobs of the engine."""

    def open_log(self) -> None:
        """The events."""

    def leave(self, code: int = 0, hurried: bool = False) -> None:
        """End the program; `hurried` without waiting for uploads."""

    def can_leave_running(self) -> bool:
        """True if the engine of this screen can go on without it."""

    def leave_running(self) -> None:
        """Let the engine go on in the background, and end the program; says so if it cannot."""

    def show_again(self) -> None:
        """Let the screen in front show the view as it is."""

    def poll(self) -> None:
        """Ask the engine at once, and show what it says."""
