"""Rows of a query as text: a table, CSV or JSON, in pieces, so that a value of many megabytes is not held twice.

Its promise: what a program reads is whole and unambiguous; what people read is cut, and nothing a terminal would obey.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from tui.text.format import plain

ROWS_MEASURED = 200
"""By so many rows the widths of columns are chosen."""
CELL_CHARS_MAX = 200
PART_CHARS = 1 << 20
"""So much of a value is made text at a time."""
_NEEDS_QUOTES = re.compile(r'[",\r\n]')

Row = tuple[Any, ...]
Columns = Callable[[], Sequence[str]]


def as_table(columns: Columns, rows: Iterator[Row]) -> Iterator[str]:
    """Yield lines in columns, for people."""
    measured = list(map(_cells, islice(rows, ROWS_MEASURED)))
    if not columns():
        return
    header = [_cell(name) for name in columns()]
    widths = [max(map(len, column)) for column in zip(header, *measured, strict=True)]
    for cells in chain([header], measured, map(_cells, rows)):
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() + "\n"


def as_csv(columns: Columns, rows: Iterator[Row]) -> Iterator[str]:
    """Yield CSV with a header; NULL is empty."""
    for row in chain([tuple(columns())], rows) if columns() else rows:
        yield from _line(row)
        # Nothing holds it while SQLite makes the next one.
        del row


def as_json(columns: Columns, rows: Iterator[Row]) -> Iterator[str]:
    """Yield an array of objects, a line each. Columns with one name are told apart: a, a:1, a:2."""
    before = "["
    names: list[str] = []
    for row in rows:
        names = names or [json.dumps(name, ensure_ascii=False) for name in distinct(columns())]
        yield before
        for number, value in enumerate(row):
            yield f"{', ' if number else '{'}{names[number]}: "
            yield from _json(value)
        yield "}\n"
        before = ","
        del row
    yield "]\n" if before == "," else "[]\n"


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names of columns so that each is there once, as SQLite tells those of a subquery apart."""
    found: dict[str, None] = {}
    for name in names:
        number, other = 0, name
        while other in found or (number and other in names):
            number += 1
            other = f"{name}:{number}"
        found[other] = None
    return list(found)


def _cells(row: Row) -> list[str]:
    return [_cell(value) for value in row]


def _cell(value: Any) -> str:
    """The beginning of a value on one line. It is cut before anything is made of it."""
    text = "NULL" if value is None else _text(value[: CELL_CHARS_MAX + 1] if isinstance(value, str | bytes) else value)
    text = plain(text[: CELL_CHARS_MAX + 1])
    return text if len(text) <= CELL_CHARS_MAX else text[: CELL_CHARS_MAX - 1] + "…"


def _line(row: Row) -> Iterator[str]:
    if not any(isinstance(value, str | bytes) and len(value) > PART_CHARS for value in row):
        line = io.StringIO()
        # Python quotes what has a character of the end of a line in it, and only that.
        csv.writer(line, lineterminator="\r\n").writerow(["" if value is None else _text(value) for value in row])
        yield line.getvalue().removesuffix("\r\n") + "\n"
        return
    for number, value in enumerate(row):
        yield "," * (number > 0)
        quote = '"' * (isinstance(value, str) and bool(_NEEDS_QUOTES.search(value)))
        yield quote
        for part in _parts(value):
            yield part.replace('"', '""')
        yield quote
    yield "\n"


def _json(value: Any) -> Iterator[str]:
    if value is None or (isinstance(value, int | float) and math.isfinite(value)):
        yield json.dumps(value)
        return
    # JSON has no word for what is infinite.
    yield '"'
    for part in _parts(value):
        yield json.dumps(part, ensure_ascii=False)[1:-1]
    yield '"'


def _parts(value: Any) -> Iterator[str]:
    """A value as text, piece by piece."""
    if isinstance(value, bytes):
        yield "x'"
        for start in range(0, len(value), PART_CHARS // 2):
            yield value[start : start + PART_CHARS // 2].hex()
        yield "'"
    elif isinstance(value, str):
        for start in range(0, len(value), PART_CHARS):
            yield value[start : start + PART_CHARS]
    elif value is not None:
        yield str(value)


def _text(value: Any) -> str:
    """A blob is as SQL writes it: x'0aff'."""
    return f"x'{value.hex()}'" if isinstance(value, bytes) else str(value)
