"""Which objects a replica may remove: a pure policy, and a check of its result before anything is removed.

The promise of `retention` is a window: every commit of the last so many seconds stays restorable. So the newest
snapshot from before the window is kept as well, with all WAL since, and so is the generation that was in use when the
window began, however long ago it was written to: a database that was replaced today may not have been written to for a
long time before. The generation in use is never removed. (Litestream keeps only what is inside the window, which right
after a new snapshot is nothing but that.)

    one generation    S0-w-w-w-S1-w-w-|-w-w-S2-w-w    | is where the window begins, w are segments, S snapshots
    stays                      S1-w-w-|-w-w-S2-w-w    S1 is the newest S from before the window

    generations       A: S-w-w        |               B had begun before the window, and whoever had A went on with B:
                      B:      S-w-w-w-|-w-w           A goes as a whole, and of B what is before its last S there

Times are those of the store. Within a generation they never go back: what comes later in the WAL was written later.
Notes tell which generation came after which; times do so only where no note does and they leave no doubt.
A generation that a copy of the database began takes the place of none of ours. Where the copy goes on in a generation
that both have, nothing in it is old until the two have been apart for as long as the window.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from replication.position import OFFSET_LIMIT_BYTES, Position
from replication.replica.wal03.holdings import Holdings
from replication.storage.wal03.names import Place

WHOLE_SECONDS = timedelta(seconds=1)
"""The window begins so much earlier if all times of a store are in whole seconds."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_NO_LIMIT: Place = (1 << 63, 0)


@dataclass(frozen=True, slots=True)
class Removal:
    """Objects of one generation that may go, in the order to remove them. `whole` if they are all that it has."""

    generation: str
    names: tuple[str, ...]
    whole: bool


def window_begin(holdings: Sequence[Holdings], now: datetime, retention_seconds: float) -> datetime:
    """When the window began, by the clock of the store."""
    whole = all(time.microsecond == 0 for held in holdings for time in held.times)
    return now - timedelta(seconds=retention_seconds) - (WHOLE_SECONDS if whole else timedelta())


def expired(
    holdings: Sequence[Holdings],
    current: str,
    now: datetime,
    retention_seconds: float,
    others: Collection[str] = frozenset(),
) -> list[Removal]:
    """The objects that may go at `now`: none unless the generation `current` has a snapshot.

    The generations `others` are of other programs: they stay, and say nothing of our database.
    """
    holdings = [held for held in holdings if held.generation not in others]
    if retention_seconds <= 0 or not any(held.generation == current and held.snapshots for held in holdings):
        return []
    begin = window_begin(holdings, now, retention_seconds)
    found: list[Removal] = []
    for held in holdings:
        newest = held.newest
        if held.generation != current and newest is not None and newest < begin and _is_over(held, holdings, begin):
            found.append(Removal(held.generation, tuple(held.names), whole=True))
        elif names := _before_window(held, _begin_in(held, holdings, begin)):
            found.append(Removal(held.generation, tuple(names), whole=False))
    return found


def snapshot_needed(holdings: Sequence[Holdings], current: str, now: datetime, retention_seconds: float) -> bool:
    """True when the newest snapshot of `current` is older than the window, so that no WAL could ever be removed."""
    times = [item.created for held in holdings if held.generation == current for item in held.snapshots]
    return retention_seconds > 0 and bool(times) and max(times) < window_begin(holdings, now, retention_seconds)


def lost_of_window(
    holdings: Sequence[Holdings], removed: Collection[str], now: datetime, retention_seconds: float
) -> Position | None:
    """The first place in the window that could be restored before these objects are removed, and not after it.

    It is looked for commit by commit, whatever the reason for which the objects are to be removed.
    """
    begin = window_begin(holdings, now, retention_seconds)
    names = set(removed)
    rest = [held.without(names) for held in holdings]
    for held, left in zip(holdings, rest, strict=True):
        place = _lost(held, left, _begin_in(held, rest, begin), is_over=_is_over(held, rest, begin))
        if place is not None:
            return Position(held.generation, *place)
    return None


# -- one generation ---------------------------------------------------------------------------------------------------


def _timed(held: Holdings) -> list[tuple[Place, str, datetime]]:
    """All snapshots and segments in the order of the history, with times that never go back: place, name, time.

    A clock that was set back makes nothing older than what came before it.
    """
    items = [((item.index, held.offsets.get(item.index, 0)), 0, item.name, item.created) for item in held.snapshots]
    items += [((item.index, item.offset), 1, item.name, item.created) for item in held.segments]
    latest, found = _NEVER, []
    for place, _, name, created in sorted(items):
        latest = max(latest, created)
        found.append((place, name, latest))
    return found


def _in_window(held: Holdings, begin: datetime) -> list[Place]:
    """Where the segments begin that came within the window."""
    times = {name: time for _, name, time in _timed(held)}
    return [(item.index, item.offset) for item in held.segments if times[item.name] > begin]


def _before_window(held: Holdings, begin: datetime) -> list[str]:
    """The names of objects that nothing in the window needs: all before the newest snapshot from before the window."""
    times = {name: time for _, name, time in _timed(held)}
    first = min(_in_window(held, begin), default=None)
    bases = [
        item.index
        for item in held.snapshots
        if times[item.name] <= begin and (first is None or held.place(item) <= first)
    ]
    if not bases:
        return []
    base = max(bases)
    below = Holdings(
        held.generation,
        [item for item in held.snapshots if item.index < base],
        [item for item in held.segments if item.index < base],
        damaged=[item for item in held.damaged if item.index < base],
        torn=[item for item in held.torn if item.index < base],
    )
    return below.names


def _lost(held: Holdings, left: Holdings, begin: datetime, is_over: bool) -> Place | None:
    """The first place of the window that `left` cannot restore and `held` can."""
    if not held.snapshots:
        return None
    first_base = min(held.place(item) for item in held.snapshots)
    kept = {(item.index, item.offset) for item in left.segments}
    places = [(item.index, item.offset) for item in held.segments]
    gone = [place for place in places if place not in kept]
    reach: list[tuple[Place, Place]] = []
    """Each snapshot that is left, with the first segment that no restore from it or from one before it can pass."""
    furthest: Place = (-1, 0)
    for base, index in sorted((held.place(item), item.index) for item in left.snapshots):
        at = bisect_right(gone, (index, -1))
        furthest = max(furthest, gone[at] if at < len(gone) else _NO_LIMIT)
        reach.append((base, furthest))
    if (not is_over or any(time > begin for _, _, time in _timed(held))) and furthest != _NO_LIMIT:
        return max([*places, first_base])
    ends = dict(pairwise(places))
    inside = _in_window(held, begin)
    # The commit that was the newest when the window began is in the window too. A snapshot that came later in the WAL
    # cannot restore it.
    last = max((place for place in places if not inside or place < inside[0]), default=None)
    times = {name: time for _, name, time in _timed(held)}
    if last is not None and not is_over:
        early = [item.index for item in left.snapshots if times[item.name] <= begin]
        if not any(bisect_right(gone, last) == bisect_right(gone, (index, -1)) or (index, 0) > last for index in early):
            inside = [last, *inside]
    for place in inside:
        end = ends.get(place, (place[0], OFFSET_LIMIT_BYTES))
        end = end if end[0] == place[0] else (place[0], OFFSET_LIMIT_BYTES)
        if first_base >= end:
            continue
        at = bisect_right(reach, (max(first_base, place), _NO_LIMIT))
        if at == 0 or reach[at - 1][1] <= place:
            return place
    return None


# -- several generations ----------------------------------------------------------------------------------------------


def _is_over(held: Holdings, holdings: Sequence[Holdings], begin: datetime) -> bool:
    """True if another generation had taken the place of this one when the window began, for all who had it.

    WAL past the place where a program had left it shows that another was still there, whatever the times say.

        A, left at P for B    |---w---|P        B took the place of A
        A, gone on with       |---w---|P--w--   B did not, for somebody else is in A
    """
    took_over = [other for other in _begun(held, holdings, begin) if not held.goes_past(other)]
    return bool(took_over) and _all_had_left(held, holdings, begin)


def _begin_in(held: Holdings, holdings: Sequence[Holdings], begin: datetime) -> datetime:
    """When the window begins in this generation: at its start, if two programs had it and not all of them left it
    before.

    Nothing tells whose newest commit was which when the window began: a snapshot from before may be the other's.
    """
    shared = any(held.generation in other.beside or held.goes_past(other) for other in _after(held, holdings))
    return _NEVER if shared and not _all_had_left(held, holdings, begin) else begin


def _all_had_left(held: Holdings, holdings: Sequence[Holdings], begin: datetime) -> bool:
    """True if every program that left a generation for another one had done so when the window began.

    Of the generations that one program began in a row, the first counts. One that was seen to be a copy's is of
    another.
    """
    begun = _begun(held, holdings, begin)
    return all(
        other in begun or any(_follows(other, first) and first.generation not in other.beside for first in begun)
        for other in _after(held, holdings)
    )


def _begun(held: Holdings, holdings: Sequence[Holdings], begin: datetime) -> list[Holdings]:
    """The generations that came after this one and had begun when the window began."""
    return [other for other in _after(held, holdings) if any(item.created <= begin for item in other.snapshots)]


def _after(held: Holdings, holdings: Sequence[Holdings]) -> list[Holdings]:
    """The generations that came after this one, each begun by a program that had left it, or took its place."""
    later = [other for other in holdings if other.generation != held.generation and _follows(other, held)]
    return [other for other in later if other.snapshots]


def _follows(late: Holdings, early: Holdings) -> bool:
    """True if `late` certainly came after `early`."""
    if early.generation in late.before or late.generation in early.before:
        return late.generation not in early.before
    return bool(late.times) and bool(early.times) and max(early.times) < min(late.times)
