"""Litestream 0.3's layout, as the row of the table: generations of snapshots and WAL segments."""

import threading
from collections.abc import Callable, Iterator, Sequence

from replication.position import Position
from replication.restore.histories import GenerationSpan, GenerationSummary, HeldGeneration, HeldObject, Reached
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.points import PointReader
from replication.restore.target import AtIndex, AtPosition, Target
from replication.restore.wal03 import listing
from replication.restore.wal03.attempts import Attempts, attempts_at
from replication.restore.wal03.point_reader import SegmentReader
from replication.storage.wal03.names import GENERATIONS
from replication.storage.wal03.replica_client import ReplicaClient


class WAL03:
    """The layout of Litestream 0.3, as Layout has it. Keeps nothing."""

    name = "wal03"

    def holds(self, replica: OpenReplica) -> bool:
        """True if there is a folder of generations with anything in it."""
        return any(True for _ in replica.storage.folders(GENERATIONS))

    def summaries(self, replica: OpenReplica) -> tuple[GenerationSummary, ...]:
        return listing.describe(replica.client(ReplicaClient))

    def held(self, replica: OpenReplica) -> tuple[HeldGeneration, ...]:
        return listing.held(replica.client(ReplicaClient))

    def spans(self, replica: OpenReplica) -> Iterator[GenerationSpan]:
        return listing.spans(replica.client(ReplicaClient))

    def snapshots(self, replica: OpenReplica) -> list[HeldObject]:
        return listing.snapshots(replica.client(ReplicaClient))

    def segments(self, replica: OpenReplica, generation: str | None = None) -> list[HeldObject]:
        return listing.segments(replica.client(ReplicaClient), generation)

    def reached(self, replica: OpenReplica, generation: str | None) -> Reached:
        return listing.reached(replica.client(ReplicaClient), generation)

    def point_reader(
        self, replicas: Sequence[OpenReplica], newest: Callable[[], Position | None], waiting: Callable[[str], None]
    ) -> PointReader:
        return SegmentReader(replicas, newest, waiting)

    def target_at(self, replica: OpenReplica, position: Position) -> Target:
        """As Layout has it. An index without a commit has no segment: its start is the end of the index before."""
        if position.offset or not position.index:
            return AtPosition(position)
        snapshots = replica.client(ReplicaClient).snapshots(position.generation)
        if any(snapshot.index == position.index for snapshot in snapshots):
            return AtPosition(position)
        return AtIndex(position.index - 1)

    def attempts(self, replicas: Sequence[OpenReplica], options: RestoreOptions, stop: threading.Event) -> Attempts:
        return attempts_at(replicas, options, stop)
