"""What each replica offers of one generation: a plan and where it ends, or why there is none.

Its promise: offers are ranked by the commit that they end at, whatever the replicas' pace, and none is taken for the
best while another replica is known to hold a later commit up to the target. Ends are read from the last segments, and
only where there is a choice.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

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
from replication.restore.wal03.points import read_commits
from replication.sqlite.format import WAL_HEADER_SIZE
from replication.storage.closing import closing_iterator
from replication.storage.wal03.names import SegmentInfo, parse_snapshot
from replication.storage.wal03.replica_client import ReplicaClient


@dataclass(frozen=True, slots=True)
class Offer:
    """One replica's plan for a target. `end` is the commit that it ends at, or the least that it reaches.

    `known` is what the replica is evidence of up to the target: at least as late as `end`. `torn` names what is
    damaged if its last segment cannot be read, and `marked` says that it is an end mark.
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
    """Why a replica offers nothing, and the commit that it is evidence of all the same."""

    source: OpenReplica
    error: ReplicationError
    known: Position | None = None
    last: SegmentInfo | None = None


OfferOrRefusal = Offer | Refusal
_NEVER = datetime.min.replace(tzinfo=UTC)


def offer_of(source: OpenReplica, catalog: Catalog, target: Target, thorough: bool) -> OfferOrRefusal:
    """The offer or refusal of one replica, from its listing alone."""
    known = listed_end(catalog, target)
    try:
        plan = make_plan(catalog, target, thorough)
    except (NoRestorePointError, ReplicaGapError, CorruptObjectError) as error:
        return Refusal(source, error, known, next(iter(_kept(catalog, target)[-1:]), None))
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
    if not isinstance(answer, Refusal) or not isinstance(answer.error, ReplicaGapError) or answer.last is None:
        return answer
    last = answer.last
    usable = [item for item in catalog.snapshots if _is_up_to(target, item.position, item.info.created)]
    notes = [item.note for item in usable if item.note and item.info.index == last.index]
    held = max((note.position.offset for note in notes), default=-1)
    if held < last.offset:
        return answer
    try:
        end = last.offset + retrying(lambda: _length(source.client(ReplicaClient), last.name), backoff, stop)
    except (CorruptObjectError, ObjectNotFoundError, StorageError):
        return answer
    if end > held:
        return answer
    rest = tuple(item for item in catalog.segments if item.index != last.index or item.offset > last.offset)
    return offer_of(source, replace(catalog, segments=rest), target, thorough)


def ranked(
    answers: Sequence[OfferOrRefusal], target: Target, backoff: Backoff, stop: threading.Event
) -> list[OfferOrRefusal]:
    """The answers in order: offers first, the furthest first. Of those that end alike the surest comes first."""
    if len(answers) > 1 and not _one_commit(target):
        answers = [
            measured(item, backoff, stop) if isinstance(item, Offer) else _measured_refusal(item, backoff, stop)
            for item in answers
        ]
        answers = _without_damaged_marks(answers)
    offers = [item for item in answers if isinstance(item, Offer)]
    offers.sort(key=lambda item: (item.end, not item.plan.proof, open_end(item) or _NEVER), reverse=True)
    return [*offers, *(item for item in answers if isinstance(item, Refusal))]


def behind(offer: Offer, answers: Sequence[OfferOrRefusal], target: Target) -> OfferOrRefusal | None:
    """The replica that is known to hold a later commit than an offer ends at, or None."""
    if _one_commit(target):
        return None
    known = [(item.known, number, item) for number, item in enumerate(answers) if item.known is not None]
    latest = max(known, default=None, key=lambda entry: (entry[0], -entry[1]))
    return latest[2] if latest is not None and latest[0] > offer.end else None


def open_end(offer: Offer) -> datetime | None:
    """When the snapshot of Litestream was written that is all of a plan, so that nothing tells its commit, or None."""
    snapshot = offer.plan.snapshot
    return snapshot.info.created if snapshot.note is None and not offer.plan.segments else None


def rival(best: Offer, answers: Sequence[OfferOrRefusal]) -> Offer | None:
    """A replica whose snapshot may hold later commits than the best offer ends at, though it ends at least there.

    Where the best one ends with such a snapshot as well, and no other goes further, that is left to its proof.
    """
    for item in answers:
        if not isinstance(item, Offer) or item is best or item.plan.stop is not None:
            continue
        alone, alike = open_end(item), open_end(best) is not None
        written = alone
        if alone is None and item.plan.proof:
            written, alike = item.plan.snapshot.info.created, alike or bool(best.plan.proof)
        index = item.plan.snapshot.info.index
        if written is None or alike or best.end.index > index:
            continue
        if not any(segment.index >= index and segment.created > written for segment in best.plan.segments):
            return item
    return None


def listed_end(catalog: Catalog, target: Target) -> Position | None:
    """The least that a replica is known to hold up to a target, damaged or not; None if nothing."""
    ends = [item.position for item in catalog.snapshots if _counts(item.info.index, item.info.created, target)]
    if isinstance(target, AtPosition):
        ends = [end for end in ends if end <= target.position]
    ends += [
        Position(catalog.generation, index, 0)
        for name, created in zip(catalog.damaged, catalog.damaged_times, strict=True)
        if (index := parse_snapshot(name.rpartition("/")[2])) is not None and _counts(index, created, target)
    ]
    ends += [_past(item) for item in _kept(catalog, target)[-1:]]
    return max(ends, default=None)


def _kept(catalog: Catalog, target: Target) -> Sequence[SegmentInfo]:
    if isinstance(target, AtTime):
        late = next((n for n, item in enumerate(catalog.segments) if not target.has(item.created)), None)
        return catalog.segments[:late]
    if isinstance(target, AtIndex):
        return [item for item in catalog.segments if item.index <= target.index]
    if isinstance(target, AtPosition):
        at = (target.position.index, target.position.offset)
        return [item for item in catalog.segments if (item.index, item.offset) < at]
    return catalog.segments


def measured(answer: Offer, backoff: Backoff, stop: threading.Event) -> Offer:
    """The offer with the commit at which its last segment really ends."""
    last = answer.plan.segments[-1:]
    if not last or answer.end == answer.plan.stop:
        return answer
    try:
        commits = retrying(lambda: read_commits(answer.source.client(ReplicaClient), last[0].position), backoff, stop)
    except CorruptObjectError as error:
        return replace(answer, torn=error.name)
    except StorageError:
        return answer
    if commits.extent.end == last[0].offset:
        mark = last[0].position
        end, known = _without_mark(answer.end, mark), _without_mark(answer.known, mark)
        return replace(answer, end=end, known=known, marked=mark.offset > 0)
    if not commits.ends:
        return answer
    end = max(answer.plan.start, Position(last[0].generation, last[0].index, int(commits.ends[-1])))
    return replace(answer, end=end, known=max(end, answer.known))


def _without_damaged_marks(answers: Sequence[OfferOrRefusal]) -> list[OfferOrRefusal]:
    """What could not be read holds nothing where another replica has an end mark in its place."""
    marks = {item.plan.segments[-1].position for item in answers if isinstance(item, Offer) and item.marked}
    found: list[OfferOrRefusal] = []
    for item in answers:
        last = item.last if isinstance(item, Refusal) else next(iter(item.plan.segments[-1:]), None)
        if last is None or last.position not in marks:
            found.append(item)
        elif isinstance(item, Offer):
            end, known = _without_mark(item.end, last.position), _without_mark(item.known, last.position)
            found.append(replace(item, end=end, known=known))
        else:
            found.append(replace(item, known=item.known and _without_mark(item.known, last.position)))
    return found


def _measured_refusal(answer: Refusal, backoff: Backoff, stop: threading.Event) -> Refusal:
    """The refusal with the end of the WAL that the replica is known to have had."""
    last, client = answer.last, answer.source.client(ReplicaClient)
    if last is None or answer.known is None:
        return answer
    try:
        end = last.offset + retrying(lambda: _length(client, last.name), backoff, stop)
    except (CorruptObjectError, ObjectNotFoundError, StorageError):
        return answer
    if end == last.offset:
        return replace(answer, known=_without_mark(answer.known, last.position))
    return replace(answer, known=max(answer.known, Position(last.generation, last.index, end)))


def _length(client: ReplicaClient, name: str) -> int:
    with closing_iterator(client.read(name)) as pieces:
        return sum(len(piece) for piece in pieces)


def _without_mark(end: Position, mark: Position) -> Position:
    """An end that was taken to lie in an object of which it turned out that it is an end mark, without content."""
    return mark if end == replace(mark, offset=mark.offset + 1) else end


def _one_commit(target: Target) -> bool:
    """True if the target is the end of one commit, so that all answers are alike."""
    return isinstance(target, AtPosition) and target.position.offset > WAL_HEADER_SIZE


def is_exact(plan: Plan, stop: Position) -> bool:
    """False at the start of an index of which there is nothing: then the replica may lack the end of the one before."""
    return stop.offset > WAL_HEADER_SIZE or plan.start == stop or any(s.index == stop.index for s in plan.segments)


def _least_end(plan: Plan) -> Position:
    return max([plan.start, *(_past(item) for item in plan.segments[-1:])])


def _past(segment: SegmentInfo) -> Position:
    """Somewhere in a segment: it holds something, and how much is not known."""
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
