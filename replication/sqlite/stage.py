"""Rows that are to be brought back, in a database file of their own, before anything else is done with them.

Its promise: a value comes out as it went in, whatever bytes a text has. It leaves to the caller where the file lies,
and to remove it. One thread at a time.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from replication.sqlite.errors import sqlite_errors
from replication.sqlite.shape import Table, joined, quoted

SCHEMA = "brought"
"""By this name it is attached to a database."""
TOLD_ROWS = 500
_CACHE_KIB = 8 << 10


@dataclass(frozen=True, slots=True)
class Staged:
    """The rows of one table. Row numbers from 1 on tell them apart; `rows` is how many there were at first."""

    number: int
    table: Table
    sequence: int | None
    rows: int

    @property
    def name(self) -> str:
        """The table that they are in, once the stage is attached."""
        return f"{SCHEMA}.r{self.number}"


class Stage:
    """The file. Its tables have a column `id`, `rid` for the row number, and c0, c1 and so on."""

    def __init__(self, path: Path, encoding: str, grown: Callable[[int, int], None] = lambda rows, size: None) -> None:
        """`grown` is told now and then how many rows and bytes came since, and may raise."""
        self.path = path
        self._grown = grown
        self.encoding = encoding
        """How texts are stored: in this file, and in the database that it is attached to."""
        self._connection = apsw.Connection(str(path))
        self._tables: list[Staged] = []
        with sqlite_errors(path):
            for name, value in (("encoding", f"'{encoding}'"), ("journal_mode", "off"), ("synchronous", "off")):
                self._connection.execute(f"PRAGMA {name}={value}").fetchall()
            self._connection.pragma("cache_size", -_CACHE_KIB)

    @property
    def tables(self) -> Sequence[Staged]:
        """In the order in which they came."""
        return tuple(self._tables)

    def add(self, table: Table, sequence: int | None, rows: Iterable[tuple[Any, ...]]) -> Staged:
        """Add the rows of a table, as `selected` asks for them. Raises what `rows` raise, and DatabaseError."""
        number, count = len(self._tables), 0
        columns = len(table.columns)
        with sqlite_errors(self.path):
            names = "".join(f", c{place}" for place in range(columns))
            self._connection.execute(f"CREATE TABLE r{number}(id INTEGER PRIMARY KEY, rid{names})")
            inserts: dict[str, str] = {}
            self._connection.execute("BEGIN")
            size = 0
            for rowid, texts, *values in rows:
                if texts not in inserts:
                    inserts[texts] = _insert(number, texts)
                self._connection.execute(inserts[texts], (rowid, *values))
                count += 1
                if count % TOLD_ROWS == 0:
                    before, size = size, os.stat(self.path).st_size  # noqa: PTH116 (often)
                    self._grown(TOLD_ROWS, size - before)
            self._connection.execute("COMMIT")
        staged = Staged(number, table, sequence, count)
        self._tables.append(staged)
        return staged

    def count(self, staged: Staged) -> int:
        """How many rows there are now."""
        with sqlite_errors(self.path):
            return int(self._connection.execute(f"SELECT count(*) FROM r{staged.number}").get)

    def last(self, staged: Staged) -> int:
        """The largest number of a row; 0 if there is none."""
        with sqlite_errors(self.path):
            return int(self._connection.execute(f"SELECT ifnull(max(id), 0) FROM r{staged.number}").get)

    def numbers(self, staged: Staged) -> Iterator[int]:
        """The numbers of the rows, in the order of `rows`."""
        with sqlite_errors(self.path):
            for (number,) in self._connection.execute(f"SELECT id FROM r{staged.number} ORDER BY id"):
                yield number

    def rows(self, staged: Staged) -> Iterator[tuple[Any, ...]]:
        """The rows in their order, as `add` takes them."""
        names = [f"c{place}" for place in range(len(staged.table.columns))]
        with sqlite_errors(self.path):
            yield from self._connection.execute(f"SELECT rid, {as_bytes(names)} FROM r{staged.number} ORDER BY id")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close(True)

    def attach(self, connection: apsw.Connection, is_written: bool = False) -> None:
        """Attach it to a connection, whatever that one is to. Raises apsw.Error, for another encoding as well.

        Where it is not written SQLite knows that, and a transaction stays one of a single file.
        """
        how = "rw" if is_written else "ro"
        uri = f"file:{quote(os.fsencode(self.path))}?vfs=unix&mode={how}"
        connection.execute(f"ATTACH ? AS {SCHEMA}", (uri,))


def selected(table: Table, where: str = "") -> str:
    """The statement that asks for rows as `add` takes them: row number, which values are text, and all values.

    A text comes as its bytes: one that is not valid is kept as well.
    """
    name = quoted(table.name)
    columns = [f"{name}.{quoted(column.name)}" for column in table.columns]
    rowid = f"{name}.{table.rowid}" if table.rowid else "NULL"
    return f"SELECT {rowid}, {as_bytes(columns)} FROM {name}" + (f" WHERE {where}" if where else "")


def as_bytes(columns: list[str]) -> str:
    """The values of these columns, texts as their bytes, after a text that says which of them are texts."""
    values = [f"CASE typeof({item}) WHEN 'text' THEN CAST({item} AS BLOB) ELSE {item} END" for item in columns]
    texts = joined([f"(typeof({item}) = 'text')" for item in columns], "||")
    return f"{texts} || '', {', '.join(values)}"


def _insert(number: int, texts: str) -> str:
    values = ["CAST(? AS TEXT)" if is_text == "1" else "?" for is_text in texts]
    return f"INSERT INTO r{number} VALUES(NULL, ?, {', '.join(values)})"
