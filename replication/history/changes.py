"""Where the answer to a question changed among the commits of a timeline, from the newest back.

Its promise: no change is missed, and yet few commits are looked at. A look notes which pages its answer was made of; as
long as none of them is written the answer stays the same, so the next look is right before the last frame that wrote
one. Where a busy table makes that too many looks, the rest is halved instead, which finds one change and proves nothing
of others: then it is said. It leaves to the caller what is asked, and which change is the one that is looked for.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from replication.history.contract import Moment, Timeline
from replication.history.versions import Place
from replication.sqlite.moment import Query, opened

LOOKS_MAX = 16
"""So many looks before the rest is halved, if not every change is asked for."""

Answer = Hashable
Question = Callable[[Query], Answer]
Match = Callable[[Answer, Answer], bool]
"""True if the change from one answer to the other is one that is looked for."""


@dataclass(frozen=True, slots=True)
class Change:
    """The answers at two commits, of which the second follows the first; `is_sure` if no other may lie after it."""

    before: Place
    after: Place
    was: Answer
    became: Answer
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """An answer, and the pages that it was made of."""

    answer: Answer
    pages: frozenset[int]


@dataclass(slots=True)
class Looker:
    """Asks one question at commits of one timeline. `looks` counts them, `oldest` is the answer at its first commit."""

    timeline: Timeline
    question: Question
    stop: threading.Event
    looks: int = 0
    oldest: Look | None = None

    def look(self, end: Place) -> Look:
        """Ask at a commit. Raises QueryError and what pages raise."""
        self.looks += 1
        noting = Noting(self.timeline.moment(self.timeline.position(end)))
        with opened(noting, self.stop) as query:
            answer = self.question(query)
        return Look(answer, frozenset(noting.read))

    def changes(self, matches: Match, is_all: bool) -> Iterator[Change]:
        """Changes that match, the newest first; without `is_all` the rest is halved after LOOKS_MAX looks."""
        ends = self.timeline.ends()
        high = len(ends) - 1
        here = self.look(ends[high])
        while (low := self._before_last_write(ends, high, here)) is not None:
            if not is_all and self.looks >= LOOKS_MAX:
                yield from self._halved(ends, low + 1, here, matches)
                return
            before = self.look(ends[low])
            if matches(before.answer, here.answer):
                yield Change(ends[low], ends[low + 1], before.answer, here.answer)
            high, here = low, before
        self.oldest = here

    def _before_last_write(self, ends: list[Place], high: int, here: Look) -> int | None:
        """The commit before that which wrote any of the pages of an answer last; None if all commits have it."""
        written = self.timeline.last_written(here.pages, ends[high])
        if written is None:
            return None
        number = bisect_right(ends, written)
        return number - 1 if number else None

    def _halved(self, ends: list[Place], high: int, here: Look, matches: Match) -> Iterator[Change]:
        """One change of which the newer answer is not sure to be the last, if the oldest answer tells of one."""
        self.oldest = self.look(ends[0])
        low, old, new = 0, self.oldest.answer, here.answer
        if not matches(old, new):
            return
        while high - low > 1:
            middle = (low + high) // 2
            answer = self.look(ends[middle]).answer
            if matches(answer, new):
                low, old = middle, answer
            elif matches(old, answer):
                high, new = middle, answer
            else:
                # Half of it here and half of it there: what is looked for is no single commit.
                return
        yield Change(ends[low], ends[high], old, new, is_sure=False)


@dataclass(slots=True)
class Noting:
    """A moment that notes which of its pages are read."""

    moment: Moment
    read: set[int] = field(default_factory=set)

    @property
    def page_size(self) -> int:
        return self.moment.page_size

    @property
    def pages(self) -> int:
        return self.moment.pages

    def page(self, number: int) -> bytes:
        self.read.add(number)
        return self.moment.page(number)
