"""A database of the configuration as a worker: its parts, put together."""

from contextlib import suppress
from functools import partial

from replication.config import DatabaseConfig, ReplicaConfig
from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.engine.lifecycle import Lifecycle
from replication.engine.shared import Shared
from replication.engine.worker import Worker
from replication.permissions import Ownership
from replication.replica.duties import Intervals
from replication.replica.runner import ReplicaRunner
from replication.replica.wal03.replica import Replica
from replication.storage.location import DEFAULT_PERMISSIONS, FilePermissions
from replication.storage.open import open_storage
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest


def make_worker(config: DatabaseConfig, shared: Shared) -> Worker:
    """A worker for a database of the configuration. Nothing is opened and nothing begins yet."""
    path = str(config.path)
    database = Database(
        config.path,
        config.meta_path,
        policy_of(config),
        partial(shared.events.emit, database=path),
        max_backlog_bytes=config.max_backlog_bytes,
    )
    database.name_control(shared.control)
    lifecycle = Lifecycle(path)
    runners = [make_runner(settings, database, lifecycle, shared) for settings in config.replicas]
    worker = Worker(config, database, runners, lifecycle, shared)
    lifecycle.when_idle(worker.idle)
    return worker


def change_worker(worker: Worker, shared: Shared) -> None:
    """Let a worker go on with its wanted configuration."""
    config = worker.wanted
    worker.database.policy, worker.database.max_backlog_bytes = policy_of(config), config.max_backlog_bytes
    worker.change(lambda settings: make_runner(settings, worker.database, worker.lifecycle, shared))


def policy_of(config: DatabaseConfig) -> CheckpointPolicy:
    """When checkpoints of the database are due."""
    return CheckpointPolicy(
        config.min_checkpoint_page_count, config.max_checkpoint_page_count, config.checkpoint_interval
    )


def make_runner(settings: ReplicaConfig, database: Database, lifecycle: Lifecycle, shared: Shared) -> ReplicaRunner:
    """The runner of one replica. Nothing of the replica is touched yet."""
    path = str(database.path)
    permissions = DEFAULT_PERMISSIONS
    with suppress(OSError):
        # As Litestream does: who may read the database may read its file replica.
        own = Ownership.of(database.path)
        permissions = FilePermissions(own.file_mode, own.folder_mode & 0o777, own.uid, own.gid)
    emit = partial(shared.events.emit, database=path, replica=settings.name)
    client = ReplicaClient(open_storage(settings.location, permissions), partial(emit, "warning"))
    replica = Replica(settings.name, client, database, emit, restored_digest, lifecycle)
    intervals = Intervals(
        settings.sync_interval,
        settings.snapshot_interval,
        settings.retention,
        settings.retention_check_interval,
        settings.validation_interval,
    )
    crowd = partial(shared.outages.crowd, settings.location.store)
    return ReplicaRunner(replica, database, intervals, emit, crowd)
