"""How a database is: a frozen value, replaced as a whole, that any thread may read.

Times are seconds since the epoch.
"""

from dataclasses import dataclass

from replication.status import DatabaseState


@dataclass(frozen=True, slots=True)
class Health:
    """How a database is: replaced as a whole, so that any thread may read it. Times are seconds since the epoch."""

    state: DatabaseState = "starting"
    error: str = ""
    wal_bytes: int = 0
    last_sync: float = 0.0
    last_checkpoint: float = 0.0
    checkpoint_blocked: int = 0
    """Checkpoints in a row that other readers or a writer kept from completing."""
    checkpoint_words: str = ""
    """What the last checkpoint did."""
