"""How rows of a table as it was fit into the table as it is: by the names of columns. Where not, in words. Pure."""

from dataclasses import dataclass, replace

from replication.sqlite.shape import WRITABLE_MODULES, Column, Table

_AFFINITIES = (
    ("INT", "INTEGER"),
    ("CHAR", "TEXT"),
    ("CLOB", "TEXT"),
    ("TEXT", "TEXT"),
    ("BLOB", "NONE"),
    ("REAL", "REAL"),
    ("FLOA", "REAL"),
    ("DOUB", "REAL"),
)
"""By the first of these words that a type contains."""


@dataclass(frozen=True, slots=True)
class Match:
    """Columns by their place in the row as it was, and their name in the table as it is.

    `key` tells a row from all others; without one, and not by the row number, rows are told apart by all their values.
    """

    table: Table
    columns: tuple[tuple[int, str], ...]
    retyped: frozenset[str]
    """Those columns that were declared with another type: a value may be stored otherwise now, and be the same."""
    key: tuple[tuple[int, str], ...]
    by_rowid: bool
    keeps_rowid: bool
    """True if the row number is no column, and is kept where it is free."""
    notes: tuple[str, ...]

    @property
    def has_key(self) -> bool:
        """True if one row can be found that has the place of another."""
        return bool(self.key) or self.by_rowid


def unfit(then: Table) -> str:
    """Why a table cannot be brought back at all, in words; "" if it can."""
    if then.kind == "view":
        return f"{then.name} is a view: bring back the tables that it shows"
    if then.kind == "shadow":
        return f"{then.name} is part of a virtual table, which alone writes to it: bring back that one"
    if then.kind == "virtual" and then.module not in WRITABLE_MODULES:
        return f"{then.name} is a virtual table of {then.module or 'an unknown module'}, which is not written to here"
    if then.content_is_elsewhere:
        return (
            f"{then.name} indexes what another table holds: bring back that one; its triggers, if it has some, or "
            f"INSERT INTO {then.name}({then.name}) VALUES('rebuild') put the index right"
        )
    return ""


def match(then: Table, now: Table) -> Match | str:
    """How rows of `then` fit into `now`, or why they do not, in words."""
    if now.kind != then.kind or (then.kind == "virtual" and now.module != then.module):
        return f"{now.name} is {_kind(now)} now, and was {_kind(then)}"
    notes = []
    columns = []
    retyped = set()
    for place, column in enumerate(then.columns):
        today = now.column(column.name)
        if today is None:
            if not column.is_generated:
                notes.append(f"column {column.name} is gone: its values are left out")
        elif today.is_generated:
            if not column.is_generated:
                notes.append(f"column {column.name} is computed now: its values are left out")
        else:
            columns.append((place, today.name))
            if today.declared.upper() != column.declared.upper():
                retyped.add(today.name)
                if affinity(today, now) != affinity(column, then):
                    notes.append(
                        f"column {today.name} is {today.declared or 'of no type'} now, and was "
                        f"{column.declared or 'of no type'}: values may be stored in another way, as 007 as 7"
                    )
    places = {name.lower(): place for place, name in columns}
    for today in now.columns:
        if today.is_generated or today.name.lower() in places:
            continue
        if today.name in now.key:
            return f"{now.name} has {today.name} in its key now, which it had not: nothing tells which row is which"
        if today.is_not_null and not today.has_default:
            return (
                f"column {today.name} of {now.name} is new, NOT NULL and without a default: rows have no value for it"
            )
        notes.append(f"column {today.name} is new: rows that are inserted get its default")
    if not columns:
        return f"{now.name} has none of the columns left that it had"
    key = tuple((places[name.lower()], name) for name in now.key)
    if tuple(name.lower() for name in now.key) != tuple(name.lower() for name in then.key):
        notes.append(f"its key is {', '.join(now.key) or 'none'} now, and was {', '.join(then.key) or 'none'}")
    by_rowid = now.kind == "virtual" and bool(now.rowid and then.rowid)
    keeps = bool(now.rowid and then.rowid) and not now.is_rowid_the_key
    if not key and not by_rowid and not now.rowid:
        return (
            f"{now.name} has no key, and its columns have taken every name of the row number: nothing tells rows apart"
        )
    found = Match(now, tuple(columns), frozenset(retyped), () if by_rowid else key, by_rowid, keeps, tuple(notes))
    return found if found.has_key else replace(found, notes=(*notes, "it has no key: rows are compared by all values"))


def affinity(column: Column, table: Table) -> str:
    """What SQLite makes of a value that is stored in a column, by the declared type."""
    declared = column.declared.upper()
    if table.kind == "virtual" or not declared or (table.is_strict and declared == "ANY"):
        return "NONE"
    return next((kind for word, kind in _AFFINITIES if word in declared), "NUMERIC")


def _kind(table: Table) -> str:
    return f"a virtual table of {table.module}" if table.kind == "virtual" else f"a {table.kind}"
