"""Which table a page of a b-tree belongs to. SQLite finds out: it is asked, table by table, for the first key in it.

    page 9, whose first key is 512      SELECT 1 FROM t WHERE rowid = 512      reads pages 2, 5, 9: it is a page of t
                                        SELECT 1 FROM u WHERE rowid = 512      reads pages 3, 7: it is none of u

Its promise: a table that is named has the page. Where none is named, it is said whether that is sure: it is not if some
table could not be asked, such as one with a collation that only its application has.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from replication.errors import QueryError
from replication.history.changes import Noting
from replication.history.contract import Moment
from replication.history.keys import quoted
from replication.history.pages import FirstCell, KeyTooLongError, first_cell, is_pointer_map, literal, usable_of
from replication.history.questions import SECONDS_MAX
from replication.sqlite.moment import Query, opened

OWNERS_MAX = 1_000_000
"""Pages of which it is remembered to which table they belong."""
WAY_PAGES_MAX = 1_000
"""Pages that may be read on the way to one key, with the overflow pages of long keys."""
_ROWIDS = ("rowid", "_rowid_", "oid")
TABLES = """
SELECT name, sql || ifnull((SELECT group_concat(sql || rootpage) FROM sqlite_schema o WHERE o.tbl_name = t.name
    AND o.name <> t.name), ''), rootpage FROM sqlite_schema t WHERE type = 'table' AND rootpage > 0
"""
_WITHOUT_ROWID = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr"


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of the primary key of a table WITHOUT ROWID, as its b-tree is ordered by it."""

    name: str
    collation: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table with pages of its own, whose b-tree begins at page `root`.

    One WITHOUT ROWID has a `key`, and in `index` the name of its primary key. Any other has in `rowid` a name for that,
    or "" if columns have taken all the names.
    """

    name: str
    sql: str
    root: int
    key: tuple[KeyColumn, ...]
    index: str
    rowid: str

    def where(self, cell: FirstCell, moment: Moment, usable: int) -> str | None:
        """Return the end of a SELECT that looks for the key of a cell; None if no page of the table has such cells.

        Raises KeyTooLongError.
        """
        if cell.is_table == bool(self.key):
            return None
        if not self.key:
            if not self.rowid:
                raise KeyTooLongError
            return f"NOT INDEXED WHERE {self.rowid} = {cell.rowid}"
        values = cell.key(len(self.key), lambda page: moment.page(page) if page <= moment.pages else None, usable)
        if values is None or None in values:
            return None
        pairs = zip(self.key, values, strict=True)
        words = (f"{quoted(part.name)} = {literal(value)} COLLATE {quoted(part.collation)}" for part, value in pairs)
        return f"INDEXED BY {quoted(self.index)} WHERE " + " AND ".join(words)


@dataclass(frozen=True, slots=True)
class Owner:
    """The table that a page belongs to, or None; `is_sure` is false if a table that could not be asked may have it."""

    name: str | None
    is_sure: bool = True


class TooManyPagesError(QueryError):
    """More pages would have to be read than a Bounded moment allows."""


@dataclass(slots=True)
class Bounded(Noting):
    """A moment of which at most `most` pages may be read."""

    most: int = 0

    def page(self, number: int) -> bytes:
        if len(self.read) >= self.most and number not in self.read:
            raise TooManyPagesError("too many pages")
        return Noting.page(self, number)


@dataclass(slots=True)
class Owners:
    """Finds the tables of pages, and tries first the one that a page belonged to at an earlier commit."""

    stop: threading.Event
    _known: dict[int, str] = field(default_factory=dict)

    def owner(self, moment: Moment, page: int, tables: dict[str, Table], likely: Iterable[str]) -> Owner:
        """Return the table that a page belongs to. The tables named in `likely` are asked first."""
        first = moment.page(1)
        if page == 1 or is_pointer_map(page, first):
            return Owner(None)
        roots = {table.root: name for name, table in tables.items()}
        if page in roots:
            return Owner(roots[page])
        usable = usable_of(first)
        cell = first_cell(moment.page(page), page, usable)
        if cell is None:
            return Owner(None)
        known, is_sure = self._known.get(page), True
        for name in sorted(tables, key=lambda name: (name != known, name not in likely)):
            leads = self._leads_to(moment, page, tables[name], cell, usable)
            if leads:
                if len(self._known) >= OWNERS_MAX:
                    self._known.clear()
                self._known[page] = name
                return Owner(name)
            is_sure = is_sure and leads is not None
        return Owner(None, is_sure)

    def _leads_to(self, moment: Moment, page: int, table: Table, cell: FirstCell, usable: int) -> bool | None:
        """Return True if SQLite reads the page on its way to the key of its first cell; None if it cannot be asked."""
        noting = Bounded(moment, most=WAY_PAGES_MAX)
        try:
            where = table.where(cell, moment, usable)
            if where is None:
                return False
            with opened(noting, self.stop) as query:
                # The pages that SQLite reads for the schema are not on the way to a key.
                list(query.rows("SELECT 1 FROM sqlite_schema LIMIT 1", SECONDS_MAX))
                noting.read.clear()
                list(query.rows(f"SELECT 1 FROM {quoted(table.name)} {where}", SECONDS_MAX))
        except (QueryError, KeyTooLongError):
            return None
        return page in noting.read


def tables_of(query: Query, rows: Iterable[tuple[Any, ...]]) -> dict[str, Table]:
    """Return the tables with pages of their own; `rows` is the answer to TABLES. Raises what a query raises."""
    without = {str(name) for (name,) in query.rows(_WITHOUT_ROWID, SECONDS_MAX)}
    found = {}
    for name, sql, root in rows:
        index, key = _key_of(query, str(name)) if name in without else ("", ())
        rowid = _rowid_of(query, str(name)) if not key else ""
        found[str(name)] = Table(str(name), str(sql), int(root), key, index, rowid)
    return found


def _key_of(query: Query, name: str) -> tuple[str, tuple[KeyColumn, ...]]:
    indexes = f"SELECT name FROM pragma_index_list({literal(name)}) WHERE origin = 'pk'"
    [(index,)] = query.rows(indexes, SECONDS_MAX)
    columns = f"SELECT name, coll FROM pragma_index_xinfo({literal(str(index))}) WHERE key ORDER BY seqno"
    return str(index), tuple(KeyColumn(str(row[0]), str(row[1])) for row in query.rows(columns, SECONDS_MAX))


def _rowid_of(query: Query, name: str) -> str:
    """A name for the rowid of a table: one that no column has taken, or that of its INTEGER PRIMARY KEY."""
    rows = list(query.rows(f"SELECT name, pk, type FROM pragma_table_xinfo({literal(name)})", SECONDS_MAX))
    taken = {str(column).lower() for column, _, _ in rows}
    free = next((word for word in _ROWIDS if word not in taken), "")
    keys = [str(column) for column, pk, kind in rows if pk and str(kind).upper() == "INTEGER"]
    return free or (quoted(keys[0]) if len(keys) == 1 and sum(bool(pk) for _, pk, _ in rows) == 1 else "")
