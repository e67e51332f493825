"""How things stand: frozen values for screens, commands and programs. Times are seconds since the epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from replication.position import Position

UPLOADS_MAX = 200
BY_HAND = "P"
"""Who holds what a person has paused with that key."""

DatabaseState = Literal["starting", "waiting", "ok", "busy", "error", "pausing", "paused", "stopped", "unknown"]
"""How a database stands; "pausing" is not yet let go of. No engine says "stopped", of one that none replicates, or
"unknown", of one whose engine is silent.
"""
ReplicaState = Literal["starting", "ok", "syncing", "behind", "error"]
Outcome = Literal["ok", "failed", "inconclusive"]


Progress = Callable[[Any], None]
"""Takes how far a restore is, from time to time: a RestoreProgress, which who verifies passes on and does not know."""


def untold(progress: Any) -> None:
    """The Progress of who does not want to know."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One object that was written: its uncompressed and stored bytes, when, and how long it took."""

    name: str
    size: int
    stored: int
    time: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of restoring a replica to a temporary file and comparing it with the source at the same commit.

    "inconclusive" means that it could not be done (the store did not answer, it was cancelled): it says nothing
    of the data.
    """

    replica: str
    outcome: Outcome
    words: str
    position: Position | None
    seconds: float
    time: float
    exit_code: int = 0
    """That of a command which ends with it."""


@dataclass(frozen=True, slots=True)
class ReplicaTotals:
    """What was done for a replica since the program began."""

    wal_bytes: int = 0
    """Uncompressed bytes of the segments stored, the headers of the WAL included."""
    verifications: tuple[tuple[str, float], ...] = ()
    """How many had which outcome."""
    requests: tuple[tuple[str, float], ...] = ()
    """How many the store was asked, by LIST, GET, PUT and DELETE; none of a store that is a folder."""
    request_bytes: tuple[tuple[str, float], ...] = ()
    """Stored bytes that went with GET and PUT."""
    errors: tuple[tuple[str, float], ...] = ()
    """How many errors of which class there were."""


@dataclass(frozen=True, slots=True)
class DatabaseTotals:
    """What was done for a database since the program began."""

    wal_bytes: int = 0
    """Bytes of frames that were copied, without headers of the WAL."""
    syncs: int = 0
    sync_errors: int = 0
    sync_seconds: float = 0.0
    checkpoints: int = 0
    checkpoint_errors: int = 0
    checkpoint_seconds: float = 0.0
    errors: tuple[tuple[str, float], ...] = ()
    """How many errors of which class there were."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica."""

    name: str
    type: str
    address: str
    state: ReplicaState
    position: Position | None
    pending_bytes: int
    """Bytes of WAL that the shadow WAL has and the replica lacks, uncompressed."""
    lag_seconds: float
    """Age of the oldest commit that the replica lacks; 0 when it lacks none."""
    uploading: str
    """Name of the object in flight, or empty."""
    uploading_bytes: int
    uploading_total_bytes: int
    objects_written: int
    bytes_written: int
    last_upload: float
    errors_in_a_row: int
    last_error: str
    next_try: float
    """When the next try comes after an error; 0 without one."""
    snapshot_time: float
    """When the newest snapshot was written; 0 if unknown."""
    next_snapshot: float = 0.0
    """When the next one is due; 0 if none is planned."""
    verified: Verification | None = None
    """The last verification, whatever its outcome."""
    warning: str = ""
    """What a person should know although nothing failed: that others write to the same place."""
    duty_warning: str = ""
    """Which of snapshots, proofs and retention fail, in words, although commits arrive; empty if none."""
    uploading_also: str = ""
    """Name of a segment in flight beside a snapshot, or empty."""
    uploads: tuple[Upload, ...] = ()
    """The last objects written, oldest first, at most UPLOADS_MAX."""
    proven: float = 0.0
    """When a listing last showed the newest position to be restorable; 0 if never."""
    lost: str = ""
    """Which restore points were lost last, in words; empty if none."""
    error_code: int = 0
    """The exit code of a command that meets the last error; 0 while there is none."""
    totals: ReplicaTotals = ReplicaTotals()


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """One database."""

    path: str
    state: DatabaseState
    error: str
    position: Position | None
    generation_reason: str
    page_size: int
    wal_bytes: int
    last_sync: float
    last_checkpoint: float
    checkpoint_blocked: int
    replicas: tuple[ReplicaStatus, ...]
    generation_began: str = ""
    """RFC 3339; empty for one that Litestream began."""
    wal_frames: int = 0
    """Frames copied of the current life of the WAL."""
    wal_salt: str = ""
    """The salts of that life, as 16 hex digits."""
    checkpoint_words: str = ""
    """What the last checkpoint did."""
    size_bytes: int = 0
    """Of the database file as the last sync saw it; 0 while it is not held."""
    shadow_bytes: int = 0
    """Of the shadow WAL of the generation in use, as far as was looked at."""
    totals: DatabaseTotals = DatabaseTotals()
    paused_at: float = 0.0
    """Since when it is paused, and nothing of it copied; 0 if it is not."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """All databases, at one time."""

    time: float
    databases: tuple[DatabaseStatus, ...]
