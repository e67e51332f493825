"""A second layout of replicas, as small as one can be: whole databases, `dumps/NUMBER.db`, of a commit each.

It shows what a layout needs: a class, and a row in the table.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from replication.errors import NoRestorePointError, ReplicationError
from replication.position import Position
from replication.restore.apply import DatabaseFile
from replication.restore.histories import GenerationSpan, GenerationSummary, HeldGeneration, HeldObject, Reached
from replication.restore.meter import RestoreMeter
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.output import Output
from replication.restore.plan_contract import Written
from replication.restore.points import Fetch, Learned, Listed, PointMap, PointReader, Stop
from replication.restore.target import AtPosition, Target
from replication.storage.base import ObjectInfo

FOLDER = "dumps/"
GENERATION = "00000000000000d0"
"""There is one history in a replica, under a name that all have."""


@dataclass(frozen=True)
class Plan:
    dump: ObjectInfo
    generation: str = GENERATION
    remarks: tuple[str, ...] = ()
    objects: int = 1

    @property
    def size(self) -> int:
        return self.dump.size

    @property
    def file_size(self) -> int:
        return self.dump.size

    @property
    def position(self) -> Position:
        return Position(GENERATION, int(self.dump.name.removeprefix(FOLDER).removesuffix(".db")), 0)

    def lines(self) -> Iterator[str]:
        yield self.dump.name

    def fetch(self) -> Fetch:
        return Fetch(self.dump.name, self.size, tuple(self.lines()))

    def values(self) -> dict[str, object]:
        return {"objects": list(self.lines())}


@dataclass(frozen=True)
class Prepared:
    source: OpenReplica
    plan: Plan
    warnings: tuple[str, ...] = ()

    def proves(self, position: Position) -> bool:
        return self.plan.position == position


@dataclass(frozen=True)
class Attempts:
    prepared: Prepared

    def write(self, output: Output, file: DatabaseFile, meter: RestoreMeter) -> Written:
        plan, source = self.prepared.plan, self.prepared.source
        file.write_snapshot(plan.dump.name, meter.pieces(source.storage.get(plan.dump.name)), None)
        return Written(plan.position, plan.dump.name, 0, file.size, file.page_size, None, (), (), False)

    def plan_again(self, error: ReplicationError) -> None:
        raise error

    def instead(self, error: ReplicationError) -> "Attempts":
        raise error


class DumpReader:
    """One point for each dump, all known from the listing."""

    def __init__(self, source: OpenReplica) -> None:
        self._source = source

    def list(self, name: str | None = None) -> Listed:
        stops = tuple(
            Stop(plan.dump.modified, "", None, (plan.position,), plan.position, True, False)
            for plan in plans(self._source)
        )
        whole = PointMap(GENERATION, stops, tuple(stop.time for stop in stops), (), (), "", "")
        return Listed(self._source.name, self._source.address, (whole,), 0)

    def read(self, stop: Stop) -> Learned:
        raise AssertionError("nothing is left to read")

    def plan(self, position: Position) -> Fetch:
        return next(plan for plan in plans(self._source) if plan.position == position).fetch()

    def is_by_itself(self, position: Position) -> bool:
        return False


class Dumps:
    name = "dumps"

    def holds(self, replica: OpenReplica) -> bool:
        return any(True for _ in replica.storage.list(FOLDER))

    def summaries(self, replica: OpenReplica) -> tuple[GenerationSummary, ...]:
        found = plans(replica)
        times = [plan.dump.modified for plan in found]
        size = sum(plan.size for plan in found)
        first, last = found[0].position, found[-1].position
        return (GenerationSummary(GENERATION, min(times), max(times), len(found), 0, size, first, last, "", ""),)

    def held(self, replica: OpenReplica) -> tuple[HeldGeneration, ...]:
        [whole] = DumpReader(replica).list().point_maps
        return tuple(HeldGeneration(item, whole) for item in self.summaries(replica))

    def spans(self, replica: OpenReplica) -> Iterator[GenerationSpan]:
        yield from (GenerationSpan(item.generation, item.start, item.end, "") for item in self.summaries(replica))

    def snapshots(self, replica: OpenReplica) -> list[HeldObject]:
        return [
            HeldObject(GENERATION, plan.position.index, None, plan.size, plan.dump.modified) for plan in plans(replica)
        ]

    def segments(self, replica: OpenReplica, generation: str | None = None) -> list[HeldObject]:
        return []

    def reached(self, replica: OpenReplica, generation: str | None) -> Reached:
        newest = plans(replica)[-1]
        return Reached(newest.position, newest.dump.modified.timestamp())

    def point_reader(
        self, replicas: Sequence[OpenReplica], newest: Callable[[], Position | None], waiting: Callable[[str], None]
    ) -> PointReader:
        return DumpReader(replicas[0])

    def target_at(self, replica: OpenReplica, position: Position) -> Target:
        return AtPosition(position)

    def attempts(self, replicas: Sequence[OpenReplica], options: RestoreOptions, stop: threading.Event) -> Attempts:
        target = options.target
        for replica in replicas:
            for plan in reversed(plans(replica)):
                if not isinstance(target, AtPosition) or plan.position == target.position:
                    return Attempts(Prepared(replica, plan))
        raise NoRestorePointError(f"no dump of {target}")


def plans(replica: OpenReplica) -> list[Plan]:
    """A plan for each dump, oldest first."""
    return [Plan(item) for item in replica.storage.list(FOLDER)]
