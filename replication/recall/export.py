"""Staged rows as SQL or CSV, for who would rather bring them in another way. Texts come out as they are stored.

SQL makes tables again that are gone, and names columns, so that it fits a table that has others besides. A text that is
not valid, or has a zero in it, is written by its bytes.
"""

import csv
import io
from collections.abc import Iterator, Mapping

from replication.errors import UsageError
from replication.sqlite.brought import OnConflict
from replication.sqlite.shape import quoted
from replication.sqlite.stage import Stage, Staged

_VERBS: Mapping[OnConflict, str] = {
    "skip": "INSERT OR IGNORE",
    "replace": "INSERT OR REPLACE",
    "abort": "INSERT",
}
_CODECS = {"UTF-8": "utf-8", "UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}


def sql_lines(stage: Stage, on_conflict: OnConflict, gone: frozenset[str] | None) -> Iterator[str]:
    """Statements, one transaction. `gone` are the tables that are made again; None if that is not known."""
    yield "BEGIN;"
    # Parents and children may come in any order.
    yield "PRAGMA defer_foreign_keys=ON;"
    for staged in stage.tables:
        if gone is None or staged.table.name in gone:
            made = [staged.table.sql, *(index.sql for index in staged.table.indexes)]
            for statement in made:
                text = f"{statement};"
                # As a comment where it is not known whether the table is gone: whoever runs the file decides.
                yield text if gone is not None else "-- " + text.replace("\n", "\n-- ")
        yield from _inserts(stage, staged, _VERBS[on_conflict])
        if gone is not None and staged.table.name in gone:
            yield from (f"{trigger.sql};" for trigger in staged.table.triggers)
    yield "COMMIT;"


def csv_lines(stage: Stage) -> Iterator[str]:
    """A line of names, and one for each row: of one table, for others have other columns. Raises UsageError."""
    if len(stage.tables) != 1:
        names = ", ".join(staged.table.name for staged in stage.tables)
        raise UsageError(f"CSV has the rows of one table, and these are of {names or 'none'}: name one, or write SQL")
    [staged] = stage.tables
    yield _csv([column.name for column in staged.table.columns])
    for _, texts, *values in stage.rows(staged):
        yield _csv([_plain(value, flag == "1", stage.encoding) for value, flag in zip(values, texts, strict=True)])


def _inserts(stage: Stage, staged: Staged, verb: str) -> Iterator[str]:
    table = staged.table
    written = [place for place, column in enumerate(table.columns) if not column.is_generated]
    names = [quoted(table.columns[place].name) for place in written]
    has_rowid = bool(table.rowid) and not table.key
    names = [table.rowid, *names] if has_rowid else names
    begin = f"{verb} INTO {quoted(table.name)}({', '.join(names)}) VALUES("
    for rowid, texts, *values in stage.rows(staged):
        literals = [_literal(values[place], texts[place] == "1", stage.encoding) for place in written]
        own = [_literal(rowid, False, stage.encoding)] if has_rowid else []
        yield f"{begin}{', '.join([*own, *literals])});"


def _literal(value: object, is_text: bool, encoding: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        if not is_text:
            return f"x'{value.hex()}'"
        try:
            text = value.decode(_CODECS[encoding])
            if "\0" not in text:
                return "'" + text.replace("'", "''") + "'"
        except UnicodeDecodeError:
            pass
        return f"CAST(x'{value.hex()}' AS TEXT)"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        # SQL has no word for what is infinite.
        return "9e999" if value > 0 else "-9e999"
    return repr(value)


def _plain(value: object, is_text: bool, encoding: str) -> str:
    if isinstance(value, bytes):
        return value.decode(_CODECS[encoding], "replace") if is_text else f"x'{value.hex()}'"
    return "" if value is None else str(value)


def _csv(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
