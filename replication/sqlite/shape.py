"""What a table is: its columns, what tells one row from another, and what it refers to. Asked of SQLite, never parsed.

It leaves to the caller where to ask: a database of another moment, or the live one.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Ask = Callable[[str], Iterable[tuple[Any, ...]]]
"""Rows of a statement."""

Kind = Literal["table", "virtual", "view", "shadow"]

ROWID_NAMES = ("rowid", "_rowid_", "oid")
WRITABLE_MODULES = ("fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly")
"""Virtual tables of SQLite's own that keep what is written to them, row by row, under a row number."""
_MODULE = re.compile(r"\s*CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+[\"'`\[]?(\w+)", re.IGNORECASE | re.DOTALL)
_CONTENT = re.compile(r"[(,]\s*content\s*=\s*(\"[^\"]*\"|'[^']*'|[^,)\s]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """One column that can be read. `is_generated` is one that is computed, and not written."""

    name: str
    declared: str
    """The type that it was declared with."""
    is_not_null: bool
    has_default: bool
    is_generated: bool


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: `columns` of this table name a row of `table` by its `parent_columns`."""

    columns: tuple[str, ...]
    table: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """An index or a trigger, and the statement that makes it."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `key` are the columns of its primary key, none if it has none; `rowid` is by what name its row number
    can be had, "" if it has none or its columns have taken all names; then that is no part of a row."""

    name: str
    kind: Kind
    sql: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rowid: str
    is_rowid_the_key: bool
    """True for an INTEGER PRIMARY KEY, which is the row number, and for a virtual table, which has nothing else."""
    references: tuple[Reference, ...]
    indexes: tuple[Made, ...]
    triggers: tuple[Made, ...]
    module: str = ""
    """The module of a virtual table; "" for any other."""
    is_strict: bool = False
    key_collations: tuple[str, ...] = ()
    """By which the key tells rows apart, column by column, and not the columns' own; none if it is the row number."""

    def column(self, name: str) -> Column | None:
        """The column of that name, in whatever case."""
        return next((item for item in self.columns if item.name.lower() == name.lower()), None)

    @property
    def content_is_elsewhere(self) -> bool:
        """True for a full-text table that keeps no text itself."""
        return bool(self.module.startswith("fts") and _CONTENT.search(self.sql))


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as SQL has it."""
    return "'" + value.replace("'", "''") + "'"


def joined(terms: Sequence[str], operator: str) -> str:
    """One expression that joins all terms. SQLite bounds how deep one may be nested, so it is as flat as can be."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return f"({joined(terms[:middle], operator)} {operator} {joined(terms[middle:], operator)})"


def table_names(ask: Ask) -> list[str]:
    """The names of all tables that are neither SQLite's nor a virtual table's own."""
    return [
        str(name)
        for name, kind in ask("SELECT name, type FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
        if kind in ("table", "virtual") and not str(name).lower().startswith("sqlite_")
    ]


def table_of(ask: Ask, name: str) -> Table | None:
    """The table, view or virtual table of that name, in whatever case; None if there is none."""
    where = f"schema = 'main' AND name = {text(name)} COLLATE NOCASE"
    found = next(iter(list(ask(f"SELECT name, type, wr, strict FROM pragma_table_list WHERE {where}"))), None)
    if found is None:
        return None
    name, kind, is_without_rowid = str(found[0]), found[1], bool(found[2])
    sql = _sql(ask, "'table', 'view'", f"name = {text(name)}")
    columns, key, first_type = _columns(ask, name)
    module = ""
    if kind == "virtual":
        match = _MODULE.match(sql[0].sql if sql else "")
        module = match[1].lower() if match else ""
    taken = {column.name.lower() for column in columns}
    free = next((item for item in ROWID_NAMES if item not in taken), "")
    has_rowid = kind in ("table", "virtual") and not is_without_rowid
    is_alias = has_rowid and len(key) == 1 and first_type == "INTEGER" and not _has_key_index(ask, name)
    return Table(
        name=name,
        kind=kind,
        sql=sql[0].sql if sql else "",
        columns=columns,
        key=key,
        rowid=free if has_rowid else "",
        is_rowid_the_key=is_alias or (kind == "virtual" and has_rowid),
        references=_references(ask, name) if kind == "table" else (),
        indexes=_sql(ask, "'index'", f"tbl_name = {text(name)} COLLATE NOCASE AND sql IS NOT NULL"),
        triggers=_sql(ask, "'trigger'", f"tbl_name = {text(name)} COLLATE NOCASE"),
        module=module,
        is_strict=bool(found[3]),
        key_collations=_key_collations(ask, name, key),
    )


def exists(ask: Ask, name: str) -> str:
    """What has that name: table, view, index or trigger; "" if it is free."""
    rows = ask(f"SELECT type FROM main.sqlite_schema WHERE name = {text(name)} COLLATE NOCASE")
    return next((str(kind) for (kind,) in list(rows)), "")


def encoding_of(ask: Ask) -> str:
    """How texts are stored."""
    [(found,)] = ask("SELECT encoding FROM pragma_encoding")
    return str(found)


def sequence_of(ask: Ask, name: str) -> int | None:
    """The largest row number that an AUTOINCREMENT table ever had; None if it is none."""
    if not exists(ask, "sqlite_sequence"):
        return None
    rows = list(ask(f"SELECT seq FROM main.sqlite_sequence WHERE name = {text(name)}"))
    return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else None


def _columns(ask: Ask, name: str) -> tuple[tuple[Column, ...], tuple[str, ...], str]:
    """The columns, those of the key in its order, and the type of the first of the key."""
    columns: list[Column] = []
    key: list[tuple[int, str, str]] = []
    sql = f"SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo({text(name)}, 'main')"
    for column, kind, is_not_null, default, pk, hidden in ask(sql):
        # 1 is a column of a virtual table that is no part of its rows; 2 and 3 are computed.
        if hidden != 1:
            columns.append(Column(str(column), str(kind), bool(is_not_null), default is not None, hidden in (2, 3)))
            if pk:
                key.append((int(pk), str(column), str(kind).upper()))
    key.sort()
    return tuple(columns), tuple(item[1] for item in key), key[0][2] if key else ""


def _has_key_index(ask: Ask, name: str) -> bool:
    """True if the primary key is an index of its own, and not the row number."""
    return bool(list(ask(f"SELECT 1 FROM pragma_index_list({text(name)}, 'main') WHERE origin = 'pk'")))


def _key_collations(ask: Ask, name: str, key: Sequence[str]) -> tuple[str, ...]:
    sql = (
        f"SELECT x.name, x.coll FROM pragma_index_list({text(name)}, 'main') l, pragma_index_xinfo(l.name, 'main') x "
        "WHERE l.origin = 'pk' AND x.key AND x.name IS NOT NULL"
    )
    found = {str(column).lower(): str(collation) for column, collation in ask(sql)}
    return tuple(found[column.lower()] for column in key) if all(column.lower() in found for column in key) else ()


def _references(ask: Ask, name: str) -> tuple[Reference, ...]:
    sql = f'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list({text(name)}, \'main\') ORDER BY id, seq'
    found: dict[int, tuple[str, list[str], list[str | None]]] = {}
    for number, parent, column, to in ask(sql):
        _, columns, parents = found.setdefault(int(number), (str(parent), [], []))
        columns.append(str(column))
        parents.append(None if to is None else str(to))
    made = []
    for parent, columns, parents in found.values():
        # Without names it is the parent's primary key.
        named = [item for item in parents if item is not None]
        made.append(
            Reference(tuple(columns), parent, tuple(named) if len(named) == len(columns) else _columns(ask, parent)[1])
        )
    return tuple(made)


def _sql(ask: Ask, kinds: str, where: str) -> tuple[Made, ...]:
    rows = ask(f"SELECT name, sql FROM main.sqlite_schema WHERE type IN ({kinds}) AND {where} ORDER BY rowid")
    return tuple(Made(str(name), str(sql)) for name, sql in list(rows))
