"""What is looked for among commits: a question to each, and which change of its answer counts. Pure but for SQL.

An answer that is told is kept in short; that of any SQL is a digest of all rows with the first of them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from replication.errors import QueryError, StatementError
from replication.history.changes import Answer, Match, Question
from replication.sqlite.moment import Query

ROWS_SHOWN_MAX = 3
TEXT_CHARS_MAX = 200
ROWS_MAX = 1_000_000
"""Rows of one answer that are compared."""
SECONDS_MAX = 60.0
"""For one look."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer of any SQL: what it is compared by, and what is shown of it."""

    digest: str
    shown: str = field(compare=False)

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, in words, and how."""

    words: str
    question: Question
    matches: Match


def gone(table: str) -> Wanted:
    """A table, or a view, that was dropped or renamed."""
    return Wanted(f"{table} went", _is_there(table), lambda was, became: bool(was and not became))


def any_gone() -> Wanted:
    """Any table, or view, that was dropped or renamed."""

    def matches(was: Answer, became: Answer) -> bool:
        return isinstance(was, frozenset) and isinstance(became, frozenset) and bool(was - became)

    return Wanted("a table went", _names, matches)


def appeared(table: str) -> Wanted:
    """A table, or a view, that was made."""
    return Wanted(f"{table} appeared", _is_there(table), lambda was, became: bool(became and not was))


def fell(table: str, rows: int) -> Wanted:
    """A table that lost so many rows at least; one that is gone has none."""

    def matches(was: Answer, became: Answer) -> bool:
        return isinstance(was, int) and isinstance(became, int) and was - became >= rows

    return Wanted(f"{table} lost {rows} rows or more", lambda query: _count(query, table), matches)


def row(table: str, key: str) -> Wanted:
    """A row, by its primary key or its rowid, that came, changed or went."""
    return Wanted(f"row {key} of {table} changed", lambda query: _row(query, table, key), _differ)


def sql(statement: str) -> Wanted:
    """Any statement that only reads, whose answer changed."""
    return Wanted("the answer changed", lambda query: _rows(query, statement), _differ)


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _differ(was: Answer, became: Answer) -> bool:
    return was != became


def _names(query: Query) -> frozenset[str]:
    statement = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
    return frozenset(str(name) for (name,) in query.rows(statement, SECONDS_MAX))


def _is_there(table: str) -> Callable[[Query], bool]:
    text = _literal(table)
    statement = f"SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = {text} COLLATE NOCASE"
    return lambda query: bool(list(query.rows(statement, SECONDS_MAX)))


def _count(query: Query, table: str) -> int:
    if not _is_there(table)(query):
        return 0
    [(count,)] = query.rows(f"SELECT count(*) FROM {quoted(table)}", SECONDS_MAX)
    return int(count)


def _row(query: Query, table: str, key: str) -> Rows:
    names = f"SELECT name FROM pragma_table_info({_literal(table)}) WHERE pk ORDER BY pk"
    columns = [str(name) for (name,) in query.rows(names, SECONDS_MAX)]
    if len(columns) > 1:
        raise QueryError(f"The key of {table} is {', '.join(columns)}: ask for the row by -sql.")
    column = quoted(columns[0]) if columns else "_rowid_"
    return _rows(query, f"SELECT * FROM {quoted(table)} WHERE {column} = {_literal(key)}")


def _rows(query: Query, statement: str) -> Rows:
    digest, shown, count = hashlib.blake2b(digest_size=16), [], 0
    try:
        for found in islice(query.rows(statement, SECONDS_MAX), ROWS_MAX):
            if count < ROWS_SHOWN_MAX:
                shown.append(", ".join(map(_text, found)))
            digest.update(repr(found).encode("utf-8", "backslashreplace") + b"\n")
            count += 1
    except StatementError as error:
        # A table that is not there yet is an answer.
        return Rows(f"error {error}", str(error))
    more = f" … {count} rows" if count > ROWS_SHOWN_MAX else ""
    text = " | ".join(shown) or "no rows"
    return Rows(digest.hexdigest(), text[:TEXT_CHARS_MAX] + more)


def _text(value: object) -> str:
    return f"x'{value.hex()}'" if isinstance(value, bytes) else "NULL" if value is None else str(value)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
