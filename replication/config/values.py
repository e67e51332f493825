"""The configuration as frozen values, with the defaults of Litestream 0.3.13.

Callers import them from replication.config; this module only keeps its readers apart from one another.
"""

from dataclasses import dataclass
from pathlib import Path

from replication.storage.location import Location

MONITOR_SECONDS = 1.0
CHECKPOINT_SECONDS = 60.0
MIN_CHECKPOINT_PAGE_COUNT = 1_000
MAX_CHECKPOINT_PAGE_COUNT = 10_000
RETENTION_SECONDS = 24 * 3600.0
RETENTION_CHECK_SECONDS = 3600.0
SYNC_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """How to log: `level` debug, info, warn or error; `type` text or json; to stderr, else to stdout."""

    level: str = "info"
    type: str = "text"
    stderr: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """One destination of one database. Times are seconds; retention, snapshot and validation are off at 0.

    The retention check interval is at most the retention, unless that is off.
    """

    name: str
    location: Location
    retention: float = RETENTION_SECONDS
    retention_check_interval: float = RETENTION_CHECK_SECONDS
    sync_interval: float = SYNC_SECONDS
    snapshot_interval: float = 0.0
    validation_interval: float = 0.0


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """One database. Times are seconds; a checkpoint interval or a maximum page count of 0 is off.

    `max_backlog_bytes` is how much WAL may wait for one replica: None is the default, 0 no limit but the disk's.
    """

    path: Path
    meta_path: Path
    replicas: tuple[ReplicaConfig, ...]
    monitor_interval: float = MONITOR_SECONDS
    checkpoint_interval: float = CHECKPOINT_SECONDS
    min_checkpoint_page_count: int = MIN_CHECKPOINT_PAGE_COUNT
    max_checkpoint_page_count: int = MAX_CHECKPOINT_PAGE_COUNT
    max_backlog_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration. `path` is None when it came from the command line.

    `notes` are sentences for the log: what is allowed, but most likely not meant. `information` is what was understood
    although it is spelled in another way.
    """

    path: Path | None
    databases: tuple[DatabaseConfig, ...]
    addr: str | None = None
    exec_command: str | None = None
    logging: LoggingConfig = LoggingConfig()
    notes: tuple[str, ...] = ()
    exec_inherits_keys: bool = True
    """Whether the command gets the keys of the stores from our environment."""
    information: tuple[str, ...] = ()


def default_meta_path(database_path: Path) -> Path:
    """The local folder of a database: `.NAME-litestream` beside it."""
    return database_path.parent / f".{database_path.name}-litestream"
