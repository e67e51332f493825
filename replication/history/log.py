"""What each commit did: pages, bytes, tables, and rows more or fewer where that is cheap to know.

Its promise: a table that is named was written, or made, dropped or altered. It asks SQLite itself: a page belongs to a
table if the way to the key of its first cell leads through it. Pages of indexes, of overflow and of the freelist belong
to no table by that. One thread at a time.
"""

import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from replication.errors import QueryError
from replication.history.changes import Noting
from replication.history.contract import Moment, Timeline
from replication.history.pages import FirstCell, first_cell, literal, rows_in
from replication.history.questions import SECONDS_MAX, quoted
from replication.history.versions import Place
from replication.position import Position
from replication.sqlite.moment import opened

PAGES_ASKED_MAX = 64
"""Pages of one commit whose table is looked for; of more, these are looked at."""
COUNT_PAGES_MAX = 200
"""A table of more pages is not counted."""
OWNERS_MAX = 1_000_000
"""Pages whose table is remembered."""


Change = Literal["", "made", "altered", "gone"]

_TABLES = """
SELECT name, sql || ifnull((SELECT group_concat(sql || rootpage) FROM sqlite_schema o WHERE o.tbl_name = t.name
    AND o.name <> t.name), ''), rootpage FROM sqlite_schema t WHERE type = 'table' AND rootpage > 0
"""


@dataclass(frozen=True, slots=True)
class Touched:
    """A table, and how many rows more it has since; None where that is not cheap to know.

    `change` says what became of the table itself, if that is not the same.
    """

    name: str
    rows: int | None
    change: Change = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit. `time` is when the store got its object, `seen` when it was made, if the replica notes that.

    `bytes` are those of its frames' pages.

    `is_whole` is false where there were too many pages to look for the table of each.
    """

    position: Position
    time: datetime
    seen: datetime | None
    pages: int
    bytes: int
    tables: tuple[Touched, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    sql: str
    root: int
    key: tuple[str, ...]
    """The columns of the primary key, of a table WITHOUT ROWID."""


@dataclass(slots=True)
class Log:
    """Reads entries of timelines. What was learned of pages is kept from one to the next."""

    stop: threading.Event
    _owners: dict[int, str] = field(default_factory=dict)
    _schema_pages: frozenset[int] = frozenset({1})
    """Where the last schema that was read was read from."""

    def entries(
        self, timeline: Timeline, since: datetime | None = None, table: str | None = None, until: Place | None = None
    ) -> Iterator[Entry]:
        """Yield the commits of a timeline but its first, the newest first; of those that touched a table, if named.

        `until` is the place of the newest of them, if it is not the end.
        """
        ends = timeline.ends()
        if until is not None:
            del ends[bisect_right(ends, until) :]
        after = self._schema(timeline.moment(timeline.position(ends[-1])))
        for number in range(len(ends) - 1, 0, -1):
            begin, end = ends[number - 1], ends[number]
            if since is not None and timeline.written_at(end) < since:
                return
            before = self._schema(timeline.moment(timeline.position(begin)), after, timeline, begin, end)
            found = self._entry(timeline, begin, end, before, after)
            after = before
            if table is None or any(item.name.lower() == table.lower() for item in found.tables):
                yield found

    def _entry(
        self, timeline: Timeline, begin: Place, end: Place, before: dict[str, _Table], after: dict[str, _Table]
    ) -> Entry:
        written = timeline.pages_between(begin, end)
        pages = sorted(set(written.tolist()))
        names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        moment, earlier = (timeline.moment(timeline.position(place)) for place in (end, begin))
        # Without the first page no page was taken or given back: rows that came and went show in those that are there.
        in_place = pages[0] != 1 and len(pages) <= PAGES_ASKED_MAX
        rows: dict[str, int] = {}
        for page in pages[:PAGES_ASKED_MAX]:
            owner = self._owner(moment, page, after, names) if page <= moment.pages else None
            if owner is not None:
                names.add(owner)
                if in_place:
                    kept = rows_in(moment.page(page), page) - rows_in(earlier.page(page), page)
                    rows[owner] = rows.get(owner, 0) + kept
            elif in_place and rows_in(moment.page(page), page, without_keys=True):
                in_place = False
        ordered = sorted(names, key=str.lower)
        tables = tuple(
            Touched(
                name,
                rows[name] if in_place else self._difference(name, earlier, moment, before, after),
                _change(before.get(name), after.get(name)),
            )
            for name in ordered
        )
        size = len(written) * moment.page_size
        time, seen = timeline.written_at(end), timeline.seen_at(end)
        return Entry(timeline.position(end), time, seen, len(pages), size, tables, len(pages) <= PAGES_ASKED_MAX)

    def _schema(
        self,
        moment: Moment,
        same: dict[str, _Table] | None = None,
        timeline: Timeline | None = None,
        begin: Place = 0,
        end: Place = 0,
    ) -> dict[str, _Table]:
        """The tables with pages of their own; `same` if no page that says so was written between two commits."""
        if same is not None and timeline is not None:
            written = timeline.last_written(self._schema_pages, end)
            if written is None or written < begin:
                return same
        noting = Noting(moment)
        with opened(noting, self.stop) as query:
            rows = list(query.rows(_TABLES, SECONDS_MAX))
            self._schema_pages = frozenset(noting.read)
            keyed = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr"
            without = {str(name) for (name,) in query.rows(keyed, SECONDS_MAX)}
            found = {}
            for name, sql, root in rows:
                keys = f"SELECT name FROM pragma_table_info({literal(name)}) WHERE pk ORDER BY pk"
                key = tuple(str(row[0]) for row in query.rows(keys, SECONDS_MAX)) if name in without else ()
                found[str(name)] = _Table(str(name), str(sql), int(root), key)
        return found

    def _owner(self, moment: Moment, page: int, tables: dict[str, _Table], likely: set[str]) -> str | None:
        """The table that a page belongs to."""
        if page == 1:
            return None
        roots = {table.root: name for name, table in tables.items()}
        if page in roots:
            return roots[page]
        cell = first_cell(moment.page(page), page)
        if cell is None:
            return None
        known = self._owners.get(page)
        order = sorted(tables, key=lambda name: (name != known, name not in likely))
        for name in order:
            if self._leads_to(moment, page, tables[name], cell):
                if len(self._owners) >= OWNERS_MAX:
                    self._owners.clear()
                self._owners[page] = name
                return name
        return None

    def _leads_to(self, moment: Moment, page: int, table: _Table, cell: FirstCell) -> bool:
        """True if SQLite reads the page on its way to the key of its first cell."""
        if cell.is_table == bool(table.key) or (table.key and len(cell.values) < len(table.key)):
            return False
        where = f"rowid = {cell.rowid}"
        if table.key:
            pairs = zip(table.key, cell.values, strict=False)
            where = " AND ".join(f"{quoted(column)} = {literal(value)}" for column, value in pairs)
        noting = Noting(moment)
        try:
            with opened(noting, self.stop) as query:
                # What it reads to know its tables is no way to a key.
                list(query.rows("SELECT 1 FROM sqlite_schema LIMIT 1", SECONDS_MAX))
                noting.read.clear()
                list(query.rows(f"SELECT 1 FROM {quoted(table.name)} NOT INDEXED WHERE {where}", SECONDS_MAX))
        except QueryError:
            # A table that SQLite does not open here, or with a column called rowid.
            return False
        return page in noting.read

    def _difference(
        self, name: str, earlier: Moment, moment: Moment, before: dict[str, _Table], after: dict[str, _Table]
    ) -> int | None:
        """How many rows more there are; None where one of both is not cheap to count."""
        was = self._count(earlier, name) if name in before else 0
        became = self._count(moment, name) if name in after and was is not None else 0
        return None if was is None or became is None else became - was

    def _count(self, moment: Moment, name: str) -> int | None:
        bounded = _Bounded(moment)
        try:
            with opened(bounded, self.stop) as query:
                [(count,)] = query.rows(f"SELECT count(*) FROM {quoted(name)}", SECONDS_MAX)
        except QueryError:
            return None
        return int(count)


def _change(before: _Table | None, after: _Table | None) -> Change:
    if before is None:
        return "made"
    if after is None:
        return "gone"
    return "altered" if before.sql != after.sql else ""


class _TooManyPagesError(QueryError):
    """Something was found not to be cheap."""


class _Bounded(Noting):
    """A moment of which no more than so many pages may be read."""

    def page(self, number: int) -> bytes:
        if len(self.read) >= COUNT_PAGES_MAX and number not in self.read:
            raise _TooManyPagesError("too many pages")
        return super().page(number)
