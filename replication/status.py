"""How things stand: frozen values for screens, commands and programs. Times are seconds since the epoch."""

from dataclasses import dataclass

from replication.position import Position


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica. `state` is ok, syncing, behind, error, or starting."""

    name: str
    type: str
    address: str
    state: str
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


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """One database. `state` is ok, starting, waiting, busy, or error."""

    path: str
    state: str
    error: str
    position: Position | None
    generation_reason: str
    page_size: int
    wal_bytes: int
    last_sync: float
    last_checkpoint: float
    checkpoint_blocked: int
    replicas: tuple[ReplicaStatus, ...]


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """All databases, at one time."""

    time: float
    databases: tuple[DatabaseStatus, ...]
