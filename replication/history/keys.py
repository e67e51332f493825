"""The key of a row as a person types it, made into SQL that finds the row. Pure.

Its promise: a key that SQLite shows, typed as it is shown, finds the row. The same text may stand for two values: 7 for
the number and the text, x'41' for the blob and the text. Where the column has an affinity SQLite makes of the text what
the column holds; where it has none, each value is looked for.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
"""As SQLite shows numbers: 007 is a text, and no other way to write 7."""
_BLOB = re.compile(r"[xX]'((?:[0-9a-fA-F]{2})*)'")
_WITH_AFFINITY = ("INT", "CHAR", "CLOB", "TEXT")
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a key, and the type that it was declared with; `is_strict` in a STRICT table."""

    name: str
    declared: str
    is_strict: bool = False

    @property
    def has_affinity(self) -> bool:
        """False if it holds any value just as it was put there. https://www.sqlite.org/datatype3.html#determination_of_column_affinity"""
        declared = self.declared.upper()
        if any(part in declared for part in _WITH_AFFINITY):
            return True
        return bool(declared) and "BLOB" not in declared and not (self.is_strict and declared == "ANY")


def parts_of(key: str, columns: int) -> Sequence[str]:
    """The values of a key of several columns, with commas between them as in CSV; a key of one column is one value."""
    if columns == 1:
        return (key,)
    try:
        [parts] = csv.reader([key], strict=True)
    except (csv.Error, ValueError):
        return ()
    return parts


def condition(columns: Sequence[Column], parts: Sequence[str]) -> str:
    """SQL that is true of the rows with this key."""
    pairs = zip(columns, parts, strict=True)
    return " AND ".join(f"{quoted(column.name)} IN ({', '.join(_forms(column, text))})" for column, text in pairs)


def rowid_name(columns: Sequence[str]) -> str | None:
    """A name by which SQLite knows the rowid of a table with these columns; None if all of them are columns."""
    taken = {name.lower() for name in columns}
    return next((name for name in _ROWID_NAMES if name not in taken), None)


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL has it; one with NUL in it has no other way."""
    if "\0" in text:
        return f"CAST(x'{text.encode().hex()}' AS TEXT)"
    return "'" + text.replace("'", "''") + "'"


def _forms(column: Column, text: str) -> list[str]:
    """The values that this text may stand for, as SQL. A text that cannot be typed is written as its blob, too."""
    forms = [literal(text)]
    if not column.has_affinity and _NUMBER.fullmatch(text):
        forms.append(text)
    if blob := _BLOB.fullmatch(text):
        forms += [f"x'{blob[1]}'", f"CAST(x'{blob[1]}' AS TEXT)"]
    return forms
