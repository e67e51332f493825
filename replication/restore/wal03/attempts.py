"""The plan that a restore follows, and the one it goes on with where that fails.

Its promise: no commit that was promised is given up without a word. A plan is made anew where the replica changed under
it, without a snapshot that proved useless where there is another, and from another replica that reaches as far.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from replication.errors import (
    CorruptObjectError,
    MayBeOlderError,
    ObjectNotFoundError,
    ReplicaGapError,
    ReplicationError,
    RestoreCancelledError,
    UnprovenSnapshotError,
)
from replication.position import Position
from replication.restore.apply import DatabaseFile
from replication.restore.meter import RestoreMeter
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.output import Output
from replication.restore.plan_contract import Written
from replication.restore.target import AtPosition, Target
from replication.restore.wal03.catalog import Snapshot, read_catalog
from replication.restore.wal03.choose import choose
from replication.restore.wal03.doubts import Doubts, UndatedSnapshotError
from replication.restore.wal03.ends import damaged_mark
from replication.restore.wal03.offers import Offer, OfferOrRefusal, Refusal, is_exact, open_end
from replication.restore.wal03.pages import write_pages
from replication.restore.wal03.plan import OTHER_GENERATION, Plan, make_plan, may_be_newer
from replication.restore.wal03.refusals import refused
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.replica_client import ReplicaClient

USELESS_SNAPSHOTS_MAX = 100
"""How many damaged snapshots a restore goes back past."""
REPLANS_MAX = 3
"""How often a restore begins anew because the replica changed under it, by retention or a new snapshot."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a restore would do: for -dry-run and for the question before it begins."""

    source: OpenReplica
    plan: Plan
    warnings: tuple[str, ...]
    offer: Offer
    answers: tuple[OfferOrRefusal, ...]
    """What each replica says, this one first."""
    target: Target
    """What was asked for; of a time the very commit, where it is known."""

    def proves(self, position: Position) -> bool:
        """True if what the plan leads to is the very state at `position`: no snapshot in it may hold more."""
        return is_exact(self.plan, position) and open_end(self.offer) is None


def prepare(sources: Sequence[OpenReplica], options: RestoreOptions, stop: threading.Event) -> Prepared:
    """Choose the replica and generation, and plan. Nothing is written.

    Raises StorageError, NoRestorePointError, ReplicaGapError, RestoreCancelledError.
    """
    chosen = choose(
        sources, options.target, options.generation, stop, options.thorough, options.newest, options.waiting
    )
    return Prepared(chosen.source, chosen.best.plan, chosen.warnings, chosen.best, chosen.answers, chosen.target)


class Attempts:
    """The plans of one replica, one after the other.

    A snapshot that is damaged, or of which it cannot be proven what it holds, is left out: an older one with all WAL
    since gives the same. What is restored then must reach `need`, if it is set, and leave no `doubts`. A damaged end
    mark of an index is left out too, where what follows proves that it is one.
    """

    def __init__(
        self, prepared: Prepared, options: RestoreOptions, stop: threading.Event, failed: Sequence[Refusal] = ()
    ) -> None:
        self.prepared = prepared
        self._first = prepared
        self._failed = failed
        """Why the replicas that were tried before this one failed."""
        self.options = options
        self.stop = stop
        self.need: Position | None = None
        self.doubts = Doubts()
        self._useless: list[Snapshot] = []
        self._marks: list[SegmentInfo] = []
        self._original: ReplicationError | None = None
        self._changes = 0

    def write(self, output: Output, file: DatabaseFile, meter: RestoreMeter) -> Written:
        """Follow the plan. Raises StorageError, CorruptObjectError, ReplicaGapError and NoRestorePointError."""
        client = self.prepared.source.client(ReplicaClient)
        return write_pages(
            self.prepared.plan, client, output, file, self.options, meter, self.stop, self.need, self.doubts
        )

    def plan_again(self, error: ReplicationError) -> None:
        """Another plan after this error. Raises what is to be said if there is none."""
        snapshot = self.prepared.plan.snapshot
        if isinstance(error, UndatedSnapshotError) or getattr(error, "name", "") == snapshot.info.name:
            self._useless.append(snapshot)
        mark = damaged_mark(self.prepared.source.client(ReplicaClient), self.prepared.offer.catalog.segments, error)
        if mark is not None:
            self._marks.append(mark)
        again = _prepare_again(self.options, self.stop, self.prepared, self._useless, self._marks)
        self._changes += snapshot not in self._useless and mark is None
        if again is None or self._changes > REPLANS_MAX or len(self._useless) > USELESS_SNAPSHOTS_MAX:
            raise _final(self._original or error) from None
        warnings = self.prepared.warnings
        if mark is not None:
            warnings += (f"{mark.name} is damaged. It only marked the end of its index, so nothing is lost.",)
        if snapshot in self._useless:
            self._original = self._original or error
            if isinstance(error, UndatedSnapshotError):
                if may_be_newer(snapshot, self.options.target):
                    self.doubts.add(error)
            else:
                warnings += (_instead_of(error),)
                if not isinstance(self.options.target, AtPosition):
                    self.need = max(self.need or snapshot.position, snapshot.position)
        self.prepared = replace(again, warnings=warnings)

    def instead(self, error: ReplicationError) -> "Attempts":
        """The attempts at another replica that reaches what the best one promised: an older commit is not what was
        asked for.

        Raises what each replica said, if none is left.
        """
        before = self._first
        failed = [*self._failed, Refusal(before.source, error, before.offer.end)]
        others = [item for item in before.answers if item.source is not before.source]
        following = _next_best(failed[0], others)
        if following is None:
            raise refused([*failed, *others]) from None
        warning = f"Replica {before.source.name} could not be restored from: {error}"
        warnings = (*before.warnings, warning)
        prepared = Prepared(following.source, following.plan, warnings, following, tuple(others), before.target)
        return Attempts(prepared, self.options, self.stop, failed)


def attempts_at(sources: Sequence[OpenReplica], options: RestoreOptions, stop: threading.Event) -> Attempts:
    """Choose and plan. Raises as `prepare`."""
    prepared = prepare(sources, options, stop)
    if prepared.target != options.target:
        options = replace(options, target=prepared.target, generation=None)
    return Attempts(prepared, options, stop)


def _next_best(failed: Refusal, others: Sequence[OfferOrRefusal]) -> Offer | None:
    """The next offer, if it reaches what the best one promised: an older commit would not be what was asked for."""
    offers = (item for item in others if isinstance(item, Offer))
    following = next(offers, None)
    if following is None or failed.known is None:
        return following
    if isinstance(failed.error, MayBeOlderError) and following.end.index <= failed.error.index:
        # Nothing tells which commit of its index that snapshot holds.
        return None
    return following if following.end >= failed.known else None


def _instead_of(error: ReplicationError) -> str:
    return f"{error}. An older snapshot was used instead, with the WAL since.".replace("..", ".")


def _prepare_again(
    options: RestoreOptions,
    stop: threading.Event,
    before: Prepared,
    useless: Sequence[Snapshot],
    marks: Sequence[SegmentInfo],
) -> Prepared | None:
    """A new plan for the same generation without these snapshots and end marks, if there is one."""
    try:
        found = read_catalog(before.source.client(ReplicaClient), before.plan.generation)
        catalog = replace(
            found,
            snapshots=tuple(item for item in found.snapshots if item not in useless),
            segments=tuple(item for item in found.segments if item not in marks),
        )
        if not catalog.snapshots:
            return None
        plan = make_plan(catalog, options.target, options.thorough)
    except RestoreCancelledError:
        raise
    except ReplicationError:
        return None
    return replace(before, plan=plan) if plan != before.plan else None


def _final(error: ReplicationError) -> ReplicationError:
    if isinstance(error, ObjectNotFoundError):
        return ReplicaGapError(f"{error}, and the restore needs it. It was listed a moment ago: try again.")
    if isinstance(error, UndatedSnapshotError):
        return UnprovenSnapshotError(str(error))
    if isinstance(error, CorruptObjectError) and not error.remedy:
        return CorruptObjectError(error.name, error.why, OTHER_GENERATION)
    return error
