"""query: SQL asked of the database as it was at any commit that a replica holds, without restoring it."""

import csv
import io
import json
import math
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from replication.errors import UsageError
from replication.sqlite.moment import opened
from tui.text.format import plain
from tui.verbs.console import give
from tui.verbs.moment import tell, timeline_at
from tui.verbs.restore import target_of

ROWS_MEASURED = 200
"""By so many rows the widths of columns are chosen."""
CELL_CHARS_MAX = 200
_LINES_TOGETHER = 100

Row = tuple[Any, ...]


def run(args: Namespace) -> int:
    """Print the rows of a statement; raises ReplicationError."""
    if args.json and args.csv:
        raise UsageError("cannot specify json & csv; give one of them")
    if not args.sql or not args.sql.strip():
        raise UsageError("SQL required after the database, such as 'SELECT count(*) FROM orders'")
    target = target_of(args, "query")
    with timeline_at(args, "query", target) as (timeline, cancel):
        with opened(timeline.moment(), cancel) as query:
            rows = query.rows(args.sql, args.timeout)
            # The names of the columns are known with the first row.
            first = list(islice(rows, 1))
            show = _as_json if args.json else _as_csv if args.csv else _as_table
            _give_all(show(lambda: query.columns, chain(first, rows)))
        tell(timeline, timeline.end)
    return 0


def _as_table(columns: Callable[[], Sequence[str]], rows: Iterator[Row]) -> Iterator[str]:
    measured = [_cells(row) for row in islice(rows, ROWS_MEASURED)]
    if not columns():
        return
    header = [_cell(name) for name in columns()]
    widths = [max(map(len, column)) for column in zip(header, *measured, strict=True)]
    for cells in chain([header], measured, map(_cells, rows)):
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _as_csv(columns: Callable[[], Sequence[str]], rows: Iterator[Row]) -> Iterator[str]:
    for row in chain([tuple(columns())], rows) if columns() else rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(["" if value is None else _text(value) for value in row])
        yield line.getvalue()


def _as_json(columns: Callable[[], Sequence[str]], rows: Iterator[Row]) -> Iterator[str]:
    before = "["
    for row in rows:
        values = {name: _json(value) for name, value in zip(columns(), row, strict=True)}
        yield before + json.dumps(values, ensure_ascii=False)
        before = ","
    yield "]" if before == "," else "[]"


def _give_all(lines: Iterator[str]) -> None:
    while some := list(islice(lines, _LINES_TOGETHER)):
        give("\n".join(some))


def _cells(row: Row) -> list[str]:
    return [_cell("NULL" if value is None else _text(value)) for value in row]


def _cell(text: str) -> str:
    text = plain(text)
    return text if len(text) <= CELL_CHARS_MAX else text[: CELL_CHARS_MAX - 1] + "…"


def _json(value: Any) -> str | int | float | None:
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no word for what is infinite.
        return _text(value)
    return value if value is None or isinstance(value, int | float) else _text(value)


def _text(value: Any) -> str:
    """A blob is as SQL writes it: x'0aff'."""
    return f"x'{value.hex()}'" if isinstance(value, bytes) else str(value)
