"""diff: what changed between two moments of a database: its schema, and rows that came, went or changed."""

import json
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from replication.errors import QueryError, UsageError
from replication.history.diff.contract import Pair
from replication.history.diff.diff import Difference
from replication.history.moments import read_span
from replication.history.span import Span, Times
from replication.restore.target import Target
from replication.times import format_time
from tui.text.differences import row_line, row_values, schema_lines, schema_values, state_of
from tui.text.format import counted, plain, size
from tui.verbs.console import give, remark, warn
from tui.verbs.moment import TIMES, looking, moment_of, when
from tui.verbs.restore import Bar

ROWS_DEFAULT = 20
_TELL_SECONDS = 0.5

Failed = dict[str, QueryError]
"""Tables that could not be compared, or not to the end, and why."""


@dataclass(slots=True)
class _Table:
    """What was found of one table, with lines for the first of its rows."""

    pair: Pair
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Rows that are not shown."""
        return self.counts.total() - len(self.lines)


def run(args: Namespace) -> int:
    """Print what changed; raises ReplicationError."""
    if args.summary and args.limit is not None:
        raise UsageError("cannot specify summary & limit; give one of them")
    begin, end = (_target(args, text) for text in (args.begin, args.end))
    with looking(args, "diff", end) as at:
        bar = Bar()
        try:
            span = read_span(at.sources, at.options, begin, end, at.tables, at.cancel, bar.show, warn)
        finally:
            bar.clear()
        difference = Difference(span, at.cancel)
        # Raises before anything is printed if there is no such table.
        pairs = difference.pairs(args.table)
        names = {name for pair in pairs for name in (pair.name.lower(), pair.renamed_from.lower())}
        schema = [item for item in difference.schema if args.table is None or item.name.lower() in names]
        failed: Failed = {}
        if args.json:
            _json(args, difference, pairs, [schema_values(item) for item in schema], failed)
        else:
            _words(args, difference, pairs, [line for item in schema for line in schema_lines(item)], failed)
        _cost(difference, args.table)
    if failed:
        words = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise QueryError(f"Not compared, or not to the end: {words}")
    return 0


def _target(args: Namespace, text: str | None) -> Target:
    """A moment as it is written: now, a position, or a time."""
    if not text and args.source:
        raise UsageError("two moments required after the database, such as 12:03 12:04; without the second it is now")
    return moment_of(text or "now")


def _words(args: Namespace, difference: Difference, pairs: tuple[Pair, ...], schema: list[str], failed: Failed) -> None:
    span = difference.span
    _head(span)
    limit = 0 if args.summary else args.limit or ROWS_DEFAULT
    tables = []
    telling = _Telling()
    for pair in pairs:
        table = _Table(pair)
        with _failing(failed, pair):
            whole = _whole(difference, pair)
            for change in islice(difference.rows(pair), None if whole is None else limit):
                telling.tell(table)
                table.counts[change.kind] += 1
                if len(table.lines) < limit:
                    table.lines.append(row_line(change))
            table.counts = whole or table.counts
        if table.counts or (state_of(pair) and args.table is None):
            tables.append(table)
    telling.clear()
    for line in schema:
        give(line)
    width = max((len(plain(table.pair.name)) for table in tables), default=0)
    for table in tables:
        counts = "  ".join(f"{mark}{table.counts[kind]:,}" for mark, kind in _MARKS)
        give(f"{plain(table.pair.name):{width}}  {counts}  {state_of(table.pair)}".rstrip())
    if not tables and not schema and not failed:
        give("nothing changed")
    for table in tables:
        if table.lines:
            give(f"{plain(table.pair.name)}:")
            give("\n".join(table.lines))
            if table.left:
                give(f"  … {counted(table.left, 'row')} more; -limit shows more of them")


_MARKS = (("+", "inserted"), ("-", "deleted"), ("~", "changed"))


def _json(
    args: Namespace, difference: Difference, pairs: tuple[Pair, ...], schema: list[dict[str, object]], failed: Failed
) -> None:
    span = difference.span
    first, last = _moment(span.begin, span.begin_times), _moment(span.end, span.end_times)
    _object({"kind": "moments", "from": first, "to": last})
    for values in schema:
        _object(values)
    for pair in pairs:
        counts: Counter[str] = Counter()
        limit = 0 if args.summary else args.limit
        with _failing(failed, pair):
            whole = _whole(difference, pair) if limit is not None else None
            for change in islice(difference.rows(pair), None if whole is None else limit):
                if limit is None or counts.total() < limit:
                    _object(row_values(change))
                counts[change.kind] += 1
            counts = whole or counts
        if pair.name in failed:
            _object({"kind": "not compared", "table": pair.name, "why": str(failed[pair.name])})
            continue
        if counts or state_of(pair):
            found = {kind: counts[kind] for _, kind in _MARKS}
            renamed = pair.renamed_from or None
            _object({"kind": "table", "table": pair.name, **found, "key": pair.key, "renamed_from": renamed})
    for item in difference.skipped if args.table is None else ():
        _object({"kind": "not compared", "table": item.name, "why": item.why})


@contextmanager
def _failing(failed: Failed, pair: Pair) -> Iterator[None]:
    """A table that SQLite cannot read or look up is told at the end; the others are compared."""
    try:
        yield
    except QueryError as error:
        failed[pair.name] = error


def _whole(difference: Difference, pair: Pair) -> "Counter[str] | None":
    """All rows of a table that was made or dropped, which need not be read to be counted; None of any other."""
    count = difference.count(pair)
    return Counter({"deleted" if pair.after is None else "inserted": count}) if count is not None else None


def _head(span: Span) -> None:
    give(f"from: {span.begin}, {when(span.begin_times.seen, span.begin_times.stored)}")
    give(f"to:   {span.end}, {when(span.end_times.seen, span.end_times.stored)}")


def _object(values: dict[str, object]) -> None:
    give(json.dumps(values, ensure_ascii=False))


def _moment(position: object, times: Times) -> dict[str, str | None]:
    return {
        "position": str(position),
        "committed": format_time(times.seen) if times.seen is not None else None,
        "stored": format_time(times.stored),
    }


def _cost(difference: Difference, table: str | None) -> None:
    span = difference.span
    for item in difference.skipped if table is None else ():
        remark(f"{item.name} is not compared: {item.why}")
    for words in difference.remarks:
        remark(words)
    fetched = f"{counted(span.requests, 'request')} beside the WAL, {size(span.bytes_read)} read"
    remark(
        f"{counted(len(span.written), 'page')} written between them, from replica {span.replica}: {fetched}; {TIMES}"
    )


class _Telling:
    """One line on a terminal that says what is compared."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._told = time.monotonic()
        self._is_there = False

    def tell(self, table: _Table) -> None:
        if self._on and time.monotonic() - self._told > _TELL_SECONDS:
            self._told, self._is_there = time.monotonic(), True
            text = f"{plain(table.pair.name)}: {counted(table.counts.total(), 'row')} that differ"
            print(f"\r{text[:78]:78}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._is_there:
            print(f"\r{'':78}\r", end="", file=sys.stderr, flush=True)
