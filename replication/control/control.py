"""What a screen or a program may ask of an engine, as one small interface: status, events, commands.

The in-process Engine implements it; a client of a running daemon can do so too, as every value that passes is
frozen and made of plain parts. Databases are named by their path as `status` shows it.
"""

import threading
from typing import Protocol

from replication.events import Event
from replication.status import EngineStatus, Verification

BY_HAND = "P"
"""Who holds what a person has paused with that key."""


class Control(Protocol):
    """Commands that take long block, and are called from a thread of their own. All raise ReplicationError."""

    def status(self) -> EngineStatus:
        """How everything stands now."""

    def events_since(self, number: int) -> list[Event]:
        """Events after event `number`, oldest first."""

    def sync_now(self, database: str | None = None) -> None:
        """Look at a database (None: at all) and try its replicas, waiting for no gap and no retry."""

    def pause(self, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        """Let go of a database for `holder`: nothing is copied or uploaded until nobody holds it any more.

        Blocks until it is let go of, and raises PausedError if it goes on before that: `holder` has let go, or has not
        renewed. Asked again it is the same hold with another time.

        Without a lease the hold lasts as long as the engine does: for a person at its own screen. Whoever may die, hang
        or lose the connection takes a lease, and renews it before it ends; else replication goes on, and an event says
        so.
        """

    def renew(self, database: str, holder: str, lease_seconds: float) -> None:
        """Keep a database paused for so long from now on; waits for nothing. Raises PausedError if `holder` has not
        renewed in time: then it is replicated again, and `holder` may not act on it as on one that is let go of.
        """

    def resume(self, database: str, holder: str = BY_HAND) -> tuple[str, ...]:
        """`holder` needs the pause no longer; who else still holds it. Waits for nothing.

        If nobody does it is replicated again; where nothing proves that no commit was missed, with a new generation.
        """

    def snapshot(self, database: str, replica: str | None = None) -> list[str]:
        """Write a snapshot now, to one replica or to all; what became of each, in words. Blocks."""

    def verify(self, database: str, cancel: threading.Event) -> list[Verification]:
        """Restore the newest commit from each replica and compare. Blocks; `cancel` ends it early."""
