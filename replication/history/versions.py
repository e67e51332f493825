"""Which frame of the WAL has a page as it was at a commit: an index of all frames of a run of WAL. Pure.

    frames      1  2  2* 1* 3*          a number is a page, * the last frame of a commit
    page 2 at the second commit (1*)    the third frame: the last one of that page before the commit's end

Its promise: what it answers for a commit is what a replay of all frames up to it leaves in a file, also where the file
was cut or grew between two indexes. A frame is named by the place at which it begins, and takes 20 bytes here. It
leaves to the caller that the frames were proven, and to know the pages that no frame has.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from replication.position import Position
from replication.sqlite.format import FRAME_HEADER_SIZE

FRAMES_MAX = 16 << 20
"""Frames of one index (64 GiB of WAL with pages of 4 KiB): it takes 320 MiB."""

Place = int
"""A place in one generation (storage/wal03/names.py) as one number: the index, and below it 32 bits of the offset."""

_COMMIT = slice(4, 8)
_SUM = slice(16, 20)


def place_of(position: Position) -> Place:
    """The number of a position, within one generation."""
    return position.index << 32 | position.offset


def position_of(generation: str, place: Place) -> Position:
    """The position with this number."""
    return Position(generation, place >> 32, place & 0xFFFFFFFF)


class TooManyFramesError(ValueError):
    """There is more WAL than an index of it may take."""


@dataclass(frozen=True, slots=True)
class FrameAt:
    """Where a frame begins, and the first word of its checksum, by which it is known again."""

    place: Place
    checksum: int


ZEROS = FrameAt(-1, 0)
"""The answer for a page that was cut off with the end of the file, and is there again without having been written."""


@dataclass(slots=True)
class _Rows:
    """Frames, one a row: page, the place at which it begins, first word of its checksum."""

    pages: NDArray[np.uint32]
    places: NDArray[np.uint64]
    sums: NDArray[np.uint32]

    @classmethod
    def joined(cls, parts: "list[_Rows]") -> "_Rows":
        names = ("pages", "places", "sums")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def taken(self, order: NDArray[np.intp]) -> "_Rows":
        return _Rows(self.pages[order], self.places[order], self.sums[order])


@dataclass(slots=True)
class Versions:
    """The index. Frames are added in the order of the WAL; it may be asked in between."""

    page_size: int
    count: int = 0
    commits: "list[Place]" = field(default_factory=list)
    """The ends of commits, in order."""
    sizes: "list[int]" = field(default_factory=list)
    """How many pages the database has at each of them."""
    _cuts: "list[tuple[Place, int]]" = field(default_factory=list)
    """Where the file was cut or extended, and to how many pages."""
    _sorted: _Rows | None = None
    _order: NDArray[np.intp] | None = None
    """The rows of `_sorted` in the order of the WAL."""
    _added: "list[_Rows]" = field(default_factory=list)

    def add(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], at: Place) -> None:
        """Add frames, one a row, of which the first begins at a place. Raises TooManyFramesError."""
        self.count += len(pages)
        if self.count > FRAMES_MAX:
            raise TooManyFramesError(f"there are more than {FRAMES_MAX} frames")
        frame_size = FRAME_HEADER_SIZE + self.page_size
        places = np.uint64(at) + np.arange(len(pages), dtype=np.uint64) * np.uint64(frame_size)
        self._added.append(_Rows(pages, places, _words(rows, _SUM)))
        commits = _words(rows, _COMMIT)
        last = np.flatnonzero(commits)
        self.commits.extend((places[last] + np.uint64(frame_size)).tolist())
        self.sizes.extend(commits[last].tolist())

    def cut(self, after: Place, pages: int) -> None:
        """Note that the file was cut or extended to so many pages, after all that was added: at the end of an index."""
        self._cuts.append((after, pages))

    def size_at(self, end: Place) -> int | None:
        """How many pages the database has at the last commit up to a place; None before the first."""
        number = bisect_right(self.commits, end)
        return self.sizes[number - 1] if number else None

    def is_commit(self, end: Place) -> bool:
        """True if a commit ends just there."""
        number = bisect_left(self.commits, end)
        return number < len(self.commits) and self.commits[number] == end

    def frame_of(self, page: int, end: Place) -> FrameAt | None:
        """The frame that has a page at the commit that ends there; None if no frame before that end has it."""
        rows = self._by_page()
        # Numpy compares numbers of two types as floating point, in which large places lose their last digits.
        low, high = np.searchsorted(rows.pages, np.array((page, page + 1), dtype=np.uint32))
        row = int(low) + int(np.searchsorted(rows.places[low:high], np.uint64(end))) - 1
        found = FrameAt(int(rows.places[row]), int(rows.sums[row])) if row >= low else None
        since = found.place if found is not None else -1
        if any(since < place <= end and page > pages for place, pages in self._cuts):
            return ZEROS
        return found

    def last_written(self, pages: NDArray[np.uint32], before: Place) -> Place | None:
        """The place of the last frame before `before` that has any of these pages; None if none has."""
        rows = self._by_page()
        lows, highs = (np.searchsorted(rows.pages, pages, side=side) for side in ("left", "right"))
        found = -1
        for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
            row = low + int(np.searchsorted(rows.places[low:high], np.uint64(before))) - 1
            found = max(found, int(rows.places[row]) if row >= low else -1)
        return found if found >= 0 else None

    def pages_between(self, begin: Place, end: Place) -> NDArray[np.uint32]:
        """The page of each frame between the ends of two commits, in no order; one written twice is there twice."""
        rows = self._by_page()
        if self._order is None:
            self._order = np.argsort(rows.places)
        low, high = np.searchsorted(rows.places, np.array((begin, end), dtype=np.uint64), sorter=self._order)
        return rows.pages[self._order[int(low) : int(high)]]

    def ends_between(self, begin: Place, end: Place) -> Iterator[tuple[Place, int]]:
        """The commits past one place and up to another, with the pages of the database then."""
        for number in range(bisect_right(self.commits, begin), bisect_right(self.commits, end)):
            yield self.commits[number], self.sizes[number]

    def _by_page(self) -> _Rows:
        if self._added or self._sorted is None:
            parts = ([self._sorted] if self._sorted is not None else []) + self._added
            if not parts:
                nothing = np.empty(0, dtype=np.uint32)
                parts = [_Rows(nothing, nothing.astype(np.uint64), nothing)]
            rows = _Rows.joined(parts)
            # Stable, and all that was added came in the order of the WAL.
            self._sorted = rows.taken(np.argsort(rows.pages, kind="stable"))
            self._added.clear()
            self._order = None
        return self._sorted


def _words(rows: NDArray[np.uint8], field_of: slice) -> NDArray[np.uint32]:
    """One field of each frame header, as numbers."""
    return rows[:, field_of].copy().view(">u4")[:, 0].astype(np.uint32)
