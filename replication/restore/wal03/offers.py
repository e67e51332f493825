"""What each replica offers of one generation: a plan and where it ends, or why there is none, as its listing tells.

A listing says where segments begin, and not where they end. So an `end` from here is a lower bound; measured.py reads
the commit itself where there is a choice, and ranking.py compares.
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
    """One replica's plan for a target. `end` is the commit that it ends at, or the least that it reaches.

    `known` is the commit that the replica is evidence of up to the target: at least as late as `end`. `torn` names what
    is damaged if its last segment cannot be read, and `marked` says that it is an end mark.
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
    """Why a replica offers nothing, and the commit that it is evidence of all the same, `known`, if of any.

    `catalog` is what was listed, if anything was, and `kept` what of its WAL counts up to the target.
    """

    source: OpenReplica
    error: ReplicationError
    known: Position | None = None
    catalog: Catalog | None = None
    kept: tuple[SegmentInfo, ...] = ()


OfferOrRefusal = Offer | Refusal


def offer_of(source: OpenReplica, catalog: Catalog, target: Target, thorough: bool) -> OfferOrRefusal:
    """The offer or refusal of one replica, from its listing alone."""
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
    """The offer or refusal of one replica. Lost WAL is not needed where a snapshot of what was asked for holds all
    that is there of its index.

    A listing does not tell where the last segment ends, which may be an end mark, so it is read.
    """
    answer = offer_of(source, catalog, target, thorough)
    if not isinstance(answer, Refusal) or not isinstance(answer.error, ReplicaGapError) or not answer.kept:
        return answer
    last = answer.kept[-1]
    usable = [item for item in catalog.snapshots if _is_up_to(target, item.position, item.info.created)]
    notes = [item.note for item in usable if item.note and item.info.index == last.index]
    held = max((note.position.offset for note in notes), default=-1)
    if held < last.offset:
        return answer
    try:
        end = retrying(lambda: source.client(ReplicaClient).end_of(last), backoff, stop).offset
    except (CorruptObjectError, ObjectNotFoundError, StorageError):
        return answer
    if end > held:
        return answer
    rest = tuple(item for item in catalog.segments if item.index != last.index or item.offset > last.offset)
    return offer_of(source, replace(catalog, segments=rest), target, thorough)


def open_end(offer: Offer) -> datetime | None:
    """When the snapshot of Litestream was written that is all of a plan, so that nothing tells its commit, or None."""
    snapshot = offer.plan.snapshot
    return snapshot.info.created if snapshot.note is None and not offer.plan.segments else None


def listed_end(catalog: Catalog, target: Target) -> Position | None:
    """The least that a replica is known to hold up to a target, damaged or not; None if nothing."""
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
    """False at the start of an index of which there is nothing: then the replica may lack the end of the one before."""
    return stop.offset > WAL_HEADER_SIZE or plan.start == stop or any(s.index == stop.index for s in plan.segments)


def _least_end(plan: Plan) -> Position:
    return max([plan.start, *(somewhere_in(item) for item in plan.segments[-1:])])


def somewhere_in(segment: SegmentInfo) -> Position:
    """Past the start of a segment: it holds something, and how much is not known."""
    return Position(segment.generation, segment.index, segment.offset + 1)


def _is_up_to(target: Target, position: Position, created: datetime) -> bool:
    """True if a restore up to the target may begin with the snapshot of that position."""
    if isinstance(target, AtTime):
        return target.has(created)
    if isinstance(target, AtPosition):
        return position <= target.position
    return not isinstance(target, AtIndex) or position.index <= target.index


def _counts(index: int, created: datetime, target: Target) -> bool:
    """True if a snapshot is evidence of commits up to the target."""
    if isinstance(target, AtTime):
        return target.has(created)
    if isinstance(target, AtPosition):
        return index < target.position.index
    return not isinstance(target, AtIndex) or index <= target.index
