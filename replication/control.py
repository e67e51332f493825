"""What a screen or a program may ask of an engine, as one small interface: status, events, commands.

The in-process Engine implements it; a client of a running daemon can do so too, as every value that passes is
frozen and made of plain parts. Databases are named by their path as `status` shows it.
"""

import threading
from typing import Protocol

from replication.events import Event
from replication.status import EngineStatus, Verification


class Control(Protocol):
    """Commands that take long block, and are called from a thread of their own. All raise ReplicationError."""

    def status(self) -> EngineStatus:
        """How everything stands now."""

    def events_since(self, number: int) -> list[Event]:
        """Events after event `number`, oldest first."""

    def sync_now(self, database: str | None = None) -> None:
        """Look at a database (None: at all) and try its replicas, waiting for no gap and no retry."""

    def pause(self, database: str) -> None:
        """Let go of a database: nothing is copied or uploaded until `resume`. Blocks until it is let go."""

    def resume(self, database: str) -> None:
        """Replicate again; where nothing proves that no commit was missed, with a new generation."""

    def snapshot(self, database: str, replica: str | None = None) -> list[str]:
        """Write a snapshot now, to one replica or to all; what became of each, in words. Blocks."""

    def verify(self, database: str, cancel: threading.Event) -> list[Verification]:
        """Restore the newest commit from each replica and compare. Blocks; `cancel` ends it early."""
