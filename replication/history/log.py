"""What each commit did: how many pages, which tables, and how many rows more or fewer where that is cheap to know.

    from the frames of a commit    the pages that it wrote
    from each page                 the table that it belongs to (owners.py)
    from the pages of a table      rows then, less rows at the commit before

Its promise: a table that is named was written, made, dropped or altered; a table that was is named, or the entry says
that it is not whole. Pages of indexes, of overflow and of the freelist belong to no table here. One thread at a time.
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
from replication.history.keys import quoted
from replication.history.owners import TABLES, Bounded, Owners, Table, tables_of
from replication.history.pages import rows_in
from replication.history.questions import SECONDS_MAX
from replication.history.versions import Place
from replication.position import Position
from replication.sqlite.moment import opened

PAGES_ASKED_MAX = 64
"""Pages of a commit whose table is looked for: if it wrote more, its entry is not whole."""
COUNT_PAGES_MAX = 200
"""A count of rows that would read more pages is given up."""


Change = Literal["", "made", "altered", "gone"]


@dataclass(frozen=True, slots=True)
class Touched:
    """A table that a commit touched, and how many rows more it has since; None where that is not cheap to know.

    `change` says what became of the table itself, if that is not the same.
    """

    name: str
    rows: int | None
    change: Change = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit. `time` is when the store got the object with it, `seen` when the engine had seen it, if it is noted.

    `pages` are counted once each; `bytes` are those of all its frames.

    `is_whole` is false where another table may have been touched: there were too many pages to look for the table of
    each, or one has a table that cannot be told.
    """

    position: Position
    time: datetime
    seen: datetime | None
    pages: int
    bytes: int
    tables: tuple[Touched, ...]
    is_whole: bool

    def may_have_touched(self, table: str) -> bool:
        """Return True unless it is certain that the commit did not touch a table."""
        return not self.is_whole or any(item.name.lower() == table.lower() for item in self.tables)


@dataclass(slots=True)
class Log:
    """Reads the entries of timelines. Which table a page belongs to is remembered from one entry to the next."""

    stop: threading.Event
    names: set[str] = field(default_factory=set)
    """The names, in lower case, of all tables at the commits that were read."""
    _owners: Owners = field(init=False)
    _schema_pages: frozenset[int] = frozenset({1})
    """The pages that were read for the last schema: while none of them is written, the schema is the same."""

    def __post_init__(self) -> None:
        self._owners = Owners(self.stop)

    def entries(
        self, timeline: Timeline, since: datetime | None = None, table: str | None = None, until: Place | None = None
    ) -> Iterator[Entry]:
        """Yield the commits of a timeline but its first, the newest first; if a table is named, those that may have
        touched it. `until` is the place of the newest of them, if it is not the end.
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
            if table is None or found.may_have_touched(table):
                yield found

    def _entry(
        self, timeline: Timeline, begin: Place, end: Place, before: dict[str, Table], after: dict[str, Table]
    ) -> Entry:
        written = timeline.pages_between(begin, end)
        pages = sorted(set(written.tolist()))
        names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        moment, earlier = (timeline.moment(timeline.position(place)) for place in (end, begin))
        # Without the first page no page was taken or given back: rows that came and went show in those that are there.
        in_place = pages[0] != 1 and len(pages) <= PAGES_ASKED_MAX
        rows: dict[str, int] = {}
        is_whole = len(pages) <= PAGES_ASKED_MAX
        for page in pages[:PAGES_ASKED_MAX]:
            if page > moment.pages:
                continue
            owner = self._owners.owner(moment, page, after, names)
            if owner.name is not None:
                names.add(owner.name)
                if in_place:
                    kept = rows_in(moment.page(page), page) - rows_in(earlier.page(page), page)
                    rows[owner.name] = rows.get(owner.name, 0) + kept
                continue
            is_whole = is_whole and owner.is_sure
            if in_place and (not owner.is_sure or rows_in(moment.page(page), page, without_keys=True)):
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
        return Entry(timeline.position(end), time, seen, len(pages), size, tables, is_whole)

    def _schema(
        self,
        moment: Moment,
        same: dict[str, Table] | None = None,
        timeline: Timeline | None = None,
        begin: Place = 0,
        end: Place = 0,
    ) -> dict[str, Table]:
        """The tables with pages of their own at a moment: `same` if no page of the schema was written since."""
        if same is not None and timeline is not None:
            written = timeline.last_written(self._schema_pages, end)
            if written is None or written < begin:
                return same
        noting = Noting(moment)
        with opened(noting, self.stop) as query:
            rows = list(query.rows(TABLES, SECONDS_MAX))
            # More would be what virtual tables read when they are opened.
            self._schema_pages = frozenset(noting.read)
            found = tables_of(query, rows)
        self.names.update(name.lower() for name in found)
        return found

    def _difference(
        self, name: str, earlier: Moment, moment: Moment, before: dict[str, Table], after: dict[str, Table]
    ) -> int | None:
        """How many rows more a table has than at the commit before; None if either is not cheap to count."""
        was = self._count(earlier, name) if name in before else 0
        became = self._count(moment, name) if name in after and was is not None else 0
        return None if was is None or became is None else became - was

    def _count(self, moment: Moment, name: str) -> int | None:
        bounded = Bounded(moment, most=COUNT_PAGES_MAX)
        try:
            with opened(bounded, self.stop) as query:
                [(count,)] = query.rows(f"SELECT count(*) FROM {quoted(name)}", SECONDS_MAX)
        except QueryError:
            return None
        return int(count)


def _change(before: Table | None, after: Table | None) -> Change:
    if before is None:
        return "made"
    if after is None:
        return "gone"
    return "altered" if before.sql != after.sql else ""
