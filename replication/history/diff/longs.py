"""Long rows of which only a page further on was written: SQLite leaves alone what does not change of them.

Nothing in such a page says whose it is, so its row is looked for: first back through the pages before it, which most
often is where the row's begin, then for the cell that leads there, in the pages beside it, and then in those of all
tables. Where that finds none, all long rows are followed. It is asked only of pages that nothing else accounts for.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from replication.history.diff.cells import KINDS, Cell, MalformedPageError, chain, kind_of, right_child
from replication.history.diff.trees import INTERIOR, LEVELS_MAX, Trees
from replication.history.pages import INDEX_INTERIOR, TABLE_INTERIOR, TABLE_LEAF

BESIDE_PAGES = 200
"""So far from where the second part of a row begins its page is looked for first."""
_AMBIGUOUS_FROM = 1 << 25
"""With so many pages the number of one may begin like a page of a b-tree."""
_AUTO_VACUUM_AT = slice(52, 56)
_LOCKED_BYTE = 1 << 30


@dataclass(slots=True)
class Longs:
    """Looks for them at one of both moments: the row is at both, in the same page."""

    here: Trees
    there: Trees
    roots: Sequence[int]
    """The b-trees of all tables. What is in an index is never changed in its place."""
    found: dict[int, list[Cell]] = field(default_factory=dict)
    """Cells of rows that go on in pages that were written, by the root of their tree."""
    looked_for: int = 0
    _heads: dict[int, int] = field(default_factory=dict)

    def look(self) -> None:
        """Raises MalformedPageError and what pages raise."""
        pending = self._pending()
        self._beside(pending)
        self.looked_for = len(pending)
        for follow in (self._begins, self._chains):
            if pending:
                trees = [self._pages(root) for root in self.roots]
                follow(trees, pending)

    def _pending(self) -> set[int]:
        """Pages that were written, go on from another, and belong to no row in a page that was written."""
        here, both = self.here, min(self.here.moment.pages, self.there.moment.pages)
        is_ambiguous = here.moment.pages >= _AMBIGUOUS_FROM
        trees, found = [], set()
        for number, kind in here.kinds().items():
            is_tree = kind in KINDS
            if is_tree:
                trees.append(number)
            if number <= both and (is_ambiguous or not is_tree) and not self._is_map(number):
                found.add(number)
        found = found.difference(here.free()) if found else found
        for number in trees:
            if not found:
                return found
            if number not in here.free():
                self._account(number, found)
        return {number for number in found if here.read(number) != self.there.read(number)}

    def _account(self, number: int, pending: set[int]) -> None:
        """Take out what belongs to the rows in a page."""
        try:
            for cell in self.here.cells(number):
                if cell.overflow:
                    pending.difference_update(page for page, _ in chain(cell, self.here.usable, self.here.read))
        except MalformedPageError:
            # It only looked like a page with rows.
            return

    def _is_map(self, number: int) -> bool:
        """True for a page that says what each page belongs to, where SQLite keeps that."""
        if not int.from_bytes(self.here.read(1)[_AUTO_VACUUM_AT], "big"):
            return False
        step, locked = self.here.usable // 5 + 1, _LOCKED_BYTE // self.here.moment.page_size + 1
        first = (number - 2) // step * step + 2
        return number == first + (first == locked)

    def _beside(self, pending: set[int]) -> None:
        """Rows of tables with rowids in pages beside the second part of the row, where most of them are."""
        heads: dict[int, set[int]] = {}
        for number in pending:
            heads.setdefault(self._head(number), set()).add(number)
        for head, numbers in heads.items():
            for page in sorted(range(head - BESIDE_PAGES, head + BESIDE_PAGES), key=lambda page: abs(page - head)):
                cell = self._leads_to(page, head) if 1 < page <= self.here.moment.pages else None
                root = self._root_of(page, cell) if cell is not None else None
                if cell is not None and root is not None:
                    pending -= numbers
                    self._add(root, cell)
                    break

    def _leads_to(self, page: int, head: int) -> Cell | None:
        """The cell of a page that may be a leaf which leads to another page."""
        if self.here.kind(page) != TABLE_LEAF or page in self.here.free():
            return None
        try:
            return next((cell for cell in self.here.cells(page) if cell.overflow == head), None)
        except MalformedPageError:
            return None

    def _root_of(self, page: int, cell: Cell) -> int | None:
        """The table that a leaf belongs to."""
        for root in self.roots:
            if root == page:
                return root
            if self.here.kind(root) == TABLE_INTERIOR:
                left = {page: cell.rowid}
                self.here.reach(root, left)
                if not left:
                    return root
        return None

    def _begins(self, trees: Sequence[NDArray[np.uint32]], pending: set[int]) -> None:
        """Rows of which the second part begins where the pages before these say."""
        heads: dict[int, set[int]] = {}
        for number in pending:
            heads.setdefault(self._head(number), set()).add(number)
        owners = np.repeat(np.arange(len(trees)), [len(tree) for tree in trees])
        numbers = np.concatenate(trees) if trees else np.empty(0, dtype=np.uint32)
        for row in _nearest(numbers, heads).tolist():
            for cell in self.here.cells(int(numbers[row])):
                if cell.overflow in heads:
                    pending -= heads.pop(cell.overflow)
                    self._add(self.roots[owners[row]], cell)
            if not heads:
                return

    def _head(self, wanted: int) -> int:
        """The page from which those before one lead to it, as far back as each is the one before the next."""
        number = self._heads.get(wanted, wanted)
        while wanted not in self._heads and number > 3:
            page = self.here.read(number - 1)
            if int.from_bytes(page[:4], "big") != number or number - 1 in self.here.free():
                break
            number -= 1
        return self._heads.setdefault(wanted, number)

    def _chains(self, trees: Sequence[NDArray[np.uint32]], pending: set[int]) -> None:
        """All long rows, followed to their end."""
        for root, tree in zip(self.roots, trees, strict=True):
            for page in tree.tolist():
                for cell in self.here.cells(page):
                    pages = {number for number, _ in chain(cell, self.here.usable, self.here.read)}
                    if pages & pending:
                        pending -= pages
                        self._add(root, cell)
                if not pending:
                    return

    def _add(self, root: int, cell: Cell) -> None:
        self.found.setdefault(root, []).append(cell)

    def _pages(self, root: int) -> NDArray[np.uint32]:
        """The pages with rows of a tree: of a table its leaves, of an index all."""
        found, waiting = [], [(root, 0)]
        level = self.here.root(root).level
        while waiting:
            number, depth = waiting.pop()
            if depth > LEVELS_MAX:
                raise MalformedPageError(number)
            if depth == level:
                found.append(number)
                continue
            page = self.here.read(number)
            kind = kind_of(page, number)
            if kind not in INTERIOR:
                raise MalformedPageError(number)
            if kind == INDEX_INTERIOR:
                found.append(number)
            children = [cell.child for cell in self.here.cells(number)]
            waiting += [(child, depth + 1) for child in (*children, right_child(page, number))]
        return np.array(found, dtype=np.uint32)


def _nearest(pages: NDArray[np.uint32], heads: Collection[int]) -> NDArray[np.intp]:
    """The places of pages in the order of their distance from the nearest of those."""
    places = np.array(sorted(heads), dtype=np.int64)
    numbers = pages.astype(np.int64)
    after = np.searchsorted(places, numbers)
    right = places[np.minimum(after, len(places) - 1)]
    left = places[np.maximum(after - 1, 0)]
    return np.argsort(np.minimum(np.abs(numbers - right), np.abs(numbers - left)), kind="stable")
