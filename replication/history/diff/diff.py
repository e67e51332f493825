"""What changed between two moments: the schema, and the rows of tables, one table after the other.

Its promise: rows that are alike in all columns that both moments have are no change, wherever they lie. It costs what
was written between both, and not what is there; where that is not so it says why. One thread at a time.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from replication.errors import QueryError
from replication.history.diff import compare
from replication.history.diff.contract import Pair, RowChange, SchemaChange, Skipped
from replication.history.diff.rows import side_of
from replication.history.diff.schema import Schema, changes, pairs, read_schema
from replication.history.diff.where import Finder
from replication.history.span import Span
from replication.sqlite.moment import opened


@dataclass(slots=True)
class Difference:
    """Two moments compared. `remarks` say what was not cheap, and what could not be told apart; they grow."""

    span: Span
    stop: threading.Event
    schema: tuple[SchemaChange, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    """Tables whose rows are not compared."""
    remarks: list[str] = field(default_factory=list)
    _pairs: tuple[Pair, ...] = ()
    _internal: frozenset[str] = frozenset()
    _finder: Finder = field(init=False)

    def __post_init__(self) -> None:
        """Read both schemas. Raises QueryError and what pages raise."""
        schemas = []
        for moment in (self.span.before, self.span.after):
            with opened(moment, self.stop) as query:
                schemas.append(read_schema(query))
        before, after = schemas
        self._pairs, skipped = pairs(before, after)
        self.schema = tuple(changes(before, after, self._pairs))
        self._internal = before.shadows | after.shadows
        self.skipped = (*skipped, *_virtual(before, after))
        shapes = tuple(before.shapes.values()), tuple(after.shapes.values())
        self._finder = Finder(self.span, shapes, self.stop, self.remarks.append)
        self.remarks.extend(self.span.remarks)

    def pairs(self, table: str | None = None) -> tuple[Pair, ...]:
        """The tables of both, or the one of this name, then or now. Raises QueryError if there is none.

        Those that SQLite and its virtual tables keep for themselves are compared only if they are named.
        """
        if table is None:
            return tuple(pair for pair in self._pairs if pair.name.lower() not in self._internal)
        name = table.lower()
        found = tuple(pair for pair in self._pairs if name in (pair.name.lower(), pair.renamed_from.lower()))
        if not found:
            why = next((item.why for item in self.skipped if item.name.lower() == name), "")
            raise QueryError(
                f"The rows of {table} are not compared: {why}."
                if why
                else f"There is no table {table} at {self.span.begin} or at {self.span.end}."
            )
        return found

    def count(self, pair: Pair) -> int | None:
        """How many rows a table has that was there at one moment only; None if it was at both: then only `rows` tells.

        Raises QueryError and what pages raise.
        """
        if pair.before is not None and pair.after is not None:
            return None
        shape, moment = (pair.before, self.span.before) if pair.after is None else (pair.after, self.span.after)
        assert shape is not None
        with side_of(moment, self.stop) as side:
            return side.count(shape)

    def rows(self, pair: Pair) -> Iterator[RowChange]:
        """Yield the rows of a table that came, went or changed. Raises QueryError and what pages raise."""
        tell: Callable[[str], None] = self.remarks.append
        with side_of(self.span.before, self.stop) as before, side_of(self.span.after, self.stop) as after:
            yield from compare.changes(pair, before, after, self._finder.wanted(pair), tell)


def row_changes(difference: Difference, table: str | None = None) -> Iterator[RowChange]:
    """Yield all rows that came, went or changed between both moments, table by table, or those of one.

    Raises QueryError and what pages raise.
    """
    for pair in difference.pairs(table):
        yield from difference.rows(pair)


def _virtual(before: Schema, after: Schema) -> Iterator[Skipped]:
    for name, why in sorted({**before.virtual, **after.virtual}.items()):
        yield Skipped(name, why)
