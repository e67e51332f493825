"""How a database is, and when its commits arrived: frozen values, replaced as a whole, that any thread may read.

Times are seconds since the epoch.
"""

from dataclasses import dataclass

from replication.position import Position

ARRIVALS_MAX = 4096
"""How many copies are remembered with their times, for the lag of replicas."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """At `time` (seconds since the epoch) the commits up to `position` had been copied."""

    position: Position
    time: float


@dataclass(frozen=True, slots=True)
class Health:
    """How a database is: replaced as a whole, so that any thread may read it. Times are seconds since the epoch."""

    state: str = "starting"
    error: str = ""
    wal_bytes: int = 0
    last_sync: float = 0.0
    last_checkpoint: float = 0.0
    checkpoint_blocked: int = 0
    """Checkpoints in a row that other readers or a writer kept from completing."""
    checkpoint_words: str = ""
    """What the last checkpoint did."""
