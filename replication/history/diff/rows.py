"""The rows of a table at one moment, read by SQLite: those of some rowids, of some keys, or all.

Its promise: a value is told as it is stored, with its type; a text too that is not valid in the database's encoding.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from replication.history.contract import Moment
from replication.history.diff.contract import Row, Shape
from replication.history.diff.schema import spelled
from replication.history.questions import quoted
from replication.sqlite.moment import Query, Value, opened

RANGES_TOGETHER = 200
FLAGS_TOGETHER = 50
"""Columns whose kinds are told in one text: an expression may not be deeper than 1,000."""
_ENCODINGS = {2: "utf-16-le", 3: "utf-16-be"}
_ENCODING_AT = slice(56, 60)

Range = tuple[int, int]
"""Rowids from one to another, both among them."""
Keyed = tuple[int | None, Row]
"""A row with its rowid, if it has one."""

ROWID_MIN, ROWID_MAX = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Side:
    """One of both moments: one connection to stream with, one to look up with meanwhile."""

    moment: Moment
    encoding: str
    stream: Query
    lookup: Query

    def ranges(self, shape: Shape, wanted: Sequence[Range]) -> Iterator[Keyed]:
        """The rows of these ranges, which are in order and do not overlap, in order."""
        if not wanted:
            return
        rowid = f"t.{quoted(shape.rowid)}"
        for start in range(0, len(wanted), RANGES_TOGETHER):
            some = wanted[start : start + RANGES_TOGETHER]
            values = ", ".join(["(?, ?)"] * len(some))
            sql = (
                f"WITH w(a, b) AS (VALUES {values}) SELECT {rowid}, {_selected(shape)} FROM w CROSS JOIN "
                f"{spelled(shape)} t NOT INDEXED WHERE {rowid} BETWEEN w.a AND w.b ORDER BY w.a, {rowid}"
            )
            bounds = [bound for item in some for bound in item]
            yield from self._decoded(shape, self.stream.rows(sql, bindings=bounds))

    def everything(self, shape: Shape) -> Iterator[Keyed]:
        """All rows; those with rowids in order."""
        if shape.rowid:
            yield from self.ranges(shape, [(ROWID_MIN, ROWID_MAX)])
            return
        sql = f"SELECT NULL, {_selected(shape)} FROM {spelled(shape)} t NOT INDEXED"
        yield from self._decoded(shape, self.stream.rows(sql))

    def by_keys(
        self, shape: Shape, keys: Sequence[tuple[Row, int | None]], streamed: bool = False
    ) -> Iterator[tuple[int, Keyed]]:
        """The rows of these keys with the number of the key, in the order of the keys.

        A key with a NULL in it is no key to SQLite: such a row is looked up by its rowid, and has to have one, too.
        """
        query = self.stream if streamed else self.lookup
        plain = [(number, key) for number, (key, _) in enumerate(keys) if None not in key]
        found = dict(self._by_key(query, shape, plain))
        for number, (key, rowid) in enumerate(keys):
            if None in key and rowid is not None and shape.rowid:
                for row in self._at_rowid(query, shape, rowid):
                    if None in key_of(shape, row):
                        found[number] = row
        yield from sorted(found.items(), key=lambda item: item[0])

    def _by_key(self, query: Query, shape: Shape, keys: Sequence[tuple[int, Row]]) -> Iterator[tuple[int, Keyed]]:
        if not keys:
            return
        values, bindings = [], []
        for number, key in keys:
            values.append(f"({number}, {', '.join(_marker(value) for value in key)})")
            bindings += [self._bound(value) for value in key]
        names = [f"k{place}" for place in range(len(shape.stored_key))]
        where = " AND ".join(
            f"t.{quoted(name)} = w.{short}" for name, short in zip(shape.stored_key, names, strict=True)
        )
        rowid = f"t.{quoted(shape.rowid)}" if shape.rowid else "NULL"
        sql = (
            f"WITH w(n, {', '.join(names)}) AS (VALUES {', '.join(values)}) "
            f"SELECT w.n, {rowid}, {_selected(shape)} FROM w CROSS JOIN {spelled(shape)} t WHERE {where}"
        )
        for number, *rest in query.rows(sql, bindings=bindings):
            yield int(number), self._decode(shape, tuple(rest))

    def _at_rowid(self, query: Query, shape: Shape, rowid: int) -> Iterator[Keyed]:
        name = f"t.{quoted(shape.rowid)}"
        sql = f"SELECT {name}, {_selected(shape)} FROM {spelled(shape)} t NOT INDEXED WHERE {name} = ?"
        yield from self._decoded(shape, query.rows(sql, bindings=(rowid,)))

    def _decoded(self, shape: Shape, rows: Iterator[tuple[Value, ...]]) -> Iterator[Keyed]:
        for row in rows:
            yield self._decode(shape, row)

    def _decode(self, shape: Shape, row: tuple[Value, ...]) -> Keyed:
        count = len(shape.stored)
        flags = "".join(map(str, row[1 + count :]))
        rowid, values = row[0], row[1 : 1 + count]
        if "1" in flags:
            values = tuple(
                self._text(value) if flag == "1" and isinstance(value, bytes) else value
                for value, flag in zip(values, flags, strict=True)
            )
        return (rowid if isinstance(rowid, int) else None), values

    def _text(self, data: bytes) -> str:
        if self.encoding == "utf-8":
            return data.decode("utf-8", "surrogateescape")
        try:
            return data.decode(self.encoding, "surrogatepass")
        except UnicodeDecodeError:
            return data.decode(self.encoding, "replace")

    def _bound(self, value: Value) -> Value:
        """A value as it is bound: a text that cannot be, by its bytes."""
        if not isinstance(value, str) or not _is_odd(value):
            return value
        if self.encoding == "utf-8":
            return value.encode("utf-8", "surrogateescape")
        return value.encode(self.encoding, "surrogatepass")


def key_of(shape: Shape, row: Keyed) -> Row:
    """The values of a row by which it is matched."""
    return tuple(row[1][place] for place in shape.key_places) if shape.key_places else (row[0],)


def _selected(shape: Shape) -> str:
    """What is asked for of a row: values, of a text its bytes; and for each column 1 if it is a text."""
    names = [f"t.{quoted(name)}" for name in shape.stored]
    values = [f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END" for name in names]
    flags = [
        " || ".join(f"(typeof({name}) = 'text')" for name in names[start : start + FLAGS_TOGETHER]) + " || ''"
        for start in range(0, len(names), FLAGS_TOGETHER)
    ]
    return ", ".join([*values, *flags])


def _is_odd(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def _marker(value: Value) -> str:
    return "CAST(? AS TEXT)" if isinstance(value, str) and _is_odd(value) else "?"


@contextmanager
def side_of(moment: Moment, stop: threading.Event) -> Iterator[Side]:
    """A block in which the rows of a moment can be read. Raises QueryError and what pages raise."""
    encoding = _ENCODINGS.get(int.from_bytes(moment.page(1)[_ENCODING_AT], "big"), "utf-8") if moment.pages else "utf-8"
    with ExitStack() as stack:
        stream, lookup = (stack.enter_context(opened(moment, stop)) for _ in range(2))
        yield Side(moment, encoding, stream, lookup)
