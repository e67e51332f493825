"""Which pages of a table's b-tree were written, and which of its pages belong to it at one of two moments only.

Its promise: every row that is not alike at both is in one of these pages; but a long row may go on in a page that was
written, while its own was not (longs.py). A page belongs to a tree if the way to the first key in it leads there: so of
the tree only pages above those that were written are read.
"""

import threading
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from replication.history.contract import Moment
from replication.history.diff.cells import Cell, MalformedPageError, cells, kind_of, right_child, width
from replication.history.pages import INDEX_INTERIOR, TABLE_INTERIOR, TABLE_LEAF
from replication.history.span import PageSet
from replication.restore.retry import check

ROWID_MIN, ROWID_MAX = -(1 << 63), (1 << 63) - 1
_TABLE = (TABLE_INTERIOR, TABLE_LEAF)
INTERIOR = (TABLE_INTERIOR, INDEX_INTERIOR)
_RESERVED_AT = 20
_FREELIST_AT = slice(32, 36)
LEVELS_MAX = 64
KEPT_BYTES_MAX = 4 << 20
"""Pages that are kept, since each is asked for several times."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A page of a tree: rowids in it are from `low` to `high`, and below it are so many levels; -1 if not known."""

    page: int
    low: int = ROWID_MIN
    high: int = ROWID_MAX
    level: int = -1


@dataclass(slots=True)
class Reach:
    """What was found in one tree: pages that were written, and all children of those that have any."""

    root: Branch
    written: set[int] = field(default_factory=set)
    children: list[Branch] = field(default_factory=list)

    def pages(self) -> set[int]:
        """The root and the children."""
        return {self.root.page, *(branch.page for branch in self.children)}


class Trees:
    """The b-trees of one moment, read page by page. Raises MalformedPageError, and what pages raise."""

    def __init__(self, moment: Moment, written: PageSet, stop: threading.Event) -> None:
        self.moment = moment
        self._stop = stop
        self.written = written
        self.usable = moment.page_size - moment.page(1)[_RESERVED_AT] if moment.pages else moment.page_size
        self._free: set[int] | None = None
        self._kept: dict[int, bytes] = {}
        self._kinds: dict[int, int] | None = None

    def read(self, number: int) -> bytes:
        check(self._stop)
        if not 0 < number <= self.moment.pages:
            raise MalformedPageError(number)
        page = self._kept.get(number)
        if page is None:
            if len(self._kept) * self.moment.page_size >= KEPT_BYTES_MAX:
                self._kept.pop(next(iter(self._kept)))
            page = self._kept[number] = self.moment.page(number)
        return page

    def cells(self, number: int) -> list[Cell]:
        return cells(self.read(number), number, self.usable)

    def kind(self, number: int) -> int:
        return kind_of(self.read(number), number)

    def kinds(self) -> dict[int, int]:
        """The pages that were written and are there, in order, with the first byte of each."""
        if self._kinds is None:
            numbers = (number for number in self.written.numbers() if 1 < number <= self.moment.pages)
            self._kinds = {number: self.kind(number) for number in numbers}
        return self._kinds

    def free(self) -> Collection[int]:
        """The pages of the freelist."""
        if self._free is None:
            found: set[int] = set()
            trunk = int.from_bytes(self.read(1)[_FREELIST_AT], "big")
            while trunk:
                page = self.read(trunk)
                count = int.from_bytes(page[4:8], "big")
                if trunk in found or count > self.usable // 4:
                    raise MalformedPageError(trunk)
                found.add(trunk)
                found.update(int.from_bytes(page[at : at + 4], "big") for at in range(8, 8 + 4 * count, 4))
                trunk = int.from_bytes(page[:4], "big")
            self._free = found
        return self._free

    def branches(self, parent: Branch) -> list[Branch]:
        """The children of an interior page of a table, with their bounds."""
        page = self.read(parent.page)
        if kind_of(page, parent.page) != TABLE_INTERIOR:
            raise MalformedPageError(parent.page)
        found, low = [], parent.low
        for cell in cells(page, parent.page, self.usable):
            found.append(Branch(cell.child, low, cell.rowid, parent.level - 1))
            low = cell.rowid + 1
        found.append(Branch(right_child(page, parent.page), low, parent.high, parent.level - 1))
        return found

    def root(self, number: int, rowid: int | None = None) -> Branch:
        """The root of a tree, with the levels below it; of a table by the way to a rowid, which is read anyway."""
        page, level = number, 0
        while self.kind(page) in INTERIOR:
            found = self.cells(page)
            children = [*(cell.child for cell in found), right_child(self.read(page), page)]
            page = children[0 if rowid is None else bisect_left([cell.rowid for cell in found], rowid)]
            level += 1
            if level > LEVELS_MAX:
                raise MalformedPageError(page)
        return Branch(number, level=level)

    def reach(self, number: int, left: "dict[int, int]") -> Reach:
        """Take out of these pages, by their first rowid, those that are in the tree with this root."""
        if not left and number not in self.written:
            return Reach(Branch(number))
        root = self.root(number, next(iter(left.values()), None))
        found = Reach(root)
        if number in self.written:
            found.written.add(number)
            left.pop(number, None)
        order = sorted((rowid, page) for page, rowid in left.items())
        waiting: list[tuple[Branch, Sequence[tuple[int, int]]]] = [(root, order)]
        while waiting:
            parent, wanted = waiting.pop()
            if not parent.level or (not wanted and parent.page not in found.written):
                continue
            branches = self.branches(parent)
            if parent.page in found.written:
                found.children += branches
            highs = [branch.high for branch in branches]
            at = 0
            while at < len(wanted):
                branch = branches[min(bisect_left(highs, wanted[at][0]), len(branches) - 1)]
                end = at + 1
                while end < len(wanted) and wanted[end][0] <= branch.high:
                    end += 1
                some = wanted[at:end]
                if any(page == branch.page for _, page in some):
                    found.written.add(branch.page)
                    left.pop(branch.page, None)
                waiting.append((branch, some))
                at = end
        return found

    def first_rowids(self) -> dict[int, int]:
        """The pages of tables' trees that were written, or look so, with the first rowid in each."""
        found = {}
        for number, kind in self.kinds().items():
            if kind in _TABLE:
                first = first_of(self.read(number), number, self.usable)
                if first is not None:
                    found[number] = first.rowid
        return found

    def widths(self, pages: Collection[int]) -> dict[int, int]:
        """How many values the first record of each of these pages has; 0 of pages without records."""
        found = {}
        for number in pages:
            cell = first_of(self.read(number), number, self.usable)
            found[number] = width(cell) if cell is not None and cell.local else 0
        return found

    def gone(self, ours: Reach, theirs: Collection[int]) -> Iterator[Branch]:
        """The leaves of a tree that are not among the children of the other moment's, and were not written.

        The children of a page that is not there any more may be: then they are no more looked at than others.
        """
        waiting = [ours.root, *ours.children]
        while waiting:
            branch = waiting.pop()
            if branch.page in ours.written or (branch.page in theirs and branch.page not in self.written):
                continue
            branch = branch if branch.level >= 0 else self.root(branch.page)
            if branch.level:
                waiting += self.branches(branch)
            else:
                yield branch


def first_of(page: bytes, number: int, usable: int) -> Cell | None:
    """The first cell of a page, if it has one that can be read: it may only look like a page with cells."""
    try:
        found = cells(page, number, usable, 1)
    except MalformedPageError:
        return None
    return found[0] if found else None
