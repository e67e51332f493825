"""What a replica is made of, handed down through its classes."""

from collections.abc import Callable
from dataclasses import dataclass

from replication.events import Emit
from replication.replica.permit import Permit
from replication.replica.source import SourceDatabase
from replication.storage.wal03.replica_client import ReplicaClient


@dataclass(frozen=True, slots=True)
class Parts:
    """The name of a replica, its objects, the database that it copies, where it reports, what it asks, and a clock."""

    name: str
    client: ReplicaClient
    database: SourceDatabase
    emit: Emit
    permit: Permit
    monotonic: Callable[[], float]
