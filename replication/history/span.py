"""Two moments of a database, and the pages that may differ between them: what a diff looks at."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from replication.history.contract import Moment, Timeline
from replication.position import Position


@dataclass(frozen=True, slots=True)
class Times:
    """When the engine had seen a commit, if that is known, and when the store got the object with it."""

    seen: datetime | None
    stored: datetime


@dataclass(frozen=True, slots=True)
class PageSet:
    """Numbers of pages: a byte for each page that there may be, which is 1 if it is among them."""

    flags: bytearray

    def add(self, numbers: NDArray[np.uint32]) -> None:
        """Add pages; the same one may be given several times."""
        if len(numbers):
            self._reach(int(numbers.max()))
            np.frombuffer(self.flags, dtype=np.uint8)[numbers] = 1

    def add_from(self, first: int, last: int) -> None:
        """Add all pages from one to another."""
        if first <= last:
            self._reach(last)
            self.flags[first : last + 1] = b"\1" * (last + 1 - first)

    def __contains__(self, number: int) -> bool:
        return number < len(self.flags) and bool(self.flags[number])

    def __len__(self) -> int:
        return self.flags.count(1)

    def numbers(self) -> list[int]:
        """The page numbers in it, in order."""
        found: list[int] = np.flatnonzero(np.frombuffer(self.flags, dtype=np.uint8)).tolist()
        return found

    def _reach(self, number: int) -> None:
        self.flags.extend(bytes(max(0, number + 1 - len(self.flags))))


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another: `before` is the one that was named first, and may be the later one.

    Their positions are `begin` and `end`. A page that is not in `written` is alike at both, and `remarks` are for the
    user: what it took to know that. `timelines` are those that the two moments are of.
    """

    replica: str
    before: Moment
    after: Moment
    begin: Position
    end: Position
    written: PageSet
    begin_times: Times
    end_times: Times
    timelines: tuple[Timeline, ...]
    passed_bytes: int = 0
    """Stored bytes of WAL between the two."""
    remarks: tuple[str, ...] = ()

    @property
    def bytes_read(self) -> int:
        """Stored bytes that were read so far."""
        return self.passed_bytes + sum(timeline.bytes_read for timeline in self.timelines)

    @property
    def requests(self) -> int:
        """Requests for parts of objects so far."""
        return sum(timeline.requests for timeline in self.timelines)
