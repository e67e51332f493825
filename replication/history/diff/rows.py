"""The rows of a table at one moment, read by SQLite: those of some rowids, of some keys, or all.

Its promise: a value is told as it is stored, with its type; a text too that is not valid in the database's encoding.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from replication.history.contract import Moment
from replication.history.diff.contract import Row, Shape
from replication.history.diff.schema import spelled
from replication.history.diff.trees import ROWID_MAX, ROWID_MIN
from replication.history.keys import quoted
from replication.sqlite.moment import Query, Value, opened

RANGES_TOGETHER = 200
KINDS_TOGETHER = 50
"""Columns whose kinds are told in one text: an expression may not be deeper than 1,000."""
_TEXT, _REAL = "t", "r"
_ENCODINGS = {2: "utf-16-le", 3: "utf-16-be"}
_ENCODING_AT = slice(56, 60)

Range = tuple[int, int]
"""Rowids from one to another, both among them."""
Keyed = tuple[int | None, Row]
"""A row with its rowid, if it has one."""
Stored = tuple[Any, ...]
"""The rowid, the values, and the kinds of the values."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of both moments: one connection to stream with, one to look up with meanwhile."""

    moment: Moment
    encoding: str
    stream: Query
    lookup: Query

    def ranges(self, shape: Shape, wanted: Sequence[Range]) -> Iterator[Keyed]:
        """The rows of these ranges, which are in order and do not overlap, in order."""
        for row in self.stored(shape, wanted):
            yield self.decoded(shape, row)

    def stored(self, shape: Shape, wanted: Sequence[Range]) -> Iterator[Stored]:
        """The same as SQLite gives them: with texts by their bytes, and the kinds of all values."""
        if not wanted:
            return
        rowid = f"t.{quoted(shape.rowid)}"
        last = ROWID_MIN - 1
        for start in range(0, len(wanted), RANGES_TOGETHER):
            some = wanted[start : start + RANGES_TOGETHER]
            values = ", ".join(["(?, ?)"] * len(some))
            # Without a word of the order, or SQLite would sort: it goes from one range to the next as they come.
            sql = (
                f"WITH w(a, b) AS (VALUES {values}) SELECT {rowid}, {_selected(shape)} FROM w CROSS JOIN "
                f"{spelled(shape)} t NOT INDEXED WHERE {rowid} BETWEEN w.a AND w.b"
            )
            bounds = [bound for item in some for bound in item]
            for row in self.stream.rows(sql, bindings=bounds):
                assert row[0] > last, "rows come in the order of their rowids"
                last = row[0]
                yield row

    def count(self, shape: Shape) -> int:
        """How many rows there are."""
        [(count,)] = self.stream.rows(f"SELECT count(*) FROM {spelled(shape)}")
        return int(count)

    def everything(self, shape: Shape) -> Iterator[Keyed]:
        """All rows; those with rowids in order."""
        if shape.rowid:
            yield from self.ranges(shape, [(ROWID_MIN, ROWID_MAX)])
            return
        sql = f"SELECT NULL, {_selected(shape)} FROM {spelled(shape)} t NOT INDEXED"
        for row in self.stream.rows(sql):
            yield self.decoded(shape, row)

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
            values.append(f"({number}, {', '.join(marker(value) for value in key)})")
            bindings += [bound(value, self.encoding) for value in key]
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
            yield int(number), self.decoded(shape, tuple(rest))

    def _at_rowid(self, query: Query, shape: Shape, rowid: int) -> Iterator[Keyed]:
        name = f"t.{quoted(shape.rowid)}"
        sql = f"SELECT {name}, {_selected(shape)} FROM {spelled(shape)} t NOT INDEXED WHERE {name} = ?"
        for row in query.rows(sql, bindings=(rowid,)):
            yield self.decoded(shape, row)

    def decoded(self, shape: Shape, row: Stored) -> Keyed:
        """The values of a row, with its rowid."""
        count = len(shape.stored)
        kinds = "".join(row[1 + count :])
        rowid, values = row[0], row[1 : 1 + count]
        if _TEXT in kinds:
            values = tuple(
                text_of(value, self.encoding) if kind == _TEXT else value
                for value, kind in zip(values, kinds, strict=True)
            )
        return rowid, values


def text_of(data: bytes, encoding: str) -> str:
    """A text as it is stored, whatever is in it."""
    if encoding == "utf-8":
        return data.decode("utf-8", "surrogateescape")
    try:
        return data.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        return data.decode(encoding, "replace")


def encoding_of(moment: Moment) -> str:
    """The encoding of all texts of a database."""
    number = int.from_bytes(moment.page(1)[_ENCODING_AT], "big") if moment.pages else 1
    return _ENCODINGS.get(number, "utf-8")


def are_alike(was: Stored, became: Stored) -> bool:
    """True if two rows of the same columns and encoding are surely alike, without a look at each value."""
    # 0.0 is equal to -0.0.
    return was == became and not any(_REAL in kinds for kinds in was if isinstance(kinds, str))


def key_of(shape: Shape, row: Keyed) -> Row:
    """The values of a row by which it is matched."""
    return tuple(row[1][place] for place in shape.key_places) if shape.key_places else (row[0],)


def _selected(shape: Shape) -> str:
    """What is asked for of a row: values, of a text its bytes; and the first letter of the kind of each."""
    names = [f"t.{quoted(name)}" for name in shape.stored]
    values = [f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END" for name in names]
    kinds = [
        " || ".join(f"substr(typeof({name}), 1, 1)" for name in names[start : start + KINDS_TOGETHER])
        for start in range(0, len(names), KINDS_TOGETHER)
    ]
    return ", ".join([*values, *kinds])


def _is_odd(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def marker(value: Value) -> str:
    """The parameter for a value: a text that is not valid is bound by its bytes."""
    return "CAST(? AS TEXT)" if isinstance(value, str) and _is_odd(value) else "?"


def bound(value: Value, encoding: str) -> Value:
    """A value as it is bound to its parameter."""
    if not isinstance(value, str) or not _is_odd(value):
        return value
    return value.encode(encoding, "surrogateescape" if encoding == "utf-8" else "surrogatepass")


@contextmanager
def side_of(moment: Moment, stop: threading.Event) -> Iterator[Side]:
    """A block in which the rows of a moment can be read. Raises QueryError and what pages raise."""
    with ExitStack() as stack:
        stream, lookup = (stack.enter_context(opened(moment, stop)) for _ in range(2))
        yield Side(moment, encoding_of(moment), stream, lookup)
