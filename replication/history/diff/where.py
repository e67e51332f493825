"""Where rows may differ: for each table the rowids or keys in the pages that were written between two moments.

Its promise: no row that differs is left out. Where so much was written that all is read anyway, as by VACUUM, or where
the two trees of a table have nothing in common, everything is wanted.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from replication.history.diff.cells import Cell, MalformedPageError
from replication.history.diff.compare import EVERYTHING, Candidates, Wanted, united
from replication.history.diff.contract import Pair, Row, Shape
from replication.history.diff.keyed import KeyedReach, KeyedTree
from replication.history.diff.longs import Longs
from replication.history.diff.rows import Range
from replication.history.diff.trees import Reach, Trees
from replication.history.pages import TABLE_LEAF
from replication.history.span import Span

WRITTEN_MAX = 200_000
"""Of more pages than this all tables are read through."""
FEW_PAGES = 50
"""Of a database of no more pages all is looked for by page, however many were written: it costs nothing."""
KEYS_MAX = 500_000
"""Of more keys than this all of a table WITHOUT ROWID is read."""


@dataclass(slots=True)
class Finder:
    """Finds them, for one table after the other. One thread at a time."""

    span: Span
    shapes: tuple[Collection[Shape], Collection[Shape]]
    """All tables with pages of their own, at each of both."""
    stop: threading.Event
    tell: Callable[[str], None]
    _trees: tuple[Trees, Trees] | None = None
    _reached: list[dict[int, Reach]] = field(default_factory=list)
    _longs: dict[int, list[Cell]] | None = None

    def wanted(self, pair: Pair) -> Wanted:
        """Raises QueryError and what pages raise."""
        before, after = pair.before, pair.after
        everything = Wanted(_all(before), _all(after))
        if before is None or after is None or before.without_rowid != after.without_rowid or self.is_everything:
            return everything
        try:
            return self._by_key(before, after) if before.without_rowid else self._by_rowid(before, after)
        except MalformedPageError:
            # SQLite is to say what it thinks of it, if it needs that page.
            return everything

    @property
    def is_everything(self) -> bool:
        """True if so much was written that all is read."""
        pages, written = max(self.span.before.pages, self.span.after.pages), len(self.span.written)
        return written > WRITTEN_MAX or (pages > FEW_PAGES and written * 2 > pages)

    def _both(self) -> tuple[Trees, Trees]:
        if self._trees is None:
            span = self.span
            self._trees = Trees(span.before, span.written, self.stop), Trees(span.after, span.written, self.stop)
        return self._trees

    def _by_rowid(self, before: Shape, after: Shape) -> Wanted:
        trees = self._both()
        if not self._reached:
            self._reached = [_reached(*item) for item in zip(trees, self.shapes, strict=True)]
        ours, theirs = self._reached[0][before.root], self._reached[1][after.root]
        longs = [(cell.rowid, cell.rowid) for cell in self._long_rows(after)]
        return Wanted(
            Candidates(united([*_ranges(trees[0], ours, theirs), *longs])),
            Candidates(united([*_ranges(trees[1], theirs, ours), *longs])),
        )

    def _by_key(self, before: Shape, after: Shape) -> Wanted:
        trees = self._both()
        tables = [KeyedTree(tree, shape, self.stop) for tree, shape in zip(trees, (before, after), strict=True)]
        ours, theirs = (table.reach() for table in tables)
        longs = [tables[1].key(cell) for cell in self._long_rows(after)]
        was, became = _keys(tables[0], ours, theirs, longs), _keys(tables[1], theirs, ours, longs)
        return Wanted(was, became)

    def _long_rows(self, after: Shape) -> list[Cell]:
        """Rows in pages that were not written, which go on in pages that were."""
        if self._longs is None:
            before, later = self._both()
            search = Longs(later, before, sorted({shape.root for shape in self.shapes[1]}))
            search.look()
            if search.looked_for:
                self.tell(
                    f"{search.looked_for} pages inside long values were written: to find the rows that they belong to, "
                    "pages were read that did not change"
                )
            self._longs = search.found
        return self._longs.get(after.root, [])


def _all(shape: Shape | None) -> Candidates | None:
    return EVERYTHING if shape is not None and shape.rowid else None


def _reached(trees: Trees, shapes: Collection[Shape]) -> dict[int, Reach]:
    """What was written of each table, by root. Those that a page looks like are tried first."""
    left = trees.first_rowids()
    widths = list(trees.widths(left).values())
    tables = {shape.root: len(shape.columns) for shape in shapes if not shape.without_rowid}
    alike = {root: widths.count(columns) for root, columns in tables.items()}
    found: dict[int, Reach] = {}
    is_free_out = False
    for root in sorted(tables, key=lambda root: (-alike[root], root not in trees.written, root)):
        if left and not alike[root] and not is_free_out:
            is_free_out = True
            for page in trees.free():
                left.pop(page, None)
        found[root] = trees.reach(root, left)
    return found


def _ranges(trees: Trees, ours: Reach, theirs: Reach) -> list[Range]:
    """Rowids in the leaves that were written, and in those that are in this tree only."""
    found = [(branch.low, branch.high) for branch in trees.gone(ours, theirs.pages())]
    for page in ours.written:
        if trees.kind(page) == TABLE_LEAF:
            cells = trees.cells(page)
            if cells:
                found.append((cells[0].rowid, cells[-1].rowid))
    return found


def _keys(table: KeyedTree, ours: KeyedReach, theirs: KeyedReach, longs: Sequence[Row]) -> Candidates | None:
    """Keys in the pages that were written, and in those that are in this tree only; None if they are too many."""
    found = dict.fromkeys(longs)
    for pages in (sorted(ours.written), table.gone(ours, theirs.pages())):
        for page in pages:
            found.update(dict.fromkeys(table.keys_in(page)))
            if len(found) > KEYS_MAX:
                return None
    return Candidates(keys=tuple(found))
