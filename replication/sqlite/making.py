"""Statements of another database's schema, run in this one: each makes one thing, and does nothing else.

A schema comes from a replica, and what is in that is not believed. SQLite refuses a schema with more than that in it
when it loads it; nothing here depends on that.
"""

import re

import apsw

from replication.errors import BringBackError

_MAKES = re.compile(r"\s*CREATE\s+(TABLE|VIRTUAL\s+TABLE|INDEX|UNIQUE\s+INDEX|TRIGGER)\b", re.IGNORECASE)


def make_one(connection: apsw.Connection, sql: str) -> None:
    """Make a table, an index or a trigger. Raises BringBackError for any other text, and apsw.Error."""
    cursor = connection.cursor()
    statements = 0

    def is_first(cursor: apsw.Cursor, text: str, bindings: object) -> bool:
        nonlocal statements
        statements += 1
        if statements > 1 or not _MAKES.match(text):
            raise BringBackError(
                f"The schema of that moment has more in it than what makes a table: {text[:80]!r}. Nothing was changed."
            )
        return True

    cursor.exec_trace = is_first
    try:
        cursor.execute(sql).fetchall()
    finally:
        cursor.close(True)
