"""Which replica answers best: the one whose plan ends at the latest commit, as read from what it has (measured.py).

Its promise: whatever the replicas' pace, none is taken for the best while another one is known to hold a later commit
up to the target, though that cannot be restored from it.

    near   |--c--|--c--|             offers the second commit
    far    |--c--|     |--c--|       cannot be restored past its hole, and is evidence of a third: near is behind
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from replication.restore.retry import Backoff
from replication.restore.target import AtPosition, Target
from replication.restore.wal03.measured import measured_all
from replication.restore.wal03.offers import Offer, OfferOrRefusal, Refusal, open_end
from replication.sqlite.format import WAL_HEADER_SIZE

_NEVER = datetime.min.replace(tzinfo=UTC)


def ranked(
    answers: Sequence[OfferOrRefusal], target: Target, backoff: Backoff, stop: threading.Event
) -> list[OfferOrRefusal]:
    """The answers in order: offers first, the furthest first. Of those that end alike the surest comes first."""
    if len(answers) > 1 and not _one_commit(target):
        answers = measured_all(answers, target, backoff, stop)
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


def rival(best: Offer, answers: Sequence[OfferOrRefusal]) -> Offer | None:
    """Another replica whose snapshot may hold later commits than the best offer ends at.

    That is a snapshot of Litestream, which does not say which commit it holds, and which is all of an offer's plan or
    needs a proof. It is none if the best offer has a segment of its index, or of a later one, that was stored after it:
    then that goes at least as far. Where the best offer has such a snapshot too, it is left to the proof of that.
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


def _one_commit(target: Target) -> bool:
    """True if the target is the end of one commit, so that all answers are alike."""
    return isinstance(target, AtPosition) and target.position.offset > WAL_HEADER_SIZE
