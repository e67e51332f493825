"""A restored database beside the live one: which tables there were, how many rows, and which rows differ.

Its promise: neither file is ever written, and nothing here runs for longer than its bounds. The restored file is
nobody else's, so it is read as it lies; the live one is opened read-only, for one answer at a time, so that no
lock of it outlives the answer. It leaves to the caller to make the restored file and to remove it.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import apsw

from replication.errors import DatabaseError
from replication.sqlite.errors import sqlite_errors
from replication.sqlite.opening import opening

TABLES_MAX = 1000
COUNT_SECONDS_MAX = 2.0
"""Seconds for counting the rows of one table, in one of the two databases."""
DIFFERENCE_SECONDS_MAX = 10.0
"""Seconds for comparing one table."""
ROWS_MAX = 200
"""Differing rows of each kind that are shown."""
COLUMNS_MAX = 50
TEXT_SIZE_MAX = 60
"""Characters of one value that are shown."""
CONDITION_SIZE_MAX = 1000
"""Characters of the condition of one row."""
_STEPS_BETWEEN_LOOKS = 5_000
_LIVE_BUSY_TIMEOUT_MS = 1000

Kind = Literal["gone", "added", "changed"]


@dataclass(frozen=True, slots=True)
class TableCount:
    """Rows of a table then and today; None where it is not there, or could not be counted: `words` says why."""

    name: str
    then: int | None
    today: int | None
    words: str = ""


@dataclass(frozen=True, slots=True)
class RowDifference:
    """One row: gone since then, added since, or changed. Values are texts, cut; empty tuples where it is not.

    `where` is a condition for the row as it was then, in SQL; "" where it would be too long.
    """

    kind: Kind
    then: tuple[str, ...]
    today: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class Differences:
    """How a table differs. `words` says what it was compared by, and what was left out."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[RowDifference, ...]
    words: str


class DatabaseDiff:
    """Compares the restored database with the live one. Used by one thread at a time."""

    def __init__(self, restored: Path, live: Path | None) -> None:
        """`live` is None where the live one is not to be opened, which alone writes to its -shm."""
        self._restored = restored
        self._live = live
        self._lock = threading.Lock()
        self._connection = _open(f"file:{quote(os.fsencode(restored.absolute()))}?immutable=1", restored)

    def close(self) -> None:
        """Let go of the restored file."""
        with self._lock:
            self._connection.close(True)

    def tables(self, stop: threading.Event) -> list[TableCount]:
        """All tables of both databases by name, with their rows. Raises DatabaseError, for the restored one."""
        with self._lock:
            with self._bounded(stop, None), sqlite_errors(self._restored):
                then = dict.fromkeys(_tables(self._connection, "main"))
            words = ""
            today: dict[str, None] = {}
            with self._attached() as why:
                if why:
                    words = why
                else:
                    today = dict.fromkeys(_tables(self._connection, "today"))
                return [
                    self._counted(name, name in then, name in today, words, stop)
                    for name in sorted({**then, **today}, key=str.lower)[:TABLES_MAX]
                ]

    def differences(self, table: str, stop: threading.Event) -> Differences:
        """The rows of a table that differ, at most ROWS_MAX of each kind; all, of one that is gone or new. Raises
        DatabaseError.
        """
        with self._lock, self._attached() as why:
            if why:
                raise DatabaseError(why)
            with sqlite_errors(self._restored):
                then, today = _columns(self._connection, "main", table), _columns(self._connection, "today", table)
                if not then and not today:
                    return Differences(table, (), (), f"There is no table {table}, then or today.")
                key = _key(self._connection, "main" if then else "today", table)
            if not then or not today:
                return self._alone(table, then or today, "gone" if then else "added", key, stop)
            return self._compared(table, then, today, key, stop)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _counted(self, name: str, then: bool, today: bool, words: str, stop: threading.Event) -> TableCount:
        counts: list[int | None] = []
        for schema, there in (("main", then), ("today", today)):
            count: int | None = None
            if there and not stop.is_set():
                try:
                    with self._bounded(stop, COUNT_SECONDS_MAX):
                        # Without the condition a count is one step, in which nobody can stop it.
                        sql = f"SELECT count(*) FROM {schema}.{_quoted(name)} WHERE ?"
                        count = int(next(self._connection.execute(sql, (1,)))[0])
                except apsw.InterruptError:
                    words = words or "too many rows to count quickly"
                except apsw.Error as error:
                    words = words or f"SQLite says: {error}"
            counts.append(count)
        return TableCount(name, counts[0], counts[1], words)

    def _alone(self, table: str, columns: list[str], kind: Kind, key: list[str], stop: threading.Event) -> Differences:
        """All rows of a table that the other database does not have."""
        columns, schema = columns[:COLUMNS_MAX], "main" if kind == "gone" else "today"
        shown = ", ".join(_shown("a", column) for column in columns)
        sql = f"SELECT {_condition('a', key)}, {shown} FROM {schema}.{_quoted(table)} a LIMIT {ROWS_MAX + 1}"
        words = "The table is gone today: these are its rows." if kind == "gone" else "The table is new since then."
        found: list[RowDifference] = []
        with self._bounded(stop, DIFFERENCE_SECONDS_MAX), sqlite_errors(self._restored):
            try:
                for values in self._connection.execute(sql):
                    found.append(_row(kind, values, len(columns)))
            except apsw.InterruptError:
                words += " There was no time to look at all of them."
        if len(found) > ROWS_MAX:
            words += f" There are more than these {ROWS_MAX}."
        return Differences(table, tuple(columns), tuple(found[:ROWS_MAX]), words)

    def _compared(
        self, table: str, then: list[str], today: list[str], key: list[str], stop: threading.Event
    ) -> Differences:
        columns = [name for name in then if name in today][:COLUMNS_MAX]
        notes = [f"Rows are compared by {', '.join(key)}."]
        if set(then) != set(today):
            names = sorted(set(then) ^ set(today))
            notes.append(f"Columns of only one of the two are left out: {', '.join(names[:COLUMNS_MAX])}.")
        if not all(name in today or name == _ROWID for name in key):
            return Differences(table, tuple(columns), (), "The key of this table is another one today.")
        rows: list[RowDifference] = []
        deadline = time.monotonic() + DIFFERENCE_SECONDS_MAX
        for kind, sql in _queries(table, columns, key):
            found: list[RowDifference] = []
            try:
                with self._bounded(stop, deadline - time.monotonic()), sqlite_errors(self._restored):
                    try:
                        for values in self._connection.execute(sql):
                            found.append(_row(kind, values, len(columns)))
                    except apsw.InterruptError:
                        notes.append(f"There was no time to look at all rows that are {kind}.")
            finally:
                rows += found[:ROWS_MAX]
            if len(found) > ROWS_MAX:
                notes.append(f"There are more than {ROWS_MAX} rows that are {kind}.")
        return Differences(table, tuple(columns), tuple(rows), " ".join(notes))

    @contextmanager
    def _attached(self) -> Iterator[str]:
        """A block in which the live database is attached as "today". Gives why it cannot be, in words, or ""."""
        if self._live is None:
            yield "today's database is left alone: nothing is compared with it"
            return
        try:
            with opening(self._live) as at:
                uri = f"file:{quote(os.fsencode(at.name))}?mode=ro"
                self._connection.execute("ATTACH ? AS today", (uri,))
                self._connection.pragma("schema_version", schema="today")
        except (apsw.Error, DatabaseError) as error:
            self._detach()
            yield f"today's {self._live.name} cannot be read: {error}"
            return
        try:
            yield ""
        finally:
            self._detach()

    def _detach(self) -> None:
        names = [str(row[1]) for row in self._connection.execute("PRAGMA database_list")]
        if "today" in names:
            self._connection.execute("DETACH today")

    @contextmanager
    def _bounded(self, stop: threading.Event, seconds: float | None) -> Iterator[None]:
        """A block whose statements end with InterruptError when `stop` is set or the time is over."""
        deadline = time.monotonic() + seconds if seconds is not None else None

        def over() -> bool:
            return stop.is_set() or (deadline is not None and time.monotonic() > deadline)

        self._connection.set_progress_handler(over, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        finally:
            self._connection.set_progress_handler(None)


_ROWID = "_rowid_"


def _open(uri: str, path: Path) -> apsw.Connection:
    with sqlite_errors(path):
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            connection.set_busy_timeout(_LIVE_BUSY_TIMEOUT_MS)
            # The last one out does not checkpoint, and what a schema says is data, not a program.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
            connection.pragma("query_only", True)
            # Sorting, if any, may take disk but not memory.
            connection.pragma("temp_store", 1)
        except BaseException:
            connection.close(True)
            raise
        return connection


def _tables(connection: apsw.Connection, schema: str) -> list[str]:
    sql = f"SELECT name FROM {schema}.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    return [str(row[0]) for row in connection.execute(f"{sql} ORDER BY name LIMIT {TABLES_MAX}")]


def _columns(connection: apsw.Connection, schema: str, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA {schema}.table_info({_quoted(table)})")]


def _key(connection: apsw.Connection, schema: str, table: str) -> list[str]:
    """The primary key's columns, or the row number of a table without one."""
    rows = list(connection.execute(f"PRAGMA {schema}.table_info({_quoted(table)})"))
    key = [str(row[1]) for row in sorted(rows, key=lambda row: int(row[5])) if int(row[5])]
    return key or [_ROWID]


def _queries(table: str, columns: list[str], key: list[str]) -> Iterator[tuple[Kind, str]]:
    """One statement for each kind of difference; all go row by row along the key and hold nothing in memory."""
    name = _quoted(table)
    same = " AND ".join(f"a.{_quoted(column)} IS b.{_quoted(column)}" for column in key)
    first = ", ".join(_shown("a", column) for column in columns)
    second = ", ".join(_shown("b", column) for column in columns)
    differs = " OR ".join(f"a.{_quoted(column)} IS NOT b.{_quoted(column)}" for column in columns) or "0"
    limit, where = f"LIMIT {ROWS_MAX + 1}", _condition("a", key)
    lacking = f"NOT EXISTS (SELECT 1 FROM today.{name} b WHERE {same})"
    yield "gone", f"SELECT {where}, {first} FROM main.{name} a WHERE {lacking} {limit}"
    yield (
        "changed",
        f"SELECT {where}, {first}, {second} FROM main.{name} a JOIN today.{name} b ON {same} WHERE {differs} {limit}",
    )
    yield (
        "added",
        f"SELECT '', {second} FROM today.{name} b WHERE NOT EXISTS (SELECT 1 FROM main.{name} a WHERE {same}) {limit}",
    )


def _condition(alias: str, key: list[str]) -> str:
    """An SQL expression that yields, for each row, the condition on its key that only this row meets."""
    parts = [f"{_text(f'{_quoted(column)} IS ')} || quote({alias}.{_quoted(column)})" for column in key]
    return f"substr({' || {} || '.format(_text(' AND ')).join(parts)}, 1, {CONDITION_SIZE_MAX + 1})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _shown(alias: str, column: str) -> str:
    """A value as a short text, made inside SQLite so that no large value comes out of it."""
    value = f"{alias}.{_quoted(column)}"
    return (
        f"CASE typeof({value}) WHEN 'blob' THEN 'blob of ' || length({value}) || ' bytes' WHEN 'null' THEN 'NULL' "
        f"WHEN 'text' THEN substr({value}, 1, {TEXT_SIZE_MAX + 1}) ELSE CAST({value} AS TEXT) END"
    )


def _row(kind: Kind, values: tuple[object, ...], count: int) -> RowDifference:
    where, texts = str(values[0]), tuple(_cut(str(value)) for value in values[1:])
    if kind == "added":
        return RowDifference(kind, (), texts)
    return RowDifference(kind, texts[:count], texts[count:], where if len(where) <= CONDITION_SIZE_MAX else "")


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_SIZE_MAX else text[: TEXT_SIZE_MAX - 1] + "…"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
