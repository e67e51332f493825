"""What the runner of a replica needs of it, whatever layout its objects have: wal03/ is one, another is a folder
beside.

Positions, verifications and uploads are values that every layout speaks in; what it calls them in the store is its own
business. Three threads at most use one destination at once: one that sends, one with a duty, one that verifies. All
attributes may be read by any thread and never wait. All methods raise StorageError, and whatever the database raises,
and may be called again after that.
"""

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from replication.position import Position
from replication.replica.ordered import Order
from replication.replica.upload_meter import UploadProgress
from replication.status import Progress, ReplicaTotals, Upload, Verification, untold


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of the newest position. Times are seconds since the epoch, of the host.

    `proven` is when it was last shown to be restorable, 0 if never; `broken` says why it is not, as long as it is not;
    `lost` says which restore points were lost last.
    """

    proven: float = 0.0
    broken: str = ""
    lost: str = ""


class Waiting(Protocol):
    """A destination as far as local WAL is kept for it, or given up where too much waits (promise 6)."""

    @property
    def needed_from(self) -> Position | None:
        """The position from which on it needs the shadow WAL, or None if that is not known."""

    @property
    def is_left_behind(self) -> bool:
        """True if no shadow WAL is kept for it any more: it will begin anew with a snapshot."""

    @property
    def failing(self) -> bool:
        """True if the last try ended with an error of the store."""

    def leave_behind(self, why: str) -> None:
        """Keep no shadow WAL for it from now on. `why` says in words what the reason is."""

    def save_position(self) -> None:
        """Write down its position, for a later run that may have to give up its WAL before the store is reached."""

    def forget_position(self) -> None:
        """Remove the position that was written down: the destination lacks nothing now."""


class Destination(Waiting, Protocol):
    """One destination of one database."""

    name: str
    verified: Verification | None
    """The last verification; that of an earlier run may be set."""

    @property
    def kind(self) -> str:
        """The kind of its store, in the word of the configuration."""

    @property
    def address(self) -> str:
        """Where it is, for people, without secrets."""

    # -- how it stands ------------------------------------------------------------------------------------------------

    @property
    def position(self) -> Position | None:
        """Everything before this position is stored. None until it was looked up in the store."""

    def pending(self, here: Position, position: Position | None) -> int:
        """Bytes of WAL that it lacks at its `position` while the database is at `here`.

        0 means that it lacks nothing.
        """

    @property
    def begins(self) -> str:
        """The generation whose large first snapshot is left to `begin`, before which nothing is sent; else ""."""

    @property
    def unproven(self) -> bool:
        """True if a generation has begun that was not shown yet to be restorable."""

    @property
    def snapshot_wanted(self) -> bool:
        """True if a snapshot was asked for that had to wait for a commit, and the commit has come."""

    @property
    def snapshot_time(self) -> float:
        """When the newest snapshot was written, in seconds since the epoch; 0 if that is not known."""

    @property
    def snapshot_at(self) -> float:
        """When the newest snapshot was written, of time.monotonic."""

    @property
    def progress(self) -> UploadProgress:
        """What is under way and what was done."""

    @property
    def sending(self) -> str:
        """The name of the object that is under way beside the one of `progress`, or ""."""

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """The last objects written."""

    @property
    def standing(self) -> Standing:
        """Whether the newest position is restorable, and when that was shown last."""

    @property
    def totals(self) -> ReplicaTotals:
        """What was done since the program began; its errors are counted by its runner."""

    @property
    def lost(self) -> str:
        """What is lost by its being left behind, in words, or ""."""

    @property
    def warning(self) -> str:
        """What a person should know of others who write here, or of the database itself, or ""."""

    def remember(self, standing: Standing) -> None:
        """Take over what an earlier run has found out."""

    # -- what it does -------------------------------------------------------------------------------------------------

    def send(self) -> bool:
        """Send what is committed, but no large first snapshot. Return True if anything was written."""

    def begin(self) -> bool:
        """Write the large first snapshot that `send` has left, if it has. Return True if it is stored."""

    def snapshot(self, order: Order | None = None) -> str:
        """Write a snapshot of the newest commit. Return what became of it, in words.

        With an `order` that is cancelled it raises RestoreCancelledError, and nothing of it is there.
        """

    def prove(self) -> None:
        """Show that the generation that has just begun is restorable, or mend it."""

    def enforce_retention(self, retention_seconds: float, now: datetime) -> int:
        """Prove that the newest position is restorable, then remove what the window does not need.

        Returns the number of objects removed.
        """

    def verify(self, cancel: threading.Event, progress: Progress = untold) -> Verification:
        """Restore the newest commit and compare it with the source. Raises nothing but defects."""

    # -- pauses and ends ----------------------------------------------------------------------------------------------

    def let_go(self) -> None:
        """Forget the position, since others may write from now on. Nothing is under way here."""

    def end(self) -> None:
        """Begin no duty any more, and break off uploads that nothing waits for: the engine closes."""

    def interrupt(self) -> None:
        """Break off what hangs at the store: there is no more time."""

    def close(self) -> None:
        """Let go of the store. The destination is not used afterwards."""
