"""What each replica offers of one generation: a plan for the target, or a refusal that says why there is none.

A listing says where segments begin, and not where they end:

    listed        S |---c--|--c--|--?      the last segment holds something, and how much is not known
    end                           |^       so the least that is certain: one byte past its start (`somewhere_in`)

So `end` is a lower bound. Where several replicas offer, measured.py reads which commit the last segment ends with, and
ranking.py takes the replica that comes furthest. A replica is also *evidence* of commits that it cannot give: of WAL
behind a hole, or of a snapshot that is damaged. That is `known`. Where one replica is evidence of a later commit than
another one offers, the other is behind, and that is not passed over.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from replication.errors import (
    CorruptObjectError,
    NoRestorePointError,
    ObjectNotFoundError,
    ReplicaGapError,
    ReplicationError,
    StorageError,
)
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.retry import Backoff, retrying
from replication.restore.target import AtIndex, AtPosition, AtTime, Target
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.plan import Plan, make_plan
from replication.sqlite.format import WAL_HEADER_SIZE
from replication.storage.wal03.names import SegmentInfo, parse_snapshot
from replication.storage.wal03.replica_client import ReplicaClient


@dataclass(frozen=True, slots=True)
class Offer:
    """One replica's plan for a target. `end` is the commit that it ends at, or a lower bound of it.

    `known` is the last commit up to the target that the replica is evidence of, never before `end`. `torn` is the name
    of the last segment if it cannot be read, or "", and `marked` says that this is an end mark.
    """

    source: OpenReplica
    catalog: Catalog
    plan: Plan
    end: Position
    known: Position
    torn: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a replica offers nothing. `known` is the last commit up to the target that it is evidence of, or None.

    `catalog` is what was listed, or None if it did not answer, and `kept` are its segments up to the target.
    """

    source: OpenReplica
    error: ReplicationError
    known: Position | None = None
    catalog: Catalog | None = None
    kept: tuple[SegmentInfo, ...] = ()


OfferOrRefusal = Offer | Refusal


def offer_of(source: OpenReplica, catalog: Catalog, target: Target, thorough: bool) -> OfferOrRefusal:
    """The offer or refusal of one replica, from its listing alone. `thorough` is passed on to make_plan."""
    known = listed_end(catalog, target)
    try:
        plan = make_plan(catalog, target, thorough)
    except (NoRestorePointError, ReplicaGapError, CorruptObjectError) as error:
        return Refusal(source, error, known, catalog, tuple(kept_segments(catalog, target)))
    end = plan.stop if plan.stop is not None and is_exact(plan, plan.stop) else _least_end(plan)
    return Offer(source, catalog, plan, end, known or plan.start)


def answer_of(
    source: OpenReplica, catalog: Catalog, target: Target, thorough: bool, backoff: Backoff, stop: threading.Event
) -> OfferOrRefusal:
    """The offer or refusal of one replica; a gap in its WAL is passed over where a snapshot makes that WAL needless."""
    answer = offer_of(source, catalog, target, thorough)
    if not isinstance(answer, Refusal) or not isinstance(answer.error, ReplicaGapError) or not answer.kept:
        return answer
    last = answer.kept[-1]
    if not _is_in_snapshot(source, catalog, target, last, backoff, stop):
        return answer
    rest = tuple(item for item in catalog.segments if item.index != last.index or item.offset > last.offset)
    return offer_of(source, replace(catalog, segments=rest), target, thorough)


def _is_in_snapshot(
    source: OpenReplica, catalog: Catalog, target: Target, last: SegmentInfo, backoff: Backoff, stop: threading.Event
) -> bool:
    """True if a snapshot up to the target holds all of its index as far as the last segment up to the target.

        index 7     |---c--|      |--c--|        a hole, and `last` behind it
        snapshot    of index 7, at a commit where `last` ends, or later: the hole does no harm

    A listing does not tell where `last` ends (it may be an end mark, without content), so it is read.
    """
    usable = [item for item in catalog.snapshots if _is_up_to(target, item.position, item.info.created)]
    notes = [item.note for item in usable if item.note and item.info.index == last.index]
    held = max((note.position.offset for note in notes), default=-1)
    if held < last.offset:
        return False
    try:
        return retrying(lambda: source.client(ReplicaClient).end_of(last), backoff, stop).offset <= held
    except (CorruptObjectError, ObjectNotFoundError, StorageError):
        return False


def open_end(offer: Offer) -> datetime | None:
    """If a plan is a snapshot of Litestream's alone, when that was stored: nothing tells which commit it holds."""
    snapshot = offer.plan.snapshot
    return snapshot.info.created if snapshot.note is None and not offer.plan.segments else None


def listed_end(catalog: Catalog, target: Target) -> Position | None:
    """The last commit up to a target that a replica is evidence of, damaged or not, as its listing tells; or None."""
    ends = [snapshots_end(catalog, target), *(somewhere_in(item) for item in kept_segments(catalog, target)[-1:])]
    return max((end for end in ends if end is not None), default=None)


def snapshots_end(catalog: Catalog, target: Target) -> Position | None:
    """The last commit up to a target that a snapshot is evidence of, damaged or not; None without one."""
    ends = [item.position for item in catalog.snapshots if _counts(item.info.index, item.info.created, target)]
    if isinstance(target, AtPosition):
        ends = [end for end in ends if end <= target.position]
    ends += [
        Position(catalog.generation, index, 0)
        for name, created in zip(catalog.damaged, catalog.damaged_times, strict=True)
        if (index := parse_snapshot(name.rpartition("/")[2])) is not None and _counts(index, created, target)
    ]
    return max(ends, default=None)


def kept_segments(catalog: Catalog, target: Target) -> Sequence[SegmentInfo]:
    """The segments of a catalog that count up to a target."""
    if isinstance(target, AtTime):
        late = next((n for n, item in enumerate(catalog.segments) if not target.has(item.created)), None)
        return catalog.segments[:late]
    if isinstance(target, AtIndex):
        return [item for item in catalog.segments if item.index <= target.index]
    if isinstance(target, AtPosition):
        at = (target.position.index, target.position.offset)
        return [item for item in catalog.segments if (item.index, item.offset) < at]
    return catalog.segments


def is_exact(plan: Plan, stop: Position) -> bool:
    """True if a plan is known to end just at `stop`.

    It is not where `stop` is the start of an index of which the plan has nothing: the end of the index before may be
    missing, and nothing would show it.
    """
    return stop.offset > WAL_HEADER_SIZE or plan.start == stop or any(s.index == stop.index for s in plan.segments)


def _least_end(plan: Plan) -> Position:
    return max([plan.start, *(somewhere_in(item) for item in plan.segments[-1:])])


def somewhere_in(segment: SegmentInfo) -> Position:
    """The least that is certain of where a segment ends: one byte past its start."""
    return Position(segment.generation, segment.index, segment.offset + 1)


def _is_up_to(target: Target, position: Position, created: datetime) -> bool:
    """True if a restore up to the target may begin with a snapshot of that commit, stored at that time."""
    if isinstance(target, AtTime):
        return target.has(created)
    if isinstance(target, AtPosition):
        return position <= target.position
    return not isinstance(target, AtIndex) or position.index <= target.index


def _counts(index: int, created: datetime, target: Target) -> bool:
    """True if a snapshot of that index, stored at that time, is evidence of a commit up to the target.

    In the index of a position that is asked for it may hold later commits, so it is none.
    """
    if isinstance(target, AtTime):
        return target.has(created)
    if isinstance(target, AtPosition):
        return index < target.position.index
    return not isinstance(target, AtIndex) or index <= target.index
