"""Staged rows that are there as they were, which nobody needs back: taken out of the stage, in SQLite.

Rows with a key are the same if all values are. Rows without one are told apart by all their values: of those that are
alike, as many are lost as there are fewer. So it does not matter that VACUUM gives such rows other numbers.
"""

import threading

import apsw

from replication.errors import RestoreCancelledError
from replication.sqlite.how import of_the_application
from replication.sqlite.matching import Match, match, unfit
from replication.sqlite.rows import CANCELLED
from replication.sqlite.shape import joined, quoted, table_of
from replication.sqlite.stage import SCHEMA, Stage, Staged
from replication.sqlite.statements import same_key, same_values

_STEPS_BETWEEN_LOOKS = 20_000


def drop_same(connection: apsw.Connection, stage: Stage, stop: threading.Event) -> dict[int, str]:
    """Take them out. The stage is attached to the connection, to be written to.

    Return of which tables, by their numbers, SQLite cannot compare the rows, for it lacks what the application brings.

    Raises RestoreCancelledError once `stop` is set, and apsw.Error.
    """
    connection.set_progress_handler(stop.is_set, _STEPS_BETWEEN_LOOKS)
    try:
        return _drop_all(connection, stage)
    except apsw.InterruptError:
        raise RestoreCancelledError(CANCELLED) from None
    finally:
        connection.set_progress_handler(None)


def _drop_all(connection: apsw.Connection, stage: Stage) -> dict[int, str]:
    refusals: dict[int, str] = {}
    for staged in stage.tables:
        now = table_of(connection.execute, staged.table.name)
        fits = match(staged.table, now) if now is not None and not unfit(staged.table) else ""
        if isinstance(fits, str):
            continue
        try:
            if fits.has_key:
                _drop(connection, staged, fits, same_key(fits))
            if not fits.by_rowid:
                _drop_alike(connection, staged, fits)
        except apsw.SQLError as error:
            # As a collation.
            refusals[staged.number] = of_the_application(error)
    return refusals


def _drop(connection: apsw.Connection, staged: Staged, fits: Match, same_row: str) -> None:
    same = same_values(fits)
    found = f"SELECT s.id FROM {staged.name} s CROSS JOIN main.{quoted(fits.table.name)} m ON {same_row} WHERE {same}"
    connection.execute(f"DELETE FROM {staged.name} WHERE id IN ({found})")


def _drop_alike(connection: apsw.Connection, staged: Staged, fits: Match) -> None:
    """Remove from the stage what the table has as well, of rows without a key or with NULL in it: one for each."""
    name, table = staged.name, fits.table
    keys = " OR ".join(f"s.c{place} IS NULL" for place, _ in fits.key) or "1"
    if not list(connection.execute(f"SELECT 1 FROM {name} s WHERE {keys} LIMIT 1")):
        return
    # Most lie where they did: those need no search.
    spoken_for = f"{SCHEMA}.there{staged.number}"
    connection.execute(f"DROP TABLE IF EXISTS {spoken_for}")
    connection.execute(f"DROP INDEX IF EXISTS {SCHEMA}.alike{staged.number}")
    connection.execute(f"CREATE TABLE {spoken_for}(rid INTEGER PRIMARY KEY)")
    terms = [f"s.c{place} IS +m.{quoted(column)}" for place, column in fits.columns]
    terms += [
        f"typeof(s.c{place}) = typeof(m.{quoted(column)})"
        for place, column in fits.columns
        if column not in fits.retyped
    ]
    same = joined(terms, "AND")
    if fits.keeps_rowid:
        here = f"{name} s CROSS JOIN main.{quoted(table.name)} m ON m.{table.rowid} = s.rid WHERE ({keys}) AND {same}"
        connection.execute(f"INSERT INTO {spoken_for} SELECT s.rid FROM {here}")
        connection.execute(f"DELETE FROM {name} AS s WHERE ({keys}) AND rid IN (SELECT rid FROM {spoken_for})")
    columns = ", ".join(f"c{place}" for place, _ in fits.columns)
    connection.execute(f"CREATE INDEX {SCHEMA}.alike{staged.number} ON r{staged.number}({columns})")
    elsewhere = (
        f"SELECT m.{table.rowid} FROM main.{quoted(table.name)} m WHERE "
        f"EXISTS (SELECT 1 FROM {name} s WHERE ({keys}) AND {same}) "
        f"AND NOT EXISTS (SELECT 1 FROM {spoken_for} t WHERE t.rid = m.{table.rowid})"
    )
    alike = f"SELECT s.id FROM {name} s, main.{quoted(table.name)} m WHERE m.{table.rowid} = ? AND ({keys}) AND {same}"
    for (rowid,) in connection.execute(elsewhere):
        connection.execute(f"DELETE FROM {name} WHERE id = ({alike} LIMIT 1)", (rowid,))
    connection.execute(f"DROP INDEX {SCHEMA}.alike{staged.number}")
    connection.execute(f"DROP TABLE {spoken_for}")
