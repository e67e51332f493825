"""Which generation of a database is the newest. Something must prove it: a clock alone never does.

First the notes: a generation that another one names as older, is older.

    A <- B <- C          C names B, and B names A: nobody names C, which is the newest, the one head
    A <- B, A <- C       two heads: no note orders B and C
    A <-> B              a ring: two copies of the database met each other's generation, each in another replica; both
                         are heads

Where there are several heads, the newest is the one that is proven to be newer than each other head, by either of:

- the salts of the WAL, which rise by one with each restart of the WAL;
- the times at which the store got the objects, if these do not overlap, and if neither the file change counters of the
  two databases nor the clocks of the hosts say the contrary.

In a ring the heads are of two copies, whose salts and counters rise apart, so only times count. Where nothing proves
it, NoRestorePointError lists the candidates, and nothing is guessed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from replication.errors import NoRestorePointError
from replication.sqlite.wal import WALHeader, restarts_between
from replication.times import format_time


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when a replica got what it has of a generation, by the clock of the store.

    `times_rise` if no object that comes later in the WAL has an earlier time; else the times prove nothing.
    """

    oldest: datetime
    newest: datetime
    times_rise: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generation that may be the newest. `spans` are by replica, `before` the generations that it names as older.

    `noted` is the time of its newest note, by the clock of its host; None without notes of ours.
    """

    generation: str
    spans: Mapping[str, Span]
    before: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    """Those of `before` with which another program, that has a copy of the database, was seen to go on."""
    noted: datetime | None = None

    @property
    def oldest(self) -> datetime:
        return min(span.oldest for span in self.spans.values())

    @property
    def newest(self) -> datetime:
        return max(span.newest for span in self.spans.values())


@dataclass(frozen=True, slots=True)
class Content:
    """What is in the objects of a generation: the file change counter in its newest snapshot, and the headers of its
    first and last WAL (None without WAL)."""

    counter: int
    first: WALHeader | None = None
    last: WALHeader | None = None


def heads(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that no other names as older, itself or through others; two that name each other both stay."""
    older = {item.generation: _all_before(item, candidates) for item in candidates}
    return [
        item
        for item in candidates
        if not any(
            item.generation in names and name not in older[item.generation]
            for name, names in older.items()
            if name != item.generation
        )
    ]


def _all_before(item: Candidate, candidates: Sequence[Candidate]) -> set[str]:
    """The generations that a candidate names as older, those that these name, and so on."""
    before = {other.generation: other.before for other in candidates}
    found, left = set[str](), {*item.before}
    while left:
        found |= left
        left = {name for known in left for name in before.get(known, ())} - found
    return found


def newest_generation(candidates: Sequence[Candidate], content_of: Callable[[str], Content]) -> str:
    """The newest of the candidates. `content_of` reads what a generation holds, and is asked only where it matters.

    Raises NoRestorePointError, listing the candidates, if nothing proves which it is.
    """
    _refuse_parted(candidates)
    found = heads(candidates)
    if len(found) == 1:
        return found[0].generation
    contents = {item.generation: content_of(item.generation) for item in found}
    # In a ring are two copies of the database, whose salts and counters cannot be compared.
    in_a_ring = any(item.generation in other.before for item in found for other in found)
    for item in found:
        others = [other for other in found if other is not item]
        if all(_is_stored_later(item, other) if in_a_ring else _is_newer(item, other, contents) for other in others):
            return item.generation
    by_time = next(
        (item for item in found if all(_is_stored_later(item, other) for other in found if other is not item)), None
    )
    if by_time is None:
        why = "Neither the times of the objects nor what is in them tells which generation is the newest."
    else:
        why = (
            f"The times of the objects call {by_time.generation} the newest generation, and something else speaks "
            "against it: the change counter of its database, the salts of its WAL, or the clock of its host."
        )
    raise NoRestorePointError(f"{why} Name one with -generation: {_list(found, contents)}.")


def _refuse_parted(candidates: Sequence[Candidate]) -> None:
    """Raise NoRestorePointError if a note tells that two programs went on with one generation, each with a copy.

    Then neither has all commits, so none is the newest:

        shared   |---c--|--c--|
        parted             `--|--c--|      its notes have `shared` in `beside`: somebody else goes on with that

    It is refused only if something was stored since `parted` began, in `shared` or in what names it as older. Where the
    database was set back, and nothing was written to the old generation since, there is no second program.
    """
    for parted in candidates:
        for shared in parted.beside:
            others = [
                item
                for item in candidates
                # Some stores have times in whole seconds.
                if item.newest >= parted.oldest
                and (item.generation == shared or shared in item.before)
                and item is not parted
                # One that is named as older was left; two that name each other have met, in two replicas.
                and (parted.generation not in item.before or item.generation in parted.before)
            ]
            if others:
                names = ", ".join(
                    f"{item.generation} ({format_time(item.oldest)} to {format_time(item.newest)})"
                    for item in [parted, *others]
                )
                raise NoRestorePointError(
                    f"Two programs went on with generation {shared}, each with a copy of the database, so that none "
                    f"is the newest. Name the one you want with -generation: {names}."
                )


def _is_newer(item: Candidate, other: Candidate, contents: Mapping[str, Content]) -> bool:
    """True if `item` is proven to be newer than `other`: by salts, or by times that nothing denies."""
    mine, theirs = contents[item.generation], contents[other.generation]
    if _salts_follow(mine, theirs):
        return False
    if _salts_follow(theirs, mine):
        # Salts may follow by chance: where the times say the contrary, the counter must agree with the salts.
        return not _is_stored_later(other, item) or mine.counter > theirs.counter
    if not _is_stored_later(item, other) or mine.counter < theirs.counter:
        return False
    # Where the clocks of the hosts say the contrary of the store's times, either is wrong: a host's, or the store's, as
    # after somebody copied the replica. Then the counter must agree with the times.
    clocks_differ = item.noted is not None and other.noted is not None and item.noted < other.noted
    return not clocks_differ or mine.counter > theirs.counter


def _is_stored_later(item: Candidate, other: Candidate) -> bool:
    """True if `item` was stored after `other`: in each replica that has both; if none has, where each came first.

    Without a common replica that is the clock of one store against that of another. It is not believed of two programs
    that write notes: these read what is in their replicas, and so would have named each other.
    """
    shared = item.spans.keys() & other.spans.keys()
    if shared:
        return all(_span_later(item.spans[name], other.spans[name]) for name in shared)
    if item.noted is not None and other.noted is not None:
        return False
    first = min(item.spans.values(), key=lambda span: span.oldest)
    second = min(other.spans.values(), key=lambda span: span.oldest)
    return _span_later(first, second)


def _span_later(late: Span, early: Span) -> bool:
    """True if `late` begins when `early` has ended, or in the same instant: some stores have times in whole seconds.

    Two that are both within one such instant are in no order.
    """
    if not (late.times_rise and early.times_rise) or late.oldest < early.newest:
        return False
    return (early.oldest, early.newest) < (late.oldest, late.newest)


def _salts_follow(early: Content, late: Content) -> bool:
    """True if the salts prove that `late` comes after `early`: its first WAL is the last of `early`, or a later one.

    Where all that both have is that same WAL, nothing tells.
    """
    if early.first is None or early.last is None or late.first is None or late.last is None:
        return False
    if early.last.salts == late.first.salts:
        return early.first.salts != early.last.salts or late.first.salts != late.last.salts
    return restarts_between(early.last, late.first) > 0


def _list(candidates: Sequence[Candidate], contents: Mapping[str, Content]) -> str:
    return ", ".join(
        f"{item.generation} ({format_time(item.oldest)} to {format_time(item.newest)}, "
        f"change counter {contents[item.generation].counter})"
        for item in sorted(candidates, key=lambda item: item.generation)
    )
