"""The demo's engine: one database and one replica, and what can be measured of them from outside.

It waits only by looking at the engine's status, as a screen does.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from replication.config import Config, DatabaseConfig, ReplicaConfig, default_meta_path
from replication.engine import Engine
from replication.errors import ReplicationError
from replication.position import Position
from replication.status import DatabaseStatus
from replication.storage.location import Location

SETTLE_SECONDS_MAX = 30.0
"""How long the demo waits for an upload before it gives up."""
CHECKPOINT_PAGES = 200
"""Pages of WAL after which a checkpoint is due: fewer than by default, so that a small demo sees some."""
SYNC_SECONDS = 1.0
"""The least time between two uploads: the default."""

_MONITOR_SECONDS = 0.05
_POLL_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Settled:
    """The replica has every commit there is: the last one's position, and when its upload ended (since the epoch)."""

    position: Position
    uploaded: float
    objects: int
    """Objects written since the engine began."""
    stored_bytes: int
    """Their size in the replica."""


def config_of(database: Path, location: Location) -> Config:
    """A configuration of one database with one replica."""
    replica = ReplicaConfig("demo", location, sync_interval=SYNC_SECONDS)
    source = DatabaseConfig(
        database,
        default_meta_path(database),
        (replica,),
        monitor_interval=_MONITOR_SECONDS,
        min_checkpoint_page_count=CHECKPOINT_PAGES,
    )
    return Config(None, (source,))


def settled(engine: Engine) -> Settled:
    """Wait until every commit made before this call is in the replica; raise ReplicationError if that takes too long.

    Nobody may write meanwhile. Nothing is hurried, so that the time of the upload is what any user would see.
    """
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    status = _status(engine, deadline)
    # A look that ends after now may have begun before; the one after it has seen all there is.
    for _ in range(2):
        last = status.last_sync
        while status.last_sync == last:
            status = _status(engine, deadline)
    while True:
        [replica] = status.replicas
        if status.position is not None and replica.position == status.position and not replica.uploading:
            return Settled(status.position, replica.last_upload, replica.objects_written, replica.bytes_written)
        status = _status(engine, deadline)


def _status(engine: Engine, deadline: float) -> DatabaseStatus:
    time.sleep(_POLL_SECONDS)
    [status] = engine.status().databases
    if time.monotonic() > deadline:
        why = status.error or status.replicas[0].last_error or "no error is known"
        raise ReplicationError(f"The demo waited {SETTLE_SECONDS_MAX:.0f} s for an upload, and gives up: {why}.")
    return status
