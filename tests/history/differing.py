"""An oracle of differences, which knows all rows of two states, and what it makes of those of a replica."""

import sqlite3
import threading
from collections import Counter
from contextlib import closing
from typing import Any

from replication.history.diff.contract import Pair, RowChange
from replication.history.diff.diff import Difference
from replication.history.moments import read_span
from replication.history.span import Span
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition, Target
from replication.storage.base import Storage
from tests.history.looking import QUICK, Cached
from tests.restore.history import Commit

USER_TABLES = """
SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite%'
"""


def span_of(storage: Storage, begin: Target, end: Target, said: list[str] | None = None) -> Span:
    told = said if said is not None else []
    sources, options = [OpenReplica("test", storage)], RestoreOptions(backoff=QUICK)
    return read_span(sources, options, begin, end, Cached(), threading.Event(), tell=told.append)


def difference(storage: Storage, before: Commit, after: Commit) -> Difference:
    return Difference(span_of(storage, AtPosition(before.at()), AtPosition(after.at())), threading.Event())


def told(change: RowChange) -> str:
    """A change in short."""
    if change.kind == "changed":
        return f"{change.table} ~{', '.join(map(str, change.key))}"
    return f"{change.table} +{change.after}" if change.before is None else f"{change.table} -{change.before}"


def state(commit: Commit) -> sqlite3.Connection:
    """The database right after a commit, in memory."""
    data = bytearray(commit.content)
    # Not in WAL mode: there is no WAL in memory.
    data[18:20] = b"\1\1"
    connection = sqlite3.connect(":memory:")
    connection.deserialize(bytes(data))
    return connection


def checked(made: Difference, before: Commit, after: Commit) -> Counter[str]:
    """Assert that it is what lies between two states, and no more. How many rows of each kind are told."""
    counts: Counter[str] = Counter()
    with closing(state(before)) as old, closing(state(after)) as new:
        assert schema(old) == _taken_back(made, schema(new))
        expected = {name.lower() for connection in (old, new) for (name,) in connection.execute(USER_TABLES)}
        pairs = made.pairs()
        told = {shape.name.lower() for pair in pairs for shape in (pair.before, pair.after) if shape is not None}
        assert told | {item.name.lower() for item in made.skipped} == expected
        for pair in pairs:
            found = list(made.rows(pair))
            _check(pair, found, old, new)
            counts.update(change.kind for change in found)
    return counts


def schema(connection: sqlite3.Connection) -> dict[str, str]:
    """The statements that made all that is not kept by SQLite or by a virtual table for itself."""
    sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
    shadows = {name for (name,) in connection.execute(sql)}
    rows = connection.execute("SELECT type || ' ' || lower(name), tbl_name, sql FROM sqlite_schema WHERE sql > ''")
    return {key: text for key, table, text in rows if table not in shadows and not table.startswith("sqlite_")}


def _taken_back(made: Difference, now: dict[str, str]) -> dict[str, str]:
    for change in made.schema:
        assert change.before != change.after
        key = f"{change.type} {change.name.lower()}"
        assert now.pop(key, None) == change.after
        if change.before is not None:
            was = f"{change.type} {change.renamed_from.lower()}" if change.renamed_from else key
            now[was] = change.before
    return now


def _check(pair: Pair, found: list[RowChange], old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    was, became = _rows(old, pair, 0), _rows(new, pair, 1)
    counts = [Counter(map(repr, rows)) for rows in (was, became)]
    if pair.before and pair.after:
        counts = [Counter(repr(_common(pair, row, side)) for row in rows) for side, rows in enumerate((was, became))]
    there = [set(map(repr, rows)) for rows in (was, became)]
    for change in found:
        for side, row in enumerate((change.before, change.after)):
            assert row is None or repr(row) in there[side], change
        if change.before is not None and change.after is not None:
            assert change.changed_columns, change
    # What is told leads from the one to the other: no row is left out, and none told that did not change.
    for change in found:
        for row, side, step in ((change.before, 0, -1), (change.after, 1, 1)):
            if row is not None:
                told = repr(_common(pair, row, side) if pair.before and pair.after else row)
                counts[0][told] += step
    assert +counts[0] == +counts[1], (pair, found)
    assert not -counts[0], (pair, found)
    keys = [repr(item.key) for item in found if None not in item.key]
    assert not pair.has_identity or len(set(keys)) == len(keys), found
    if not pair.has_identity:
        # Of rows that are alike nobody can say which went.
        kept = [{repr(_common(pair, row, side)) for item in found if (row := _side(item, side))} for side in (0, 1)]
        assert not kept[0] & kept[1], found
        return
    if pair.before and pair.after and pair.after.key_places:
        olds, news = _keyed(pair, was, 0), _keyed(pair, became, 1)
        kinds = {
            key: "deleted" if key not in news else "inserted" if key not in olds else "changed"
            for key in {*olds, *news}
            if key not in olds or key not in news or olds[key] != news[key]
        }
        assert kinds == {repr(item.key): item.kind for item in found if None not in item.key}


def _side(change: RowChange, side: int) -> Any:
    return change.after if side else change.before


def _common(pair: Pair, row: Any, side: int) -> tuple[Any, ...]:
    return tuple(row[columns[side]] for columns in pair.common)


def _keyed(pair: Pair, rows: list[tuple[Any, ...]], side: int) -> dict[str, str]:
    shape = pair.after if side else pair.before
    assert shape is not None
    keys = [tuple(row[place] for place in shape.key_places) for row in rows]
    common = zip(keys, rows, strict=True)
    return {repr(key): repr(_common(pair, row, side)) for key, row in common if None not in key}


def _rows(connection: sqlite3.Connection, pair: Pair, side: int) -> list[tuple[Any, ...]]:
    shape = pair.after if side else pair.before
    if shape is None:
        return []
    names = ", ".join(f'"{name}"' for name in shape.columns)
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    return connection.execute(f'SELECT {names} FROM "{shape.name}"').fetchall()
