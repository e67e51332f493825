"""Where the answer to a question changed among the commits of a timeline, from the newest back.

Its promise: no change is missed without a word, and yet few commits are looked at. A look notes which pages its answer
was made of; as long as none of them is written the answer stays the same, so the next look is right before the last
frame that wrote one. Where a busy table makes that too many looks, the rest is halved instead. That finds one change
and proves nothing of others; and where it finds none it proves nothing at all, so it goes on from commit to commit. It
says whether all was looked at. It leaves to the caller what is asked, and which change is the one that is looked for.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from replication.errors import QueryError
from replication.history.contract import Moment, Timeline
from replication.history.versions import Place
from replication.sqlite.moment import Query, opened

LOOKS_MAX = 16
"""So many looks before the rest is halved, if not every change is asked for."""
EACH_MAX = 2_000
EACH_SECONDS_MAX = 60.0
"""So many looks from commit to commit in one search, and so long, where halving found nothing; not if all are asked."""

Answer = Hashable
Question = Callable[[Query], Answer]
Match = Callable[[Answer, Answer], bool]
"""True if the change from one answer to the other is one that is looked for."""
Size = Callable[[Answer, Answer], int]
"""How much of what is looked for lies between two answers, in all."""


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
    """An answer, and the pages that it was made of; with `header` also of what the first page counts."""

    answer: Answer
    pages: frozenset[int]
    header: bool


@dataclass(slots=True)
class Looker:
    """Asks one question at commits of one timeline. `looks` counts them, `now` is what SQL calls so at each.

    `may_go_on` is asked before each look from commit to commit after halving. When it is done, `oldest` is the answer
    at the first commit, and `is_whole` says whether it knows of all.
    """

    timeline: Timeline
    question: Question
    stop: threading.Event
    may_go_on: Callable[[], bool] = lambda: True
    now: float = field(default_factory=time.time)
    looks: int = 0
    oldest: Look | None = None
    is_whole: bool = True
    size: Size | None = None

    def look(self, end: Place) -> Look:
        """Ask at a commit. Raises QueryError and what pages raise."""
        self.looks += 1
        return self._ask(end)

    def look_twice(self, end: Place) -> Look:
        """Ask at a commit, and once more. Raises QueryError too for what answers as it likes, such as random()."""
        found = self.look(end)
        if self._ask(end).answer != found.answer:
            raise QueryError(
                "Asked twice of the same commit, it does not answer the same: no commit can be named that changed it."
            )
        return found

    def _ask(self, end: Place) -> Look:
        noting = Noting(self.timeline.moment(self.timeline.position(end)))
        with opened(noting, self.stop, self.now) as query:
            answer = self.question(query)
            return Look(answer, frozenset(noting.read), query.reads_header)

    def changes(self, matches: Match, is_all: bool, newest: Look | None = None) -> Iterator[Change]:
        """Changes that match, the newest first; without `is_all` the rest is halved after LOOKS_MAX looks.

        `newest` is the look at the last commit, if there was one.
        """
        ends = self.timeline.ends()
        high = len(ends) - 1
        here = newest or self.look(ends[high])
        is_halved = False
        while (low := self._before_last_write(ends, high, here)) is not None:
            if not is_all and not is_halved and self.looks >= LOOKS_MAX:
                is_halved = True
                found = self._halved(ends, low + 1, here, matches)
                if found is not None:
                    self.is_whole = False
                    yield found
                    return
            if is_halved and not self.may_go_on():
                self.is_whole = False
                return
            before = self.look(ends[low])
            if matches(before.answer, here.answer):
                yield Change(ends[low], ends[low + 1], before.answer, here.answer)
            high, here = low, before
        self.oldest = here

    def _before_last_write(self, ends: list[Place], high: int, here: Look) -> int | None:
        """The commit before that which wrote any of the pages of an answer last; None if all commits have it."""
        written = self.timeline.last_written(here.pages, ends[high], here.header)
        if written is None:
            return None
        number = bisect_right(ends, written)
        return number - 1 if number else None

    def _halved(self, ends: list[Place], high: int, here: Look, matches: Match) -> Change | None:
        """One change of which the newer answer is not sure to be the last, if it can be found so.

        Where a size is told it follows the half with more of it: a fall of rows is found although more rows came.
        """
        self.oldest = self.look(ends[0])
        low, old, new = 0, self.oldest.answer, here.answer
        if self.size is None and not matches(old, new):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            answer = self.look(ends[middle]).answer
            late = self.size(answer, new) >= self.size(old, answer) if self.size is not None else matches(answer, new)
            if late:
                low, old = middle, answer
            elif self.size is not None or matches(old, answer):
                high, new = middle, answer
            else:
                # Half of it here and half of it there: what is looked for is no single commit.
                return None
        return Change(ends[low], ends[high], old, new, is_sure=False) if matches(old, new) else None


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
