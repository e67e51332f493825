"""The schemas of two moments: which table is which, by what its rows are matched, and what was made anew.

A table is the one of the same name. One that has another name, the same root page and the same columns was renamed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from replication.errors import QueryError
from replication.history.diff.contract import ROWID, Pair, SchemaChange, Shape, Skipped
from replication.history.keys import quoted
from replication.sqlite.moment import Query

_ROWID_NAMES = ("rowid", "_rowid_", "oid")
_HIDDEN_MAX = 0
"""Of `hidden` in pragma_table_xinfo: above it a column is one of a virtual table's own, or generated."""
_CONTENTS = {"fts5": ("_content", "c{}"), "fts4": ("_content", "c{}{}"), "fts3": ("_content", "c{}{}")}
"""Where virtual tables keep their rows, and how the columns are called there: by number, and name."""
_CONTENT_KEYS = {"fts5": "id", "fts4": "docid", "fts3": "docid"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of sqlite_schema."""

    type: str
    name: str
    table: str
    root: int
    sql: str


@dataclass(frozen=True, slots=True)
class Schema:
    """What is there at one moment. Names of tables are in small letters, as keys."""

    entries: tuple[Entry, ...]
    shapes: dict[str, Shape]
    shadows: frozenset[str]
    """Tables in which virtual ones keep what they have, and those that SQLite keeps for itself."""
    virtual: dict[str, str]
    """Virtual tables whose rows are not compared, and why."""


def read_schema(query: Query) -> Schema:
    """Ask for the schema. Raises QueryError and what pages raise."""
    rows = query.rows("SELECT type, name, tbl_name, ifnull(rootpage, 0), ifnull(sql, '') FROM sqlite_schema")
    entries = tuple(Entry(str(t), str(n), str(b), int(r), str(s)) for t, n, b, r, s in rows)
    shadows = {name.lower() for name in _shadows(query)}
    tables = [entry for entry in entries if entry.type == "table"]
    own = {entry.name.lower() for entry in tables if entry.name.lower().startswith("sqlite_")}
    shapes = {entry.name.lower(): _shape(query, entry) for entry in tables if entry.root}
    virtual = {}
    for entry in tables:
        if not entry.root:
            found = _virtual(query, entry, shapes)
            if isinstance(found, Shape):
                shapes[entry.name.lower()] = found
            else:
                virtual[entry.name.lower()] = found
    return Schema(entries, shapes, frozenset(shadows | own), virtual)


def changes(before: Schema, after: Schema, pairs: Iterable[Pair]) -> Iterator[SchemaChange]:
    """What was made, dropped, or made by another statement; of what belongs to a virtual table nothing."""
    renamed = {pair.name.lower(): pair.renamed_from for pair in pairs if pair.renamed_from}
    old, new = ({(e.type, e.name.lower()): e for e in s.entries if _is_told(e, s)} for s in (before, after))
    for name, was in renamed.items():
        old["table", name] = old.pop(("table", was.lower()))
    for key in sorted({*old, *new}, key=lambda item: (item[0] != "table", item)):
        first, last = old.get(key), new.get(key)
        if first is not None and last is not None and first.sql == last.sql:
            continue
        entry = last or first
        assert entry is not None
        yield SchemaChange(
            entry.type,
            entry.name,
            first.sql if first else None,
            last.sql if last else None,
            renamed.get(key[1], "") if key[0] == "table" else "",
        )


def pairs(before: Schema, after: Schema) -> tuple[tuple[Pair, ...], tuple[Skipped, ...]]:
    """The tables of both moments, by name, and those of which no rows can be matched. All that are there."""
    found: list[Pair] = []
    skipped: list[Skipped] = []
    renamed = _renamed(before, after)
    for name in sorted({*before.shapes, *after.shapes} - set(renamed.values())):
        pair = _pair(before.shapes.get(renamed.get(name, name)), after.shapes.get(name))
        if isinstance(pair, Pair):
            found.append(pair)
        else:
            skipped.append(pair)
    return tuple(found), tuple(skipped)


def _is_told(entry: Entry, schema: Schema) -> bool:
    return bool(entry.sql) and entry.table.lower() not in schema.shadows


def _pair(before: Shape | None, after: Shape | None) -> Pair | Skipped:
    one = after or before
    assert one is not None
    if before is None or after is None:
        same = tuple((number, number) for number in range(len(one.columns)))
        return Pair(one.name, before, after, one.key or (ROWID,), same, bool(one.key))
    common = _common(before, after)
    if before.key and [name.lower() for name in before.key] == [name.lower() for name in after.key]:
        return Pair(after.name, before, after, after.key, common, True)
    if before.rowid and after.rowid:
        return Pair(after.name, before, after, (ROWID,), common, False)
    was, became = (", ".join(shape.key) or "none" for shape in (before, after))
    return Skipped(after.name, f"its key was another ({was}, then {became}), so no row can be matched with one before")


def _common(before: Shape, after: Shape) -> tuple[tuple[int, int], ...]:
    """Columns of the same name, and, of the same b-tree, those that were renamed: they are in the same place."""
    old = {name.lower(): number for number, name in enumerate(before.columns)}
    found = [(old.pop(name.lower(), -1), number) for number, name in enumerate(after.columns)]
    is_renamed = before.root == after.root and len(before.columns) <= len(after.columns)
    left = set(old.values()) if is_renamed else set()
    found = [(here if there < 0 and here in left else there, here) for there, here in found]
    return tuple((there, here) for there, here in found if there >= 0)


def _renamed(before: Schema, after: Schema) -> dict[str, str]:
    """Names now and then of tables that were renamed."""
    gone = {shape.root: name for name, shape in before.shapes.items() if name not in after.shapes and shape.root}
    found = {}
    for name, shape in after.shapes.items():
        was = gone.get(shape.root) if name not in before.shapes else None
        if was is not None and _body(before.shapes[was].sql) == _body(shape.sql):
            found[name] = was
    return found


def _body(sql: str) -> str:
    """A statement without the name of what it makes."""
    return sql[sql.find("(") :]


def _shape(query: Query, entry: Entry) -> Shape:
    columns = list(_columns(query, entry.name))
    own = tuple(name for name, hidden, _, _ in columns if hidden <= _HIDDEN_MAX)
    key = tuple(name for name, _, pk, _ in sorted(columns, key=lambda item: item[2]) if pk)
    taken = {name.lower() for name, _, _, _ in columns}
    free = next((name for name in _ROWID_NAMES if name not in taken), "")
    rowid = free if _has_rowid(query, entry.name) else ""
    alias = _alias(query, entry.name, columns, rowid)
    places = tuple(own.index(name) for name in key)
    return Shape(entry.name, entry.sql, entry.root, own, key, alias or rowid, bool(alias), entry.name, own, key, places)


def _columns(query: Query, table: str) -> Iterator[tuple[str, int, int, str]]:
    sql = "SELECT name, hidden, pk, type FROM pragma_table_xinfo(?)"
    for name, hidden, pk, kind in query.rows(sql, bindings=(table,)):
        yield str(name), int(hidden), int(pk), str(kind)


def _has_rowid(query: Query, table: str) -> bool:
    """False WITHOUT ROWID: then the index of the primary key is the table, and has its rows' other columns as well."""
    sql = "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'"
    return not any(row[0] for row in query.rows(sql, bindings=(table,)))


def _alias(query: Query, table: str, columns: list[tuple[str, int, int, str]], rowid: str) -> str:
    """The column that is the rowid: the one of the primary key, if no index was made for that."""
    keyed = [item for item in columns if item[2]]
    if len(keyed) != 1 or keyed[0][3].upper() != "INTEGER":
        return ""
    sql = "SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'"
    if any(True for _ in query.rows(sql, bindings=(table,))):
        return ""
    return keyed[0][0]


def _shadows(query: Query) -> list[str]:
    rows = query.rows("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'")
    return [str(name) for (name,) in rows]


def _virtual(query: Query, entry: Entry, shapes: dict[str, Shape]) -> Shape | str:
    """How the rows of a virtual table are read, or why they are not."""
    module = _module(entry.sql)
    content = shapes.get(f"{entry.name}{_CONTENTS[module][0]}".lower()) if module in _CONTENTS else None
    if content is None:
        return f"it is virtual ({module}), and keeps no rows that could be read by their pages"
    try:
        names = tuple(name for name, hidden, _, _ in _columns(query, entry.name) if hidden <= _HIDDEN_MAX)
    except QueryError as error:
        return f"it is virtual ({module}): {error}"
    # In its content they have names of their own, in the same order behind the rowid.
    stored = tuple(name for name in content.columns if name.lower() != _CONTENT_KEYS[module])
    if len(names) > len(stored):
        return f"it is virtual ({module}), and does not keep all of its columns"
    made = replace(content, name=entry.name, sql=entry.sql, columns=names, stored=stored[: len(names)])
    return replace(made, key=(ROWID,), is_rowid_key=True, stored_key=(content.rowid,), key_places=())


def _module(sql: str) -> str:
    """What a virtual table is made by."""
    words = sql.lower().replace("(", " ( ").split()
    return words[words.index("using") + 1].strip('"`[]') if "using" in words[:-1] else "?"


def spelled(shape: Shape) -> str:
    """The table to read from, as SQL has it, whatever else has that name in a statement."""
    return f"main.{quoted(shape.source)}"
