"""What a difference is told in: tables then and now, rows that came, went or changed, and what is not compared.

How others use it:

    span = moments.read_span(sources, options, AtTime(a), AtTime(b), cache, …)   # two moments, pages that were written
    difference = Difference(span, stop)
    difference.schema                   # tuple[SchemaChange, ...]
    difference.skipped                  # tuple[Skipped, ...]: tables whose rows are not compared, and why
    for pair in difference.pairs(table=None):
        for change in difference.rows(pair):
            change.table, change.key_columns, change.key, change.before, change.after

`before` and `after` are rows or None: (None, row) was inserted, (row, None) deleted, (row, row) changed. The values of
`before` go with `pair.before.columns`, those of `after` with `pair.after.columns`; generated columns are not among
them, so each can be inserted as it is. Text that is not valid in the encoding of the database has surrogates in it
(`surrogateescape` for UTF-8), and is bound as CAST(? AS TEXT) with its bytes. Where a table has no key, `key_columns`
is ("rowid",) and `pair.has_identity` is false: the rowid is where the row was, and nothing to insert it by.
"""

import math
from dataclasses import dataclass
from typing import Literal

from replication.sqlite.moment import Value

Row = tuple[Value, ...]
Kind = Literal["inserted", "deleted", "changed"]

ROWID = "rowid"


@dataclass(frozen=True, slots=True)
class Shape:
    """A table at one of the moments.

    `columns` are those with values of their own; `stored` says how each is called in `source`, which is another table
    for a virtual one: the rows of a full-text index are those of its content.
    """

    name: str
    sql: str
    root: int
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The columns of the primary key; of a virtual table ("rowid",), of a table without one nothing."""
    rowid: str
    """A name by which SQLite knows the rowid; nothing if there is none."""
    is_rowid_key: bool
    """True if the primary key is the rowid."""
    source: str
    stored: tuple[str, ...]
    stored_key: tuple[str, ...]
    key_places: tuple[int, ...]
    """Which of the columns are the key; none if it is the rowid alone."""

    @property
    def without_rowid(self) -> bool:
        """True for a b-tree of the primary key."""
        return not self.rowid and bool(self.key)


@dataclass(frozen=True, slots=True)
class Pair:
    """One table at both moments; None at the one at which it was not there. `key` is by what rows are matched."""

    name: str
    before: Shape | None
    after: Shape | None
    key: tuple[str, ...]
    common: tuple[tuple[int, int], ...]
    """The columns that both have, by number before and after: rows that are alike in these did not change."""
    has_identity: bool
    """False without a key: then rows are compared as a heap of rows, and a new rowid makes no change."""

    @property
    def renamed_from(self) -> str:
        """How it was called before, if that was another name."""
        before, after = self.before, self.after
        return before.name if before and after and before.name.lower() != after.name.lower() else ""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that came, went or changed."""

    pair: Pair
    key: Row
    before: Row | None
    after: Row | None

    @property
    def table(self) -> str:
        """The table, as it is called at the later of both, if it is there."""
        return self.pair.name

    @property
    def key_columns(self) -> tuple[str, ...]:
        """What `key` is the values of."""
        return self.pair.key

    @property
    def kind(self) -> Kind:
        return "inserted" if self.before is None else "deleted" if self.after is None else "changed"

    @property
    def changed_columns(self) -> tuple[tuple[str, Value, Value], ...]:
        """Of a row that changed: the columns that differ, by their name after, with both values."""
        before, after, pair = self.before, self.after, self.pair
        if before is None or after is None or pair.after is None:
            return ()
        found = ((pair.after.columns[here], before[there], after[here]) for there, here in pair.common)
        return tuple((name, was, became) for name, was, became in found if not same(was, became))


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """A table, index, view or trigger that came, went, or is made by another statement."""

    type: str
    name: str
    before: str | None
    """The statement that made it, then and now."""
    after: str | None
    renamed_from: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A table whose rows are not compared."""

    name: str
    why: str


def same(was: Value, became: Value) -> bool:
    """True if SQLite stores both alike: 1 is not 1.0, and 0.0 not -0.0."""
    if type(was) is not type(became) or was != became:
        return False
    return not isinstance(was, float) or math.copysign(1.0, was) == math.copysign(1.0, became)  # type: ignore[arg-type]
