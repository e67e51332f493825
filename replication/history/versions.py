"""Which frame has a page as it was at a commit: an index of all frames of a run of WAL, pure.

Its promise: what it answers for a commit is what replaying all frames up to it leaves in a file, with every cut and
growth between. A frame is known by where it begins; that of a page at a commit is the last one before the commit's
end. It takes 20 bytes a frame. It leaves to the caller that the frames were proven, and to have what was before them.
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
"""Said of a page that was cut off and is there again without having been written."""


@dataclass(slots=True)
class _Rows:
    """Frames in the order in which they were added, or by page."""

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
    """Frames are added in the order of the WAL; questions may be asked in between."""

    page_size: int
    count: int = 0
    commits: "list[Place]" = field(default_factory=list)
    """The ends of commits, in order."""
    sizes: "list[int]" = field(default_factory=list)
    """The pages of the database at each of them."""
    _cuts: "list[tuple[Place, int]]" = field(default_factory=list)
    _sorted: _Rows | None = None
    _order: NDArray[np.intp] | None = None
    """The rows of `_sorted` in the order of the WAL."""
    _added: "list[_Rows]" = field(default_factory=list)

    def add(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], at: Place) -> None:
        """Frames, one a row, that begin at a place. Raises TooManyFramesError."""
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
        """Here, after all that was added, the file was cut or extended to so many pages."""
        self._cuts.append((after, pages))

    def size_at(self, end: Place) -> int | None:
        """The pages of the database at the last commit up to a place; None if there is none."""
        number = bisect_right(self.commits, end)
        return self.sizes[number - 1] if number else None

    def is_commit(self, end: Place) -> bool:
        """True if a commit ends just there."""
        number = bisect_left(self.commits, end)
        return number < len(self.commits) and self.commits[number] == end

    def frame_of(self, page: int, end: Place) -> FrameAt | None:
        """The frame that has a page at the commit that ends there; None if it is as before all frames."""
        rows = self._by_page()
        # Of the same type, or the arrays would be copied into another, and large numbers lose their last digits.
        low, high = np.searchsorted(rows.pages, np.array((page, page + 1), dtype=np.uint32))
        row = int(low) + int(np.searchsorted(rows.places[low:high], np.uint64(end))) - 1
        found = FrameAt(int(rows.places[row]), int(rows.sums[row])) if row >= low else None
        since = found.place if found is not None else -1
        if any(since < place <= end and page > pages for place, pages in self._cuts):
            return ZEROS
        return found

    def last_written(self, pages: NDArray[np.uint32], before: Place) -> Place | None:
        """Where the last frame of any of these pages begins, before a place; None if there is none."""
        rows = self._by_page()
        lows, highs = (np.searchsorted(rows.pages, pages, side=side) for side in ("left", "right"))
        found = -1
        for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
            row = low + int(np.searchsorted(rows.places[low:high], np.uint64(before))) - 1
            found = max(found, int(rows.places[row]) if row >= low else -1)
        return found if found >= 0 else None

    def pages_between(self, begin: Place, end: Place) -> NDArray[np.uint32]:
        """The numbers of the pages that were written between two commits, one for each frame, in no order."""
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
    return rows[:, field_of].copy().view(">u4")[:, 0].astype(np.uint32)
