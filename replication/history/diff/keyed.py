"""Rows WITHOUT ROWID in the pages that were written: their keys, by which they are looked up at both moments.

Only SQLite knows how keys are ordered, so it is asked for the way to the first key of each page.
"""

import struct
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from replication.history.changes import Noting
from replication.history.diff.cells import Cell, MalformedPageError, payload, record, right_child, width
from replication.history.diff.contract import Row, Shape
from replication.history.diff.rows import bound, encoding_of, marker, text_of
from replication.history.diff.schema import spelled
from replication.history.diff.trees import INTERIOR, Trees, first_of
from replication.history.keys import quoted
from replication.history.pages import INDEX_INTERIOR, INDEX_LEAF
from replication.sqlite.moment import opened

_INDEX = (INDEX_INTERIOR, INDEX_LEAF)


@dataclass(slots=True)
class KeyedReach:
    """What was found of a table: pages that were written, and the children of those."""

    root: int
    written: set[int] = field(default_factory=set)
    children: list[int] = field(default_factory=list)

    def pages(self) -> set[int]:
        return {self.root, *self.children}


@dataclass(frozen=True, slots=True)
class KeyedTree:
    """One table WITHOUT ROWID at one moment. Raises MalformedPageError, QueryError and what pages raise."""

    trees: Trees
    shape: Shape
    stop: threading.Event

    def reach(self) -> KeyedReach:
        """Find which of the pages that were written belong to it."""
        found = KeyedReach(self.shape.root)
        likely = self._likely()
        if self.shape.root in self.trees.written:
            found.written.add(self.shape.root)
        encoding = encoding_of(self.trees.moment)
        noting = Noting(self.trees.moment)
        with opened(noting, self.stop) as query:
            for page in likely:
                if page in found.written:
                    continue
                key = next(self.keys_in(page, 1))
                # What it has in memory it would not read again.
                list(query.rows("PRAGMA shrink_memory"))
                noting.read.clear()
                pairs = zip(self.shape.stored_key, key, strict=True)
                where = " AND ".join(f"{quoted(name)} = {marker(value)}" for name, value in pairs)
                sql = f"SELECT 1 FROM {spelled(self.shape)} NOT INDEXED WHERE {where}"
                list(query.rows(sql, bindings=[bound(value, encoding) for value in key]))
                found.written |= noting.read & likely
        for page in found.written:
            found.children += self._children(page)
        return found

    def gone(self, ours: KeyedReach, theirs: Collection[int]) -> Iterator[int]:
        """The pages that are not among the children of the other moment's, and were not written."""
        waiting = [ours.root, *ours.children]
        while waiting:
            page = waiting.pop()
            if page in ours.written or (page in theirs and page not in self.trees.written):
                continue
            yield page
            waiting += self._children(page)

    def keys_in(self, page: int, limit: int | None = None) -> Iterator[Row]:
        """The keys of the rows in a page."""
        for cell in self.trees.cells(page)[:limit]:
            yield self.key(cell)

    def key(self, cell: Cell) -> Row:
        """The key of the row in a cell."""
        encoding = encoding_of(self.trees.moment)
        data = payload(cell, self.trees.usable, self.trees.read)
        try:
            return record(data, len(self.shape.key), lambda part: text_of(part, encoding))
        except (IndexError, ValueError, struct.error):
            raise MalformedPageError(cell.overflow) from None

    def _likely(self) -> set[int]:
        """Pages of indexes that were written and have as many values as a row may have."""
        trees, found = self.trees, set()
        for number, kind in trees.kinds().items():
            if kind in _INDEX and number not in trees.free():
                cell = first_of(trees.read(number), number, trees.usable)
                if cell is not None and len(self.shape.key) <= (width(cell) or len(self.shape.key)):
                    found.add(number)
        return found

    def _children(self, page: int) -> list[int]:
        if self.trees.kind(page) not in INTERIOR:
            return []
        return [*(cell.child for cell in self.trees.cells(page)), right_child(self.trees.read(page), page)]
