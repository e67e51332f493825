"""Rows of a moment, read from its pages into a file of ours: nothing else is needed of the moment after that.

Its promise: only what is read costs, nothing is kept in memory, and the disk keeps its reserve.
"""

import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from replication.errors import BringBackError
from replication.history import keys
from replication.history.contract import Moment
from replication.history.diff.contract import Pair, Row
from replication.history.diff.diff import Difference
from replication.recall.wanted import Pick, Wanted
from replication.sqlite.moment import Query, opened
from replication.sqlite.shape import Table, encoding_of, sequence_of, table_names, table_of
from replication.sqlite.stage import Stage, selected
from replication.storage.closing import closing_iterator

NAMES_SHOWN_MAX = 12
_ENCODINGS = {"UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}

StagedRow = tuple[Any, ...]


def encoding_at(moment: Moment, stop: threading.Event) -> str:
    """How texts are stored in the database of a moment. Raises whatever reading it raises."""
    with opened(moment, stop) as query:
        return encoding_of(query.rows)


def stage_picked(moment: Moment, wanted: Wanted, stage: Stage, stop: threading.Event) -> None:
    """Stage the rows that are picked. Raises BringBackError, QueryError, and whatever reading the moment raises."""
    with opened(moment, stop) as query:
        for name, picks in wanted.by_table:
            table = _there(query, name)
            where = " OR ".join(_where(table, pick) for pick in picks)
            with closing(_read(query, table, where)) as rows:
                stage.add(table, sequence_of(query.rows, table.name), rows)


def stage_lost(difference: Difference, wanted: Wanted, stage: Stage, stop: threading.Event) -> None:
    """Stage what the later of two moments lacks. Raises as `stage_picked`."""
    with opened(difference.span.before, stop) as query:
        names = [name for name, _ in wanted.by_table]
        pairs = [pair for name in names for pair in difference.pairs(name)] if names else difference.pairs()
        for pair in pairs:
            if pair.before is not None:
                table = _there(query, pair.before.name)
                if pair.after is not None:
                    # It may be called otherwise now.
                    table = replace(table, name=pair.after.name)
                with closing(_lost(difference, pair, table, encoding_of(query.rows))) as rows:
                    first = next(rows, None)
                    # A table that was empty, and went, comes back empty.
                    if first is not None or pair.after is None:
                        stage.add(table, sequence_of(query.rows, table.name), _again(first, rows))


def _there(query: Query, name: str) -> Table:
    table = table_of(query.rows, name)
    if table is None or name.lower().startswith("sqlite_"):
        names = table_names(query.rows)
        more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
        raise BringBackError(
            f"There was no table {name} then; there were: {', '.join(names[:NAMES_SHOWN_MAX]) or 'none'}{more}."
        )
    return table


def _where(table: Table, pick: Pick) -> str:
    if pick.where:
        # A comment may end it.
        return f"({pick.where}\n)"
    if pick.key is None:
        return "1"
    parts = keys.parts_of(pick.key, len(table.key) or 1)
    if table.key and len(parts) != len(table.key):
        names = ", ".join(table.key)
        raise BringBackError(
            f"The key of {table.name} is {names}: give a value for each with commas between, as in CSV."
        )
    if table.key:
        columns = [
            keys.Column(item.name, item.declared, table.is_strict) for item in map(table.column, table.key) if item
        ]
        return keys.condition(columns, parts)
    if not table.rowid:
        raise BringBackError(f"{table.name} has neither a primary key nor a row number: pick the row with -where.")
    return f"{table.rowid} = {keys.literal(pick.key)}"


def _read(query: Query, table: Table, where: str) -> Generator[StagedRow, None, None]:
    with closing_iterator(query.rows(selected(table, "" if where == "1" else where))) as rows:
        for row in rows:
            if not isinstance(row[1], str) or len(row[1]) != len(table.columns):
                raise BringBackError(f"That is no condition on {table.name}: give what may stand after WHERE.")
            yield row


def _lost(difference: Difference, pair: Pair, table: Table, encoding: str) -> Generator[StagedRow, None, None]:
    assert pair.before is not None
    places = {name.lower(): place for place, name in enumerate(pair.before.columns)}
    order = [places.get(column.name.lower()) for column in table.columns]
    by_rowid = not pair.has_identity or (table.is_rowid_the_key and len(pair.key) == 1)
    with closing_iterator(difference.rows(pair)) as changes:
        for change in changes:
            if change.before is not None and change.after is None:
                row = _encoded(change.before, order, encoding)
                rowid = change.key[0] if by_rowid else None
                yield (rowid, *row)


def _encoded(values: Row, order: list[int | None], encoding: str) -> StagedRow:
    """Which values are texts, and all of them in the order of the columns: texts as bytes."""
    texts = []
    found: list[object] = []
    for place in order:
        value = values[place] if place is not None else None
        texts.append("1" if isinstance(value, str) else "0")
        if isinstance(value, str):
            how = _ENCODINGS.get(encoding)
            value = value.encode(how, "surrogatepass") if how else value.encode("utf-8", "surrogateescape")
        found.append(value)
    return ("".join(texts), *found)


def _again(first: StagedRow | None, rows: Iterator[StagedRow]) -> Iterator[StagedRow]:
    if first is not None:
        yield first
        yield from rows
