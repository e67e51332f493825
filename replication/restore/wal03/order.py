"""Which generation is the newest. Something must prove it: a clock alone never does.

Notes decide where there are any: a generation that another one names as one before it is older than that one.

    A <- B <- C          C names B, and B names A: nobody names C, which is the newest, the one head
    A <- B, A <- C       two heads: no note orders B and C
    A <-> B              a ring: each has met the other in a place of its own, so both are heads

Of two heads the salts of the WAL decide, which rise with each life of it, or the times of the store where they can be
believed, and where neither the salts, nor the file change counters of the databases, nor the clocks of the hosts speak
against them. In a ring there are two copies of the database, so that only the times count. Where nothing proves it,
NoRestorePointError lists the candidates, and nothing is guessed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from replication.errors import NoRestorePointError
from replication.sqlite.wal import WALHeader, salt_steps
from replication.times import format_time


@dataclass(frozen=True, slots=True)
class Span:
    """When a replica got what it has of a generation, by the clock of the store. `times_rise` if no time goes back."""

    oldest: datetime
    newest: datetime
    times_rise: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generation as far as its order needs it. `spans` are by replica, `before` the generations it names as older.

    `noted` is when its notes last said that it was alive, by the clock of its host, or None.
    """

    generation: str
    spans: Mapping[str, Span]
    before: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    """Generations before it with which another program was seen to go on."""
    noted: datetime | None = None

    @property
    def oldest(self) -> datetime:
        return min(span.oldest for span in self.spans.values())

    @property
    def newest(self) -> datetime:
        return max(span.newest for span in self.spans.values())


@dataclass(frozen=True, slots=True)
class Content:
    """What the objects of a generation say: the change counter of its newest snapshot, its first and its last WAL."""

    counter: int
    first: WALHeader | None = None
    last: WALHeader | None = None


def heads(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that none comes after, by the notes. Where they name each other in a ring, that says nothing."""
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
    """What a candidate names as older, and what those name, and so on."""
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
    # Two copies of one database have met each other: their salts and counters cannot be compared.
    in_a_ring = any(item.generation in other.before for item in found for other in found)
    for item in found:
        others = [other for other in found if other is not item]
        if all(_later(item, other) if in_a_ring else _after(item, other, contents) for other in others):
            return item.generation
    by_time = next((item for item in found if all(_later(item, other) for other in found if other is not item)), None)
    if by_time is None:
        why = "Neither the times of the objects nor what is in them tells which generation is the newest."
    else:
        why = (
            f"The times of the objects call {by_time.generation} the newest generation, and something else speaks "
            "against it: the change counter of its database, the salts of its WAL, or the clock of its host."
        )
    raise NoRestorePointError(f"{why} Name one with -generation: {_list(found, contents)}.")


def _refuse_parted(candidates: Sequence[Candidate]) -> None:
    """Raise NoRestorePointError if two programs went on with one history: neither is the newer of the other.

    A history from which the database was set back, with nothing written to it since, is no second one.
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
                # The one that names the other as older came after it; two that name each other have met in two places.
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


def _after(item: Candidate, other: Candidate, contents: Mapping[str, Content]) -> bool:
    """True if `item` is proven to be later than `other`: something says so, and nothing speaks against it."""
    mine, theirs = contents[item.generation], contents[other.generation]
    if _salts_follow(mine, theirs):
        return False
    if _salts_follow(theirs, mine):
        # By chance salts follow, too: where the times say the contrary, the counter must agree with the salts.
        return not _later(other, item) or mine.counter > theirs.counter
    if not _later(item, other) or mine.counter < theirs.counter:
        return False
    # Where they differ, the host of one of them, or the person who copied the replica, had the time wrong.
    clocks_differ = item.noted is not None and other.noted is not None and item.noted < other.noted
    return not clocks_differ or mine.counter > theirs.counter


def _later(item: Candidate, other: Candidate) -> bool:
    """True if the store has `item` from after `other`: in each replica that has both, else as either got it first.

    Programs that note what is at a place would have told, had they met in one: then two stores' clocks prove nothing.
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
    """Times may be in whole seconds: what ends and begins within one is in order as long as either is longer."""
    if not (late.times_rise and early.times_rise) or late.oldest < early.newest:
        return False
    return (early.oldest, early.newest) < (late.oldest, late.newest)


def _salts_follow(early: Content, late: Content) -> bool:
    """True if the salts prove that the WAL of `late` comes after that of `early`, or begins as the same one."""
    if early.first is None or early.last is None or late.first is None or late.last is None:
        return False
    if early.last.salts == late.first.salts:
        return early.first.salts != early.last.salts or late.first.salts != late.last.salts
    return salt_steps(early.last, late.first) > 0


def _list(candidates: Sequence[Candidate], contents: Mapping[str, Content]) -> str:
    return ", ".join(
        f"{item.generation} ({format_time(item.oldest)} to {format_time(item.newest)}, "
        f"change counter {contents[item.generation].counter})"
        for item in sorted(candidates, key=lambda item: item.generation)
    )
