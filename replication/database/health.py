"""How a database is: a frozen value, replaced as a whole, that any thread may read.

Times are seconds since the epoch.
"""

from dataclasses import dataclass, replace

from replication.sqlite.pin import CheckpointResult
from replication.status import DatabaseState


@dataclass(frozen=True, slots=True)
class Health:
    """What a status says of a database itself, without its replicas."""

    state: DatabaseState = "starting"
    error: str = ""
    wal_bytes: int = 0
    last_sync: float = 0.0
    last_checkpoint: float = 0.0
    checkpoint_blocked: int = 0
    """Checkpoints in a row that other readers or a writer kept from completing."""
    checkpoint_words: str = ""
    """What the last checkpoint did."""

    def after_checkpoint(self, result: CheckpointResult, now: float, blocked: int, put_off: str) -> "Health":
        """The same after a checkpoint, with what that did.

        `put_off` says why one had to wait, if images were in its way.
        """
        words = f"{result.backfilled_frames} of {result.log_frames} frames backfilled"
        if result.busy:
            words = f"put off: {put_off or 'a writer or another checkpoint was busy'}"
        elif not result.complete:
            words += ", the rest is held by another reader"
        done = now if result.complete else self.last_checkpoint
        return replace(self, last_checkpoint=done, checkpoint_blocked=blocked, checkpoint_words=words)
