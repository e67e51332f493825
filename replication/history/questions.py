"""What can be looked for among commits: each a question to one commit, and the change of its answer that counts.

    gone, appeared    is the table or view there?                 yes to no, no to yes
    fell              how many rows has it?                       fewer by so many
    row, sql          which rows does a statement give?           other rows

Pure but for SQL. The answer of a statement may be large: kept are a digest of all rows, and the first of them as text.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from replication.errors import NoRestorePointError, QueryError, ReplicationError, StatementError
from replication.history.changes import Answer, Match, Question, Size
from replication.history.keys import Column, condition, literal, parts_of, quoted, rowid_name
from replication.sqlite.moment import Query

ROWS_SHOWN_MAX = 3
TEXT_CHARS_MAX = 200
NAMES_SHOWN_MAX = 10
SECONDS_MAX = 60.0
"""How long one statement of a look may take."""
_IS_NO_SQL = re.compile(r'SQLite says: (near ".*": syntax error|incomplete input|unrecognized token: .*)', re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?(\*/|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer of a statement: compared by its digest, and shown as text.

    `is_known` is false if what is asked about is not in the database at that commit; `refusal` is what SQLite said.
    """

    digest: str
    shown: str = field(compare=False)
    is_known: bool = field(default=True, compare=False)
    refusal: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows a table has; 0 if it is not there, or cannot be counted."""

    rows: int
    is_known: bool = field(default=True, compare=False)
    refusal: str = field(default="", compare=False)

    def __str__(self) -> str:
        return str(self.rows)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: in words, as a question, and as the changes that match. `table` if it is about one table.

    `size` says how much of it lies between two answers, where that can be told: how many rows were lost in all.
    """

    words: str
    question: Question
    matches: Match
    table: str | None = None
    size: Size | None = None

    def unknown(self, answer: Answer, names: str) -> ReplicationError:
        """The error where no commit that was looked at had it: the name, or the SQL, must be mistyped."""
        if isinstance(answer, Rows | Count) and answer.refusal:
            return QueryError(f"{answer.refusal} So it is at every commit that was looked at.")
        return NoRestorePointError(
            f"No commit that was looked at has a table or view {self.table}. The last one has {names}."
        )


def is_known(answer: Answer) -> bool:
    """False for an answer that what is asked about is not there, or that SQLite refuses the statement."""
    return answer.is_known if isinstance(answer, Rows | Count) else bool(answer)


def is_empty(statement: str) -> bool:
    """True for SQL without a statement in it: comments alone."""
    return not _COMMENT.sub("", statement).replace(";", "").strip()


def gone(table: str) -> Wanted:
    """A table, or a view, that was dropped or renamed."""
    return Wanted(f"{table} went", _is_there(table), lambda was, became: bool(was and not became), table)


def any_gone() -> Wanted:
    """Any table, or view, that was dropped or renamed."""

    def matches(was: Answer, became: Answer) -> bool:
        return isinstance(was, frozenset) and isinstance(became, frozenset) and bool(was - became)

    return Wanted("a table went", _names, matches)


def appeared(table: str) -> Wanted:
    """A table, or a view, that was made."""
    return Wanted(f"{table} appeared", _is_there(table), lambda was, became: bool(became and not was), table)


def fell(table: str, rows: int) -> Wanted:
    """A table that lost so many rows at least; one that is gone has none."""

    def lost(was: Answer, became: Answer) -> int:
        return was.rows - became.rows if isinstance(was, Count) and isinstance(became, Count) else 0

    words = f"{table} lost {rows} rows or more"
    return Wanted(words, lambda query: _count(query, table), lambda *pair: lost(*pair) >= rows, table, lost)


def row(table: str, key: str) -> Wanted:
    """A row, by its primary key or its rowid, that came, changed or went."""
    return Wanted(f"row {key} of {table} changed", lambda query: _row(query, table, key), _differ, table)


def sql(statement: str) -> Wanted:
    """Any statement that only reads, whose answer changed."""
    return Wanted("the answer changed", lambda query: _rows(query, statement), _differ)


def names_of(query: Query) -> str:
    """The first tables and views of a database, in words."""
    statement = f"SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') LIMIT {NAMES_SHOWN_MAX + 1}"
    names = [str(name) for (name,) in query.rows(statement, SECONDS_MAX)]
    more = ["…"] if len(names) > NAMES_SHOWN_MAX else []
    return ", ".join(names[:NAMES_SHOWN_MAX] + more) or "none"


def _differ(was: Answer, became: Answer) -> bool:
    return was != became


def _names(query: Query) -> frozenset[str]:
    statement = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
    return frozenset(str(name) for (name,) in query.rows(statement, SECONDS_MAX))


def _is_there(table: str) -> Callable[[Query], bool]:
    text = literal(table)
    statement = f"SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = {text} COLLATE NOCASE"
    return lambda query: bool(list(query.rows(statement, SECONDS_MAX)))


def _count(query: Query, table: str) -> Count:
    if not _is_there(table)(query):
        return Count(0, False)
    try:
        [(count,)] = query.rows(f"SELECT count(*) FROM main.{quoted(table)}", SECONDS_MAX)
    except StatementError as error:
        # A view of a table that is gone.
        return Count(0, False, f"{error}.")
    return Count(int(count))


def _row(query: Query, table: str, key: str) -> Rows:
    """A table that is not there has no such row, nor has one with another key."""
    if not _is_there(table)(query):
        return _none("")
    name = literal(table)
    listed = f"SELECT max(strict), max(type) FROM pragma_table_list({name}) WHERE schema = 'main'"
    try:
        [(is_strict, kind)] = query.rows(listed, SECONDS_MAX)
        found = list(query.rows(f"SELECT name, type, pk FROM pragma_table_xinfo({name}) ORDER BY pk", SECONDS_MAX))
    except StatementError as error:
        return _none(f"{error}.")
    columns = [Column(str(column), str(declared), bool(is_strict)) for column, declared, pk in found if pk]
    parts = parts_of(key, len(columns) or 1)
    if columns and len(parts) != len(columns):
        names = ", ".join(column.name for column in columns)
        return _none(f"The key of {table} is {names}: give a value for each with commas between them, as in CSV.")
    if columns:
        return _rows(query, f"SELECT * FROM main.{quoted(table)} WHERE {condition(columns, parts)}")
    rowid = rowid_name([str(column) for column, _, _ in found])
    if rowid is None or kind == "view":
        return _none(f"{table} has neither a primary key nor a rowid that can be asked for: ask for the row by -sql.")
    return _rows(query, f"SELECT * FROM main.{quoted(table)} WHERE {rowid} = {literal(key)}")


def _rows(query: Query, statement: str) -> Rows:
    digest, shown, count = _digest(), [], 0
    try:
        for found in query.rows(statement, SECONDS_MAX):
            if count < ROWS_SHOWN_MAX:
                shown.append(", ".join(map(_text, found)))
            digest.update(repr(found).encode("utf-8", "backslashreplace") + b"\n")
            count += 1
    except StatementError as error:
        if _IS_NO_SQL.fullmatch(str(error)):
            raise
        # A table that is not there yet is an answer.
        return Rows("refused", f"{error}.", False, f"{error}.")
    more = f" … {count} rows" if count > ROWS_SHOWN_MAX else ""
    text = " | ".join(shown) or "no rows"
    return Rows(digest.hexdigest(), text[:TEXT_CHARS_MAX] + more)


def _none(words: str) -> Rows:
    """The answer "no rows": that a table is not there is the same answer as that it lacks the row."""
    return Rows(_digest().hexdigest(), words or "no rows", False, words)


def _digest() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=16)


def _text(value: object) -> str:
    return f"x'{value.hex()}'" if isinstance(value, bytes) else "NULL" if value is None else str(value)
