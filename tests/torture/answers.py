"""What is right for a restore of the replicas of a history: of one, or of several that stand differently, or are away.

The newest commit at or before what was asked for, of which anything in the replicas that answer is evidence; or a
refusal, where that one cannot be brought back, or where two programs went on with one history. Every object here is
whole and has its note, so that nothing else leaves a doubt; damage and other programs are in differential.py.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from replication.position import Position
from replication.restore.target import AtIndex, AtPosition, AtTime, Target
from replication.restore.wal03.seen import SEGMENTS_READ_MAX
from replication.storage.wal03.notes import REACHED_MAX
from tests.torture.differential import Request
from tests.torture.mirror import Kept, Mirror
from tests.torture.oracle import Oracle

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Numbers of the states that may come out, and why a refusal is right; "" if it is not."""

    right: frozenset[int]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What one replica says of one generation up to a target: its newest state, and those that it brings back.

    The state is UNKNOWN where it is in WAL that nothing leads to: of a place that was emptied.
    """

    generation: str
    at: Position
    newest: int
    restorable: frozenset[int]
    first: float
    last: float
    """When the first object of it came, in truth, and the last up to the target."""
    before: frozenset[str]
    """The generations that it names as older."""
    lefts: frozenset[Position]
    """The first places past where it says that some of them were left."""
    reached: frozenset[Position]
    """The first places past what it says that others had in the same replica."""
    replica: str
    written: tuple[Kept, ...]
    cut: bool = False
    """What came after the time does not begin where what had come by then ends: nobody knows when the rest came."""
    mixed: bool = False
    """An object begins within another: one vanished, and somebody sent it again with more in it."""
    holed: bool = False
    """Nothing leads to the last WAL up to the target."""


def restorable(mirror: Mirror, kept: Collection[Kept]) -> set[Position]:
    """Every commit that these objects of one generation lead to."""
    return _led_to(mirror, kept)[0]


def _led_to(mirror: Mirror, kept: Collection[Kept]) -> tuple[set[Position], set[Position]]:
    """Every commit that these objects of one generation lead to, and where the WAL with them begins."""
    segments = {item.place: item for item in kept if not item.snapshot}
    found: set[Position] = set()
    places: set[Position] = set()
    for base in [item.place for item in kept if item.snapshot]:
        found.add(base)
        expected = Position(base.generation, base.index, 0)
        while True:
            item = segments.get(expected)
            if item is None and expected.offset == mirror.length(expected.generation, expected.index) != 0:
                expected = Position(expected.generation, expected.index + 1, 0)
                item = segments.get(expected)
            if item is None:
                break
            following = [commit for commit in item.commits if commit > base]
            if any(commit not in mirror.points for commit in following):
                # It was written behind what another side had there.
                break
            found.update(following)
            places.add(item.place)
            # An object without content ends its index.
            ended = item.end == item.place
            expected = Position(expected.generation, expected.index + 1, 0) if ended else item.end
    return found, places


def judge(mirrors: Mapping[str, Mirror], oracle: Oracle, request: Request) -> Verdict:
    """What may come of a request."""
    asked = [mirrors[name] for name in request.replicas if not mirrors[name].store.down]
    if isinstance(request.target, AtPosition):
        return _judge_position(asked, request.target.position)
    evidence: list[_Evidence] = []
    indexes: set[int] = set()
    unclear, beside = "", False
    """Somebody notes that another program goes on with a generation before his."""
    later: list[_Evidence] = []
    """All that was written up to a time, whatever came before it in its generation by a clock that was wrong."""
    for mirror in asked:
        for generation, kept in mirror.held().items():
            if request.generation not in (None, generation):
                continue
            indexes |= {item.place.index for item in kept}
            found = _evidence(mirror, generation, kept, request.target, named=request.generation is not None)
            later += [found or _written(mirror, generation, kept, request.target)]
            if found is not None:
                evidence.append(found)
                beside |= any(item.beside for item in kept)
            elif not any(item.begins or item.place.index == 0 for item in kept if item.snapshot):
                unclear = "a generation whose beginning is not there"
    if isinstance(request.target, AtIndex) and request.target.index > max(indexes, default=-1):
        return Verdict(frozenset(), "no such index")
    if isinstance(request.target, AtIndex) and request.target.index not in indexes:
        # It was left before a replica began that holds later ones, or removed: what came before it is not its end.
        return Verdict(frozenset(), "an index of which nothing is there")
    left = [item for item in evidence if not _is_over(item, evidence)] or evidence
    unknown = [item for item in left if item.newest == UNKNOWN and not _is_elsewhere(item, left)]
    # Nothing is given that may be older than what nobody can bring back.
    left = [item for item in left if not any(item.generation == u.generation and item.at < u.at for u in unknown)]
    tips = _tips(evidence, oracle)
    right = frozenset(item.newest for item in _tips(left, oracle))
    refusal = unclear if request.generation is None else ""
    if unknown:
        refusal = "WAL that nothing leads to"
    elif request.generation is None and any(
        one.generation in other.before and other.generation in one.before for one in evidence for other in evidence
    ):
        refusal = "two sides that name each other as older"
    elif request.generation is None and any(
        _is_past(item, place) for item in later for place in _places(item, evidence)
    ):
        refusal = "a side went on where the other had left"
    elif request.generation is None and any(
        one.generation in other.before and other.first < one.last and other.replica == one.replica
        for one in evidence
        for other in evidence
    ):
        refusal = "a side went on with what the other calls older"
    elif request.generation is None and any(
        _seems_later(one, other, evidence) for one in evidence for other in evidence
    ):
        refusal = "a place with more generations than a note has room for, whose clock was set back"
    elif request.generation is None and _are_apart(evidence):
        refusal = "generations of two hosts that never met in one replica"
    elif len({item.newest for item in tips}) != 1 or len(right) != 1 or (request.generation is None and beside):
        refusal = "two histories, or none"
    elif not any(right & item.restorable for item in evidence):
        refusal = "it cannot be brought back"
    elif not any(right & item.restorable for item in evidence if not item.cut):
        refusal = "WAL is lost just where the time is"
    elif not any(right & item.restorable for item in evidence if not (item.cut or item.mixed)):
        refusal = "two sides wrote the same WAL"
    elif not any(right & item.restorable for item in evidence if not (item.cut or item.mixed or item.holed)):
        refusal = "WAL before the last is lost"
    return Verdict(right, refusal)


def _judge_position(asked: Iterable[Mirror], position: Position) -> Verdict:
    right: set[int] = set()
    possible = False
    for mirror in asked:
        if position in mirror.points:
            kept = mirror.held().get(position.generation, [])
            # Two programs may have gone on with one generation in two places.
            right.add(mirror.points[position])
            # Where two have something there, nothing tells whose commit is meant.
            there = sum(item.place < position <= item.end for item in kept if not item.snapshot)
            possible |= there < 2 and position in restorable(mirror, kept)
    return Verdict(frozenset(right), "" if possible else "it cannot be brought back")


def _evidence(mirror: Mirror, generation: str, kept: list[Kept], target: Target, named: bool) -> _Evidence | None:
    """What is known of one generation up to a target; None if nothing is.

    By the times of its objects alone one that is not named has begun, or has not.
    """
    segments = sorted((item for item in kept if not item.snapshot), key=lambda item: item.place)
    snapshots = bases = [item for item in kept if item.snapshot]
    later: list[Kept] = []
    """What came after a time; of that some may be noted to have been made by then."""
    if isinstance(target, AtTime):
        late = next((n for n, item in enumerate(segments) if not _had(target, item)), len(segments))
        segments, later = segments[:late], segments[late:]
        snapshots = [item for item in bases if _had(target, item)]
        bases = [item for item in bases if item in snapshots or (segments and item.place <= segments[-1].place)]
    elif isinstance(target, AtIndex):
        segments = [item for item in segments if item.place.index <= target.index]
        snapshots = bases = [item for item in bases if item.place.index <= target.index]
    known = [commit for item in [*segments, *snapshots] for commit in item.commits]
    # Where an index ends there is a commit, though all of its WAL be lost.
    known += [item.place for item in segments if item.end == item.place and item.place.offset]
    made = _made_by(later, target.time) if isinstance(target, AtTime) else None
    if not known and not segments and (made is None or not named):
        return None
    # What lies before an object was there, whatever commits it had.
    known = known or [max((item.place for item in segments), default=Position(generation, 0, 0))]
    if made is not None and made > max(known):
        known = [made]
        segments, bases = [*segments, *later], [item for item in kept if item.snapshot]
    found, places = _led_to(mirror, [*segments, *bases])
    numbers = frozenset(mirror.points[commit] for commit in found if commit <= max(known))
    said = _written(mirror, generation, kept, target)
    newest = mirror.points.get(max(known), UNKNOWN)
    cut = bool(later) and later[0] not in segments and not _meets(mirror, [*segments, *bases], later[0].place)
    mixed = any(one.place < other.place < one.end for one in segments for other in segments)
    last = max((item.place for item in segments), default=None)
    holed = last is not None and last not in places and last >= max((item.place for item in bases), default=last)
    return replace(said, at=max(known), newest=newest, restorable=numbers, cut=cut, mixed=mixed, holed=holed)


def _meets(mirror: Mirror, kept: Collection[Kept], following: Position) -> bool:
    """True if an object begins no later than these end, or with the index after theirs if nothing of theirs is lost."""
    end = max(item.end for item in kept)
    if following.index == end.index + 1 and not following.offset:
        return mirror.length(end.generation, end.index) in (None, end.offset)
    return following <= end


def _had(target: AtTime, item: Kept) -> bool:
    """True if an object was there at a time. Of a store that tells whole seconds it may have come at the end of one.

    A time in whole seconds has all of its second.
    """
    coarse = target.time.microsecond and not item.stamp.microsecond
    return item.stamp + timedelta(seconds=1 if coarse else 0) <= target.time


def _made_by(later: list[Kept], time: datetime) -> Position | None:
    """The last commit that segments which came after a time note as made by then."""
    found: Position | None = None
    for at, made in (entry for item in later[:SEGMENTS_READ_MAX] for entry in item.seen):
        if made > time:
            break
        found = at
    return found


def _written(mirror: Mirror, generation: str, kept: list[Kept], target: Target) -> _Evidence:
    """What one replica has of a generation, without a word of its state."""
    written = tuple(item for item in kept if not isinstance(target, AtTime) or item.stamp <= target.time)
    # Of what came after that time nothing counts, but to say that there was a beginning.
    times = [item.time for item in written or kept]
    return _Evidence(
        generation,
        Position(generation, 0, 0),
        UNKNOWN,
        frozenset(),
        min(item.time for item in kept),
        max(times),
        before=frozenset[str]().union(*(item.before for item in kept)),
        lefts=frozenset[Position]().union(*(item.lefts for item in kept)),
        reached=frozenset[Position]().union(*(item.reached for item in kept)),
        replica=mirror.store.address,
        written=written,
    )


def _are_apart(evidence: list[_Evidence]) -> bool:
    """True if nothing orders two of them: neither was in a replica that the other was written to."""
    before = {name for item in evidence for name in item.before}
    heads: dict[str, set[str]] = {}
    for item in evidence:
        if item.generation not in before:
            heads.setdefault(item.generation, set()).add(item.replica)
    return any(not one & other for one in heads.values() for other in heads.values())


def _seems_later(one: _Evidence, other: _Evidence, evidence: list[_Evidence]) -> bool:
    """True if by the store one was written to after another began that calls it older, and no note need tell."""
    if one.replica != other.replica or one.generation not in other.before or not (one.written and other.written):
        return False
    here = {item.generation for item in evidence if item.replica == one.replica}
    later = max(item.stamp for item in one.written) > min(item.stamp for item in other.written)
    return later and len(here) > REACHED_MAX


def _places(item: _Evidence, evidence: list[_Evidence]) -> set[Position]:
    """Who wrote to a generation past these is another: as noted in its replica, or else where it was left, or seen, in
    others.
    """
    here = {place for other in evidence if other.replica == item.replica for place in other.lefts | other.reached}
    left = {place for other in evidence for place in other.lefts}
    seen = {place for other in evidence for place in other.reached}
    of_it = ({place for place in places if place.generation == item.generation} for places in (here, left, seen))
    return next((places for places in of_it if places), set())


def _is_past(item: _Evidence, place: Position) -> bool:
    """True if somebody wrote to a generation at a place where another had nothing: WAL, or a later index altogether.

    What begins before the place and ends past it was sent again; the place after a name says nothing of an end.
    """
    after_name = replace(place, offset=max(0, place.offset - 1))
    return item.generation == place.generation and any(
        kept.place >= place or (kept.place < after_name and kept.end > place)
        if not kept.snapshot
        else kept.place > Position(place.generation, place.index + 1, 0)
        for kept in item.written
    )


def _tips(evidence: list[_Evidence], oracle: Oracle) -> list[_Evidence]:
    """Those of which the newest state is not one from which that of another came."""
    known = [item for item in evidence if item.newest != UNKNOWN]
    older = {number for item in known for number in oracle.earlier(item.newest)}
    return [item for item in known if item.newest not in older]


def _is_over(item: _Evidence, evidence: list[_Evidence]) -> bool:
    """True if another generation says that it came after this one, and nothing was written to this one since.

    So it is with one from which a database was set back, too: a copy that begins a generation looks no different.
    """
    return any(item.generation in other.before and other.first > item.last for other in evidence)


def _is_elsewhere(item: _Evidence, evidence: list[_Evidence]) -> bool:
    """True if another replica has come as far in that generation, with all that leads there."""
    return any(
        other.generation == item.generation and other.at >= item.at and other.newest != UNKNOWN for other in evidence
    )
