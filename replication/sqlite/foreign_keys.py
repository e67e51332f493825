"""Foreign keys among rows that are brought back: parents first, and which rows have none.

SQLite itself keeps the count of what fails, and refuses to commit it; here it is found out which rows those are.
"""

from collections.abc import Sequence

import apsw

from replication.errors import BringBackError
from replication.sqlite.how import INSERTED, UPDATED
from replication.sqlite.rows import TableRows
from replication.sqlite.shape import quoted


def in_order(tables: Sequence[TableRows]) -> list[TableRows]:
    """Parents before their children, as far as that can be: so SQLite need not look for children again."""
    left = {_name(rows): rows for rows in tables}
    found: list[TableRows] = []
    while left:
        free = [name for name, rows in left.items() if not (_parents(rows) - {name}) & left.keys()]
        for name in free or [next(iter(left))]:
            found.append(left.pop(name))
    return found


def violators(connection: apsw.Connection, tables: Sequence[TableRows]) -> list[set[int]]:
    """The rows of each table that were brought and whose parents are missing, those whose parents are such rows too.

    Takes them out of the database again if there are some: the transaction is of no use then. Raises BringBackError
    if foreign keys fail that are none of theirs.
    """
    found: list[set[int]] = [set() for _ in tables]
    # Where foreign keys failed before, the count may say none while some of ours do.
    has_failed = bool(connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)[0])
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    try:
        is_new = True
        while is_new:
            is_new = False
            for rows, known in zip(tables, found, strict=True):
                failing = _failing(connection, rows) - known
                known |= failing
                is_new = is_new or bool(failing)
                for id in failing:
                    if not connection.in_transaction:
                        break
                    _take_out(connection, rows, id)
    finally:
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
    if not connection.in_transaction or (has_failed and not any(found)):
        raise BringBackError(
            "Foreign keys fail in rows that are not brought back, but changed by triggers or by what is replaced. "
            "Bring back less, or write the rows to a file with -o; nothing was changed."
        )
    return found


def _failing(connection: apsw.Connection, rows: TableRows) -> set[int]:
    found: set[int] = set()
    for reference in rows.fits.table.references if rows.fits is not None else ():
        places = rows.places(reference.columns)
        if places is None or len(reference.parent_columns) != len(places):
            continue
        there = " AND ".join(f"s.c{place} IS NOT NULL" for place in places)
        same = " AND ".join(
            f"p.{quoted(name)} = s.c{place}" for name, place in zip(reference.parent_columns, places, strict=True)
        )
        sql = (
            f"SELECT s.id FROM {rows.staged.name} s WHERE {there} AND NOT EXISTS "
            f"(SELECT 1 FROM main.{quoted(reference.table)} p WHERE {same})"
        )
        found |= {id for (id,) in connection.execute(sql) if rows.outcomes[id] in (INSERTED, UPDATED)}
    return found


def _take_out(connection: apsw.Connection, rows: TableRows, id: int) -> None:
    """Remove a row, so that those show whose parent it is. What keeps it there shows them the next time."""
    fits = rows.fits
    if fits is None or not fits.key or rows.outcomes[id] != INSERTED:
        return
    same = " AND ".join(
        f"{quoted(name)} = (SELECT c{place} FROM {rows.staged.name} WHERE id = {id})" for place, name in fits.key
    )
    try:
        connection.execute(f"DELETE FROM main.{quoted(fits.table.name)} WHERE {same}")
    except apsw.ConstraintError:
        return


def _name(rows: TableRows) -> str:
    return rows.staged.table.name.lower()


def _parents(rows: TableRows) -> set[str]:
    references = rows.fits.table.references if rows.fits is not None else ()
    return {reference.table.lower() for reference in references}
