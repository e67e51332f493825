"""Where the answer to a question changed among the commits of one timeline, from the newest back.

Its promise: no change is missed without a word, though few commits are looked at. A look is the question, asked at one
commit, with the pages that SQLite read for it. The answer stays the same until one of these pages is written:

    commits             c1    c2    c3    c4    c5        the look at c5 reads pages 3 and 8
    write pages         8     1     3     2     6         c3 wrote one of them last: c3, c4 and c5 answer alike
    next look                 ^                           so the next look is at c2, right before that

Where a busy table makes that more than LOOKS_MAX looks, the rest is halved instead. Halving finds one change, and says
nothing of others (`is_whole`, `is_sure`). Where it finds none it proves nothing at all, so it is gone on from commit to
commit. What is asked, and which change is the one that is looked for, is the caller's.
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
"""After so many looks the rest is halved, unless every change is asked for."""
EACH_MAX = 2_000
EACH_SECONDS_MAX = 60.0
"""Bounds, in looks and in seconds, of going on from commit to commit after halving found nothing."""

Answer = Hashable
Question = Callable[[Query], Answer]
Match = Callable[[Answer, Answer], bool]
"""True if the change from one answer to the other is one that is looked for."""
Size = Callable[[Answer, Answer], int]
"""How much of what is looked for lies between two answers, in all."""


@dataclass(frozen=True, slots=True)
class Change:
    """The answers at two commits that follow each other. `is_sure` if no later change may have been passed over."""

    before: Place
    after: Place
    was: Answer
    became: Answer
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """An answer, and the pages that were read for it.

    `header` if also the counters and sizes in the first page were asked for, which most commits change.
    """

    answer: Answer
    pages: frozenset[int]
    header: bool


@dataclass(slots=True)
class Looker:
    """Asks one question at commits of one timeline. `looks` counts, and `now` is the time that SQL gets at each.

    `may_go_on` is asked before each look that comes after halving. At the end `oldest` is the look at the first commit,
    and `is_whole` is false if commits were passed over.
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
        """Yield the changes that match, newest first; without `is_all` the rest is halved after LOOKS_MAX looks.

        `newest` is a look at the last commit, if there was one already.
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
        """The number of the commit before the last one that wrote a page of a look; None if no commit wrote any."""
        written = self.timeline.last_written(here.pages, ends[high], here.header)
        if written is None:
            return None
        number = bisect_right(ends, written)
        return number - 1 if number else None

    def _halved(self, ends: list[Place], high: int, here: Look, matches: Match) -> Change | None:
        """Find one change between the first commit and the look `here`, by halving, if there is one to be found so.

        With `size` the half is followed in which more of it lies: then a fall of rows is found although, in all, rows
        came. Without it the half is followed at whose ends the answers match.
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
                # Neither half matches, though the whole did: what is looked for is no single commit.
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
