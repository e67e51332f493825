"""What whoever runs a replica needs of it, whatever layout its objects have: wal03/ is one, another is a folder beside.

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
    """The part that local WAL is kept for, or is let go of where too much waits (promise 6)."""

    @property
    def place(self) -> Position | None:
        """From where on it needs the shadow WAL, as far as that is known."""

    @property
    def is_left_behind(self) -> bool:
        """Nothing is kept for it: it will begin anew."""

    @property
    def failing(self) -> bool:
        """The last try ended with an error of the store."""

    def leave_behind(self, why: str) -> None:
        """Nothing of the shadow WAL is kept for it from now on."""

    def save_place(self) -> None:
        """Write down where it stands, for a later run that may have to let go of it without having reached it."""

    def forget_place(self) -> None:
        """It lacks nothing: what was written down is of before."""


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
        """Everything before it is stored; None until that was looked up."""

    def pending(self, here: Position, position: Position | None) -> int:
        """Bytes of WAL that it lacks at its `position` while the database is `here`; 0 only if that is none."""

    @property
    def begins(self) -> str:
        """A generation whose large first snapshot is left to `begin`; until then nothing is sent. Else nothing."""

    @property
    def unproven(self) -> bool:
        """A generation has begun that was not shown yet to be restorable."""

    @property
    def snapshot_wanted(self) -> bool:
        """One was asked for that had to wait for a commit, which has come."""

    @property
    def snapshot_time(self) -> float:
        """When the newest one was written, in seconds since the epoch; 0 if that is not known."""

    @property
    def snapshot_at(self) -> float:
        """The same, of time.monotonic."""

    @property
    def progress(self) -> UploadProgress:
        """What is under way and what was done."""

    @property
    def sending(self) -> str:
        """The object that is under way beside the one of `progress`, or nothing."""

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """The last objects written."""

    @property
    def standing(self) -> Standing:
        """Whether the newest position is restorable, and when that was shown last."""

    @property
    def totals(self) -> ReplicaTotals:
        """What was done since the program began; its errors are counted by whoever runs it."""

    @property
    def lost(self) -> str:
        """What its being left behind costs, in words; or nothing."""

    @property
    def warning(self) -> str:
        """What a person should know of others who write here, or of the database itself; or nothing."""

    def remember(self, standing: Standing) -> None:
        """What an earlier run has found out."""

    # -- what it does -------------------------------------------------------------------------------------------------

    def send(self) -> bool:
        """Send what is committed, but no large first snapshot. Return True if anything was written."""

    def begin(self) -> bool:
        """Write the large first snapshot that `send` has left, if it has. Return True if it is stored."""

    def snapshot(self) -> str:
        """Write a snapshot of the newest commit. Return what became of it, in words."""

    def prove(self) -> None:
        """Show that what has just begun is restorable, or mend it."""

    def enforce_retention(self, retention_seconds: float, now: datetime) -> int:
        """Prove that the newest position is restorable, then remove what the window does not need.

        Returns the number of objects removed.
        """

    def verify(self, cancel: threading.Event, progress: Progress = untold) -> Verification:
        """Restore the newest commit and compare it with the source. Raises nothing but defects."""

    # -- pauses and ends ----------------------------------------------------------------------------------------------

    def let_go(self) -> None:
        """Nothing is under way here, and others may write from now on: where it stands is looked up anew after that."""

    def end(self) -> None:
        """Begin no duty any more, and break off what nothing waits for: the engine closes."""

    def interrupt(self) -> None:
        """Break off what hangs at the store: there is no more time."""

    def close(self) -> None:
        """Let go of the store. The destination is not used afterwards."""
