"""An engine under test: its configuration, its life, and waiting for what it does.

Nothing here sleeps to let something happen: `until` looks again and again until a deadline.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from replication.config import Config, DatabaseConfig, ReplicaConfig, default_meta_path
from replication.engine import Engine
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtPosition, Latest
from replication.restore.wal03.catalog import read_catalog
from replication.restore.wal03.listing import commits, snapshot_points
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader
from replication.status import DatabaseStatus
from replication.storage.file.location import FileLocation
from replication.storage.file.storage import FileStorage
from replication.storage.location import FilePermissions
from replication.storage.wal03.names import segment_name
from replication.storage.wal03.replica_client import ReplicaClient

DEADLINE_SECONDS = 75.0
RESTORES_AT_ONCE = 4


def until(what: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Return as soon as `what` is true; fail the test if it is not by the deadline."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def config_of(
    path: Path,
    *replicas: Path,
    pages_min: int = 1000,
    sync_seconds: float = 0.001,
    checkpoint_seconds: float = 0.0,
    monitor_seconds: float = 0.1,
) -> Config:
    """One database and its file replicas, with settings that make things happen soon."""
    settings = tuple(
        ReplicaConfig(name=folder.name, location=FileLocation(folder), sync_interval=sync_seconds)
        for folder in replicas
    )
    database = DatabaseConfig(
        path=path,
        meta_path=default_meta_path(path),
        replicas=settings,
        monitor_interval=monitor_seconds,
        checkpoint_interval=checkpoint_seconds,
        min_checkpoint_page_count=pages_min,
    )
    return Config(path=None, databases=(database,))


@contextmanager
def running(config: Config) -> Iterator[Engine]:
    """A started engine that has looked at its database; it is closed afterwards, and nothing may hang."""
    engine = Engine(config)
    engine.start()
    try:
        engine.check()
        yield engine
    finally:
        left = engine.close()
    assert left == []


def only(engine: Engine) -> DatabaseStatus:
    """The status of the one database."""
    return engine.status().databases[0]


def in_step(engine: Engine) -> bool:
    """True when every replica has all that was copied, which is all that was written, and nothing is wrong."""
    status = only(engine)
    try:
        written = Path(f"{status.path}-wal").stat().st_mtime
    except OSError:
        written = 0.0
    # An event that tells of a write may come some time after it.
    return (
        status.state == "ok"
        and status.last_sync >= written
        and all(item.state == "ok" and item.position == status.position for item in status.replicas)
    )


def begun(engine: Engine) -> list[str]:
    """Why each generation of this engine's life began."""
    return [
        str(dict(event.attributes)["reason"])
        for event in engine.events_since(0)
        if event.message == "generation begins"
    ]


def client_of(folder: Path) -> ReplicaClient:
    """The replica in a folder."""
    return ReplicaClient(FileStorage(folder, FilePermissions()))


def sha256(path: Path) -> str:
    """The hash of a file that no engine holds."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def restore_points(client: ReplicaClient, generation: str) -> list[Position]:
    """Every commit that a replica holds of a generation, from its first snapshot on, in order."""
    catalog = read_catalog(client, generation)
    found = {point.position for point in snapshot_points(catalog)}
    headers: dict[int, WALHeader] = {}
    for segment in catalog.segments:
        if segment.index not in headers:
            first = segment_name(Position(generation, segment.index, 0))
            headers[segment.index] = WALHeader.parse(client.read_head(first, WAL_HEADER_SIZE))
        found |= {point.position for point in commits(client, segment, headers[segment.index])}
    first_point = min(item.position for item in catalog.snapshots)
    return sorted(position for position in found if position >= first_point)


def restored(client: ReplicaClient, output: Path, position: Position | None = None) -> str:
    """Restore one position, or the latest state; the hash of what came out. The file is removed."""
    target = AtPosition(position) if position else Latest()
    restore([OpenReplica("test", client.storage)], output, RestoreOptions(target=target, integrity_check="none"))
    found = sha256(output)
    output.unlink()
    return found


def restored_each(client: ReplicaClient, positions: Sequence[Position]) -> list[str]:
    """The hash of the database at each position. Several at once, in memory where there is room for files there."""
    shared_memory = Path("/dev/shm")
    place = shared_memory if os.access(shared_memory, os.W_OK) else None
    with TemporaryDirectory(dir=place) as folder, ThreadPoolExecutor(RESTORES_AT_ONCE) as pool:
        return list(pool.map(lambda at: restored(client, Path(folder) / f"{at.index}-{at.offset}.db", at), positions))
