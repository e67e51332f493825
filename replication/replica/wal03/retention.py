"""Which objects a replica may remove: a pure policy, and a check of its result before anything is removed.

The promise of `retention` is a window: every commit of the last so many seconds stays restorable. A commit is restored
from a snapshot that was taken before it and the WAL from there on, so the newest from before the window stays:

    objects of a generation    S0 |---|---|  S1 |---|---|  S2 |---|---|
    window                                          begin |---------| now
    may go                     S0 |---|---|
    stays                                    S1 |---|---|  S2 |---|---|    no restore goes back from S2

(Litestream keeps only what is inside the window: right after S2 that is nothing but S2.)

Of several generations, one goes as a whole once the one that took its place had begun before the window:

    A    S0 |---|                                          went on as B
    B               S0 |---|---|            begin |-----| now

A generation that was in use when the window began stays, however long ago it was written to: a database that was
replaced today may have been at rest for a year. The generation in use now never goes as a whole. Four rules decide
whether one has taken the place of another:

1. Times are those of the store. Within a generation they never go back: what comes later in the WAL was written later.
2. Notes tell which generation came after which. Times do so only where no note does, and only if they do not overlap.
3. A generation that a copy of the database began is of another line (docs/ARCHITECTURE.md): it takes no place of ours.
4. Where our program and a copy both went on with one generation, nothing in it is old until both have left it for
   generations of their own, and the window began after that.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from replication.position import OFFSET_LIMIT_BYTES, Position
from replication.replica.wal03.holdings import Holdings
from replication.storage.wal03.names import Place, SnapshotInfo

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
    """The objects that may go at `now`: none unless the generation in use, `current`, has a snapshot.

    The generations `others` are of other programs: they stay, and take the place of none.
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
    """The first place in the window that can be restored now, and could not once these objects were removed.

    This is the check of `expired`: it looks at each place of the window, and not at why the objects are to be removed.
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
    """Place, name and time of all snapshots and segments, in the order of the history.

    A time that goes back, by a clock that was set, is replaced by the one before it.
    """
    items = [((item.index, held.offsets.get(item.index, 0)), 0, item.name, item.created) for item in held.snapshots]
    items += [((item.index, item.offset), 1, item.name, item.created) for item in held.segments]
    latest, found = _NEVER, []
    for place, _, name, created in sorted(items):
        latest = max(latest, created)
        found.append((place, name, latest))
    return found


def _in_window(held: Holdings, begin: datetime) -> list[Place]:
    """The places at which segments begin that were stored within the window."""
    times = {name: time for _, name, time in _timed(held)}
    return [(item.index, item.offset) for item in held.segments if times[item.name] > begin]


def _before_window(held: Holdings, begin: datetime) -> list[str]:
    """The names of all objects in indexes below the newest snapshot from which the whole window can be restored."""
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
    """The first place of the window that `left` cannot restore and `held` can. `is_over` as _is_over says."""
    if not held.snapshots:
        return None
    first_base = min(held.place(item) for item in held.snapshots)
    kept = {(item.index, item.offset) for item in left.segments}
    places = [(item.index, item.offset) for item in held.segments]
    gone = [place for place in places if place not in kept]
    reach = _reach(held, left, gone)
    is_wanted = not is_over or any(time > begin for _, _, time in _timed(held))
    if is_wanted and not (reach and reach[-1][1] == _NO_LIMIT):
        # The newest commit itself cannot be reached any more.
        return max([*places, first_base])
    wanted = _in_window(held, begin)
    # The commit that was the newest when the window began is in the window too.
    times = {name: time for _, name, time in _timed(held)}
    early = [item for item in left.snapshots if times[item.name] <= begin]
    newest_before = max((place for place in places if not wanted or place < wanted[0]), default=None)
    if newest_before is not None and not is_over and not _is_restorable(newest_before, early, gone):
        wanted = [newest_before, *wanted]
    following = dict(pairwise(places))
    for place in wanted:
        if first_base >= _segment_end(place, following):
            # It could not be restored before either: no snapshot lies before it.
            continue
        at = bisect_right(reach, (max(first_base, place), _NO_LIMIT))
        if at == 0 or reach[at - 1][1] <= place:
            return place
    return None


def _reach(held: Holdings, left: Holdings, gone: Sequence[Place]) -> list[tuple[Place, Place]]:
    """How far restores come with what is left: for each snapshot in order its place, and the first removed segment that
    no restore from it, or from one before it, can pass; _NO_LIMIT if none is in the way.

        left     S1 |--|    |--|  S2 |--|         (S1, the hole), (S2, no limit)
    """
    found: list[tuple[Place, Place]] = []
    furthest: Place = (-1, 0)
    for base, index in sorted((held.place(item), item.index) for item in left.snapshots):
        at = bisect_right(gone, (index, -1))
        furthest = max(furthest, gone[at] if at < len(gone) else _NO_LIMIT)
        found.append((base, furthest))
    return found


def _is_restorable(place: Place, early: Sequence[SnapshotInfo], gone: Sequence[Place]) -> bool:
    """True if a restore from one of these snapshots comes through the segment that begins there.

    They are those from before the window: one that was stored later may come later in the WAL than the commit.
    """
    removed_until = bisect_right(gone, place)
    return any(removed_until == bisect_right(gone, (item.index, -1)) or (item.index, 0) > place for item in early)


def _segment_end(place: Place, following: Mapping[Place, Place]) -> Place:
    """Where the segment that begins at `place` ends: where the next begins, or else at the end of its index at most."""
    end = following.get(place)
    return end if end is not None and end[0] == place[0] else (place[0], OFFSET_LIMIT_BYTES)


# -- several generations ----------------------------------------------------------------------------------------------


def _is_over(held: Holdings, holdings: Sequence[Holdings], begin: datetime) -> bool:
    """True if everybody who wrote to this generation had gone over to another one when the window began.

    WAL past the place where a program had left it shows that somebody else was still there, whatever the times say.

        A, left at P for B    |---w---|P        B took the place of A
        A, gone on with       |---w---|P--w--   B did not, for somebody else is in A
    """
    took_over = [other for other in _begun(held, holdings, begin) if not held.goes_past(other)]
    return bool(took_over) and _all_had_left(held, holdings, begin)


def _begin_in(held: Holdings, holdings: Sequence[Holdings], begin: datetime) -> datetime:
    """When the window begins in this generation: at `begin`, or with its first object if nothing of it may go yet.

    So it is where two programs had it and not both had left it at `begin`: nothing tells which commit was the newest of
    which program then, and a snapshot from before may be the other one's (rule 4).
    """
    shared = any(held.generation in other.beside or held.goes_past(other) for other in _after(held, holdings))
    return _NEVER if shared and not _all_had_left(held, holdings, begin) else begin


def _all_had_left(held: Holdings, holdings: Sequence[Holdings], begin: datetime) -> bool:
    """True if each generation that came after this one had begun when the window began, or one of its line had.

    this one --> B --> C           one program: that B had begun is enough
    this one --> B, and --> D      two programs, D of a copy's: both must have begun
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
    """The generations with a snapshot that came after this one."""
    later = [other for other in holdings if other.generation != held.generation and _follows(other, held)]
    return [other for other in later if other.snapshots]


def _follows(late: Holdings, early: Holdings) -> bool:
    """True if `late` certainly came after `early`, by a note, or by times that do not overlap (rule 2)."""
    if early.generation in late.before or late.generation in early.before:
        return late.generation not in early.before
    return bool(late.times) and bool(early.times) and max(early.times) < min(late.times)
