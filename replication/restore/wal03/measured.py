"""Where the answers of replicas really end: at which commit, as the last segments say that they have.

    segments    |---c----c-|-------|----        c is where a commit ends
    listed       somewhere in here ^            a listing says where a segment begins
    measured             ^                      what follows belongs to a transaction that has not ended

Its promise: an end that was measured is that of a commit, so that replicas which hold the same commits end alike, in
however many segments they have them, and whatever they have of a transaction that has not ended. What cannot be read
keeps the lower bound of its listing.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from replication.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from replication.position import Position
from replication.restore.points import Commits
from replication.restore.retry import Backoff, retrying
from replication.restore.target import Target
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.offers import Offer, OfferOrRefusal, Refusal, snapshots_end, somewhere_in
from replication.restore.wal03.points import read_commits
from replication.sqlite.checksum import FRAME_HEADER_SIZE
from replication.sqlite.wal import WALHeader
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.replica_client import ReplicaClient


@dataclass(frozen=True, slots=True)
class _Tail:
    """The last commit in some segments, None if they have none. `marked` if the last of them is an end mark.

    `torn` names what is damaged, if anything past that commit is: then that is only the start of it.
    """

    commit: Position | None
    marked: bool = False
    torn: str = ""


def measured_all(
    answers: Sequence[OfferOrRefusal], target: Target, backoff: Backoff, stop: threading.Event
) -> list[OfferOrRefusal]:
    """All answers with the commits that they end at, or are evidence of. Raises RestoreCancelledError."""
    found: list[OfferOrRefusal] = [
        measured(item, target, backoff, stop)
        if isinstance(item, Offer)
        else _measured_refusal(item, target, backoff, stop)
        for item in answers
    ]
    return _without_damaged_marks(found)


def measured(offer: Offer, target: Target, backoff: Backoff, stop: threading.Event) -> Offer:
    """The offer with the commit at which its plan really ends."""
    plan = offer.plan
    if not plan.segments or offer.end == plan.stop:
        return offer
    try:
        tail = retrying(lambda: _tail(offer.source.client(ReplicaClient), plan.segments, None), backoff, stop)
    except StorageError:
        return offer
    end = max([plan.start, *_known(tail.commit)])
    known = max([end, *_known(snapshots_end(offer.catalog, target))])
    return replace(offer, end=end, known=known, marked=tail.marked, torn=tail.torn)


def _measured_refusal(answer: Refusal, target: Target, backoff: Backoff, stop: threading.Event) -> Refusal:
    """The refusal with the last commit that the replica is known to have had. Nothing need lead to it."""
    if not answer.kept or answer.catalog is None:
        return answer
    client, catalog = answer.source.client(ReplicaClient), answer.catalog
    try:
        tail = retrying(lambda: _tail(client, answer.kept, catalog), backoff, stop)
    except StorageError:
        return answer
    return replace(answer, known=max(_known(tail.commit) + _known(snapshots_end(catalog, target)), default=None))


def _known(place: Position | None) -> list[Position]:
    return [place] if place is not None else []


def _tail(client: ReplicaClient, segments: Sequence[SegmentInfo], catalog: Catalog | None) -> _Tail:
    """The last commit in segments, read from their end. With a catalog the first segment of an index may be lost."""
    for segment in reversed(segments):
        try:
            commits = _commits(client, segment, catalog)
        except CorruptObjectError as error:
            return _Tail(somewhere_in(segment), torn=error.name)
        if commits.extent.end == segment.offset and segment is segments[-1]:
            # The end of an index is that of its last commit.
            return _Tail(segment.position, marked=segment.offset > 0)
        if commits.ends:
            return _Tail(replace(segment.position, offset=int(commits.ends[-1])))
    return _Tail(None)


def _commits(client: ReplicaClient, segment: SegmentInfo, catalog: Catalog | None) -> Commits:
    """The commits of a segment. Raises CorruptObjectError, ObjectNotFoundError, StorageError."""
    try:
        return read_commits(client, segment.position)
    except ObjectNotFoundError:
        header = _header_of(client, segment, catalog) if catalog is not None else None
        if header is None:
            raise
        return read_commits(client, segment.position, header)


def _header_of(client: ReplicaClient, segment: SegmentInfo, catalog: Catalog) -> WALHeader | None:
    """What the lost header of an index must have said, by a frame and a snapshot; None if they do not tell."""
    size = next((item.note.page_size for item in catalog.snapshots if item.note), 0)
    frame = client.read_head(segment.name, FRAME_HEADER_SIZE)
    if not size or (frame and len(frame) < FRAME_HEADER_SIZE):
        return None
    first, second = (int.from_bytes(frame[at : at + 4], "big") for at in (8, 12))
    return WALHeader(False, size, 0, first, second, (0, 0))


def _without_damaged_marks(answers: Sequence[OfferOrRefusal]) -> list[OfferOrRefusal]:
    """What could not be read holds nothing where another replica has an end mark in its place."""
    marks = {item.plan.segments[-1].position for item in answers if isinstance(item, Offer) and item.marked}
    found: list[OfferOrRefusal] = []
    for item in answers:
        last = (item.plan.segments if isinstance(item, Offer) else item.kept)[-1:]
        if not last or last[0].position not in marks:
            found.append(item)
        elif isinstance(item, Offer):
            end, known = (_without_mark(place, last[0]) for place in (item.end, item.known))
            found.append(replace(item, end=end, known=known))
        else:
            found.append(replace(item, known=item.known and _without_mark(item.known, last[0])))
    return found


def _without_mark(end: Position, mark: SegmentInfo) -> Position:
    """An end that was taken to lie in an object of which it turned out that it is an end mark, without content."""
    return mark.position if end == somewhere_in(mark) else end
