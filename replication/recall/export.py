"""Staged rows as SQL or CSV, for who would rather bring them in another way. Texts come out as they are stored.

Its promise: SQLite makes of the SQL what bringing the rows back makes of them: a row goes where it fits, and no other
row is lost, replaced or deleted for it but the one with its key, if that is to give way. SQL makes tables again that
are gone, and names columns, so that it fits a table that has others besides. A text that is not valid, or has in it
what a shell changes, is written by its bytes.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from replication.errors import UsageError
from replication.sqlite.brought import OnConflict
from replication.sqlite.fitting import Fitting
from replication.sqlite.how import INSERTED, REFUSED, STAYS
from replication.sqlite.matching import Match
from replication.sqlite.shape import quoted, text
from replication.sqlite.stage import Stage, Staged

_CODECS = {"UTF-8": "utf-8", "UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}
_CHANGED_BY_SHELLS = ("\0", "\r")


def sql_lines(
    stage: Stage, on_conflict: OnConflict, fittings: Sequence[Fitting], outcomes: Sequence[bytearray] = ()
) -> Iterator[str]:
    """Statements, one transaction. `outcomes` are what a preview said of each row, by table and number of the row."""
    if on_conflict == "abort":
        yield "-- All of it or nothing: load it with sqlite3 -bail, so that it ends at the first row that has no place."
    # Else orphans would come, too. In a transaction this does nothing.
    yield "PRAGMA foreign_keys=ON;"
    yield "BEGIN;"
    # Parents and children may come in any order.
    yield "PRAGMA defer_foreign_keys=ON;"
    for staged, fitting in zip(stage.tables, fittings, strict=True):
        said = outcomes[staged.number] if outcomes else b""
        if fitting.refusal:
            yield _remark(f"{fitting.refusal}: these rows may not fit.")
        elif fitting.is_made is None and not fitting.fits.has_key:
            yield _remark(f"{staged.table.name} has no key: rows that are there already would come once more.")
        if fitting.is_made is not False:
            for statement in (staged.table.sql, *(index.sql for index in staged.table.indexes)):
                # As a comment where it is not known whether the table is gone: whoever runs the file decides.
                # A comment may end it, which would swallow the semicolon.
                yield f"{statement}\n;" if fitting.is_made else _remark(f"{statement};")
        yield from _inserts(stage, staged, fitting.fits, on_conflict, said)
        yield from _sequence(staged, fitting.fits)
        if fitting.is_made:
            yield from (f"{trigger.sql}\n;" for trigger in staged.table.triggers)
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


def _inserts(
    stage: Stage, staged: Staged, fits: Match, on_conflict: OnConflict, said: bytes | bytearray
) -> Iterator[str]:
    for id, (rowid, texts, *values) in zip(stage.numbers(staged), stage.rows(staged), strict=True):
        literals = [_literal(values[place], texts[place] == "1", stage.encoding) for place, _ in fits.columns]
        outcome = said[id] if id < len(said) else None
        # One that came after the preview stays.
        how = "keep" if on_conflict == "replace" and outcome == INSERTED else on_conflict
        for statement in (_by_rowid if fits.by_rowid else _by_key)(fits, rowid, literals, how):
            if outcome in (REFUSED, STAYS):
                yield _remark(f"refused by the database as it is: {statement}")
            else:
                yield statement


def _by_key(fits: Match, rowid: object, literals: list[str], how: str) -> Iterator[str]:
    """The statement for a row of an ordinary table."""
    table = fits.table
    # As a row is brought back (sqlite/statements.py), whatever the table says itself.
    verb = " OR ABORT"
    names = [quoted(name) for _, name in fits.columns]
    if fits.keeps_rowid and isinstance(rowid, int):
        # Another number, if a row has this one.
        there = f"SELECT 1 FROM {quoted(table.name)} WHERE {table.rowid} = {rowid}"
        names, literals = [table.rowid, *names], [f"(SELECT {rowid} WHERE NOT EXISTS ({there}))", *literals]
    # A key that is equal may be spelled in another way, but not a number.
    keys = {name.lower() for _, name in fits.key if table.is_rowid_the_key}
    target = ", ".join(quoted(name) for _, name in fits.key)
    if table.key_collations:
        both = zip(fits.key, table.key_collations, strict=True)
        target = ", ".join(f"{quoted(name)} COLLATE {quoted(collation)}" for (_, name), collation in both)
    changes = [f"{quoted(name)} = excluded.{quoted(name)}" for _, name in fits.columns if name.lower() not in keys]
    upsert = ""
    if how == "skip":
        # Any constraint on what must be the only one: its row stays, whatever the table says itself.
        verb, upsert = "", " ON CONFLICT DO NOTHING"
    elif target and how in ("replace", "keep"):
        action = f"UPDATE SET {', '.join(changes)}" if how == "replace" and changes else "NOTHING"
        upsert = f" ON CONFLICT({target}) DO {action}"
    yield f"INSERT{verb} INTO {quoted(table.name)}({', '.join(names)}) VALUES({', '.join(literals)}){upsert};"


def _by_rowid(fits: Match, rowid: object, literals: list[str], how: str) -> Iterator[str]:
    """Those for a row of a virtual table, which knows no ON CONFLICT clause."""
    table, names = fits.table, [quoted(name) for _, name in fits.columns]
    name, number = quoted(table.name), _literal(rowid, False, "UTF-8")
    if how == "replace":
        changes = ", ".join(f"{column} = {value}" for column, value in zip(names, literals, strict=True))
        yield f"UPDATE {name} SET {changes} WHERE {table.rowid} = {number};"
    there = f" WHERE NOT EXISTS (SELECT 1 FROM {name} WHERE {table.rowid} = {number})" if how != "abort" else ""
    columns = ", ".join([table.rowid, *names])
    yield f"INSERT INTO {name}({columns}) SELECT {', '.join([number, *literals])}{there};"


def _sequence(staged: Staged, fits: Match) -> Iterator[str]:
    """The number that AUTOINCREMENT gave out last, if it gave out no larger one since."""
    if staged.sequence is not None and "AUTOINCREMENT" in fits.table.sql.upper():
        name, last = text(fits.table.name), staged.sequence
        there = f"SELECT 1 FROM sqlite_sequence WHERE name = {name}"
        yield f"UPDATE sqlite_sequence SET seq = {last} WHERE name = {name} AND seq < {last};"
        yield f"INSERT INTO sqlite_sequence(name, seq) SELECT {name}, {last} WHERE NOT EXISTS ({there});"


def _remark(words: str) -> str:
    return "-- " + words.replace("\n", "\n-- ")


def _literal(value: object, is_text: bool, encoding: str) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        if not is_text:
            return f"x'{value.hex()}'"
        try:
            found = value.decode(_CODECS[encoding])
            if not any(character in found for character in _CHANGED_BY_SHELLS):
                return text(found)
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
    # Python quotes what has a character of the end of a line in it, and only that.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n")
