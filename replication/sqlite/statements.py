"""The SQL that brings rows from a stage into a table of the live database, made once for each table. Pure.

In the stage a row has a number, `id`, and its values are in the columns c0, c1, and so on. A statement is for one row,
by its number, or for all rows from one number to another.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from replication.sqlite.matching import Match
from replication.sqlite.shape import joined, quoted
from replication.sqlite.stage import Staged, as_bytes

_OR_ABORT = " OR ABORT"
"""Whatever a table says itself of a conflict, no row goes for it, and not all of the transaction."""


@dataclass(frozen=True, slots=True)
class Statements:
    """Each takes the number of a row, or two numbers where it says "from one to another". "" is one not needed."""

    ids: str
    """The numbers of the rows from one to another."""
    count: str
    """How many rows there are from one to another."""
    any_taken: str
    """Gives a row if the key or rowid of any row from one to another is taken in the table."""
    insert_all: str
    """Inserts the rows from one to another."""
    lookup: str
    """Gives whether the row of the table with the same key is the same in all, and whether its key is the same to the
    bit, and not only equal; no row if no row has that key."""
    before: str
    """Gives every row of the table that has the key of one of the stage, after the number of that; "" without a key."""
    is_rowid_taken: str
    insert: str
    """With its rowid, if rows keep theirs."""
    insert_without_rowid: str
    update: str
    """All but the key; "" if all columns are part of it."""
    update_with_key: str
    """For a key that is equal, and spelled in another way."""
    may_end_everything: bool
    """True if a trigger may roll back all that was done."""
    may_say_itself: bool
    """True if a row may be written as `itself`: there are triggers, and the table does not roll back at a conflict."""


def statements(fits: Match, staged: Staged) -> Statements:
    """The statements for rows that fit into a table."""
    table, source = fits.table, staged.name
    name = f"main.{quoted(table.name)}"
    names = [quoted(column) for _, column in fits.columns]
    values = [f"c{place}" for place, _ in fits.columns]
    plain = f"INSERT{_OR_ABORT} INTO {name}({', '.join(names)}) SELECT {', '.join(values)} FROM {source}"
    has_rowid = fits.by_rowid or fits.keeps_rowid
    both = ", ".join([table.rowid, *names])
    numbered = f"INSERT{_OR_ABORT} INTO {name}({both}) SELECT {', '.join(['rid', *values])} FROM {source}"
    insert = numbered if has_rowid else plain
    by_rowid = f"m.{table.rowid} = s.rid"
    same_row = same_key(fits)
    keys = {key.lower() for _, key in fits.key}
    all_changes = [f"{quoted(column)} = s.c{place}" for place, column in fits.columns]
    changes = [
        change for change, (_, column) in zip(all_changes, fits.columns, strict=True) if column.lower() not in keys
    ]
    of_key = [(place, column) for place, column in fits.columns if column.lower() in keys]
    update = f"UPDATE{_OR_ABORT} {name} AS m SET "
    of_row = f" FROM {source} s WHERE s.id = ? AND {same_row}"
    found = f"{same_values(fits)}, {_same(fits, of_key)}"
    taken = [same_row] * fits.has_key + [by_rowid] * (has_rowid and not fits.by_rowid)
    stored = [f"m.{quoted(column.name)}" for column in table.columns if not column.is_generated]
    span = "id BETWEEN ? AND ?"
    return Statements(
        ids=f"SELECT id FROM {source} WHERE {span} ORDER BY id",
        count=f"SELECT count(*) FROM {source} WHERE {span}",
        any_taken=_any_of([f"{source} s CROSS JOIN {name} m ON {same} WHERE s.id BETWEEN ?1 AND ?2" for same in taken]),
        insert_all=f"{insert} WHERE {span} ORDER BY id",
        lookup=f"SELECT {found} FROM {source} s CROSS JOIN {name} m ON {same_row} WHERE s.id = ?"
        if fits.has_key
        else "",
        before=f"SELECT s.id, {as_bytes(stored)} FROM {source} s CROSS JOIN {name} m ON {same_row}"
        if fits.has_key
        else "",
        is_rowid_taken=f"SELECT 1 FROM {source} s CROSS JOIN {name} m ON {by_rowid} WHERE s.id = ?"
        if fits.keeps_rowid
        else "",
        insert=f"{insert} WHERE id = ?",
        insert_without_rowid=f"{plain} WHERE id = ?",
        update=f"{update}{', '.join(changes)}{of_row}" if changes else "",
        update_with_key=f"{update}{', '.join(all_changes)}{of_row}",
        may_end_everything=any("ROLLBACK" in trigger.sql.upper() for trigger in table.triggers),
        may_say_itself=bool(table.triggers) and "ROLLBACK" not in table.sql.upper(),
    )


def same_key(fits: Match) -> str:
    """True of a row m of the table that has the key of the row s of the stage, as the key tells rows apart."""
    if fits.by_rowid:
        return f"m.{fits.table.rowid} = s.rid"
    collations = fits.table.key_collations or ("",) * len(fits.key)
    terms = []
    for (place, key), collation in zip(fits.key, collations, strict=True):
        # A column may have another collation than the key: by that, rows would be one that are two.
        by = f" COLLATE {quoted(collation)}" if collation else ""
        terms.append(f"m.{quoted(key)} = s.c{place}{by}")
    return " AND ".join(terms)


def itself(statement: str) -> str:
    """The statement that leaves it to the table and its triggers what becomes of a conflict: a row may go for it."""
    return statement.replace(_OR_ABORT, "", 1)


def same_values(fits: Match) -> str:
    """True of a row m of the table that is as the row s of the stage, whatever the columns take for equal."""
    return _same(fits, fits.columns)


def _same(fits: Match, columns: Iterable[tuple[int, str]]) -> str:
    found = []
    for place, column in columns:
        name, value = f"m.{quoted(column)}", f"s.c{place}"
        found.append(f"{name} IS {value} COLLATE BINARY")
        if column not in fits.retyped:
            # 1 is not 1.0.
            found.append(f"typeof({name}) = typeof({value})")
    return joined(found, "AND") if found else "1"


def _any_of(sources: list[str]) -> str:
    return " UNION ALL ".join(f"SELECT * FROM (SELECT 1 FROM {item} LIMIT 1)" for item in sources) or "SELECT 1 WHERE 0"
