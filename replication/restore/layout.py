"""What everybody needs of a layout of replicas: the names and the content of its objects are its own business.

wal03/ is one layout; another is a folder beside it, and a row in layouts.py. What a replica holds, its restore points
and the way to a commit come out in the same words from each. All may be called from any thread and wait for the store.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from replication.errors import ReplicationError
from replication.position import Position
from replication.restore.apply import DatabaseFile
from replication.restore.histories import GenerationSpan, GenerationSummary, HeldGeneration, HeldObject, Reached
from replication.restore.meter import RestoreMeter
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.output import Output
from replication.restore.plan_contract import Plan, Written
from replication.restore.points import PointReader
from replication.restore.target import Target


class Prepared(Protocol):
    """What a restore would do: for -dry-run, and for the question before it begins."""

    @property
    def source(self) -> OpenReplica:
        """The replica that was chosen."""

    @property
    def plan(self) -> Plan:
        """What is to be read of it."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of the choice."""

    def proves(self, position: Position) -> bool:
        """True if what the plan leads to is shown to be the very state at `position`, and not one that may differ."""


class Attempts(Protocol):
    """The plans of one replica, one after the other, until one of them leads to the target."""

    @property
    def prepared(self) -> Prepared:
        """The plan that is to be followed now."""

    def write(self, output: Output, file: DatabaseFile, meter: RestoreMeter) -> Written:
        """Follow the plan: the pages of the one commit that was asked for, proven, are written to `file`.

        Raises StorageError, CorruptObjectError, ReplicaGapError and NoRestorePointError.
        """

    def plan_again(self, error: ReplicationError) -> None:
        """Make another plan after `write` raised this error. If there is none, raises the error for the caller."""

    def instead(self, error: ReplicationError) -> "Attempts":
        """The attempts of another replica that reaches what this one promised.

        If none is left, raises what each has said.
        """


class Layout(Protocol):
    """One layout. Methods that raise StorageError and read objects raise CorruptObjectError as well."""

    name: str

    def holds(self, replica: OpenReplica) -> bool:
        """True if anything of this layout is there, in one small listing. Raises StorageError."""

    # -- what is there ------------------------------------------------------------------------------------------------

    def summaries(self, replica: OpenReplica) -> tuple[GenerationSummary, ...]:
        """All generations that hold anything, oldest first by object time. Raises StorageError."""

    def held(self, replica: OpenReplica) -> tuple[HeldGeneration, ...]:
        """The same with what a timeline needs, newest first. Raises StorageError."""

    def spans(self, replica: OpenReplica) -> Iterator[GenerationSpan]:
        """From when to when each generation was written to, for one small read each. Raises StorageError."""

    def snapshots(self, replica: OpenReplica) -> list[HeldObject]:
        """All whole databases, by generation and index. Raises StorageError."""

    def segments(self, replica: OpenReplica, generation: str | None = None) -> list[HeldObject]:
        """All changes, or those of one generation, by index and offset. Raises StorageError."""

    def reached(self, replica: OpenReplica, generation: str | None) -> Reached:
        """How far a replica reaches in a generation, or in its newest one. Raises StorageError."""

    # -- the way to a commit ------------------------------------------------------------------------------------------

    def point_reader(
        self, replicas: Sequence[OpenReplica], newest: Callable[[], Position | None], waiting: Callable[[str], None]
    ) -> PointReader:
        """A reader of their restore points.

        `newest` and `waiting` are as in RestoreOptions; "" says that the waiting is over.
        """

    def target_at(self, replica: OpenReplica, position: Position) -> Target:
        """What restores the commit at `position`, up to which the replica has everything. Raises StorageError."""

    def attempts(self, replicas: Sequence[OpenReplica], options: RestoreOptions, stop: threading.Event) -> Attempts:
        """Choose the replica and generation, and plan. Nothing is written.

        Raises StorageError, NoRestorePointError, ReplicaGapError, CorruptObjectError, RestoreCancelledError.
        """
