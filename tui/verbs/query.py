"""query: SQL asked of the database as it was at any commit that a replica holds, without restoring it."""

import threading
from argparse import Namespace
from collections.abc import Iterator
from itertools import chain, islice

from replication.errors import RestoreCancelledError, UsageError
from replication.sqlite.moment import bound_memory, opened
from tui.text.rows import Row, as_csv, as_json, as_table
from tui.verbs.console import give
from tui.verbs.moment import CANCELLED, tell, timeline_at
from tui.verbs.restore import target_of
from tui.verbs.watchdog import watched

TOGETHER_CHARS = 1 << 20
"""So much is written at a time."""
LINES_TOGETHER_MAX = 100
"""And no more lines, for whoever watches."""


def run(args: Namespace) -> int:
    """Print the rows of a statement; raises ReplicationError."""
    if args.json and args.csv:
        raise UsageError("cannot specify json & csv; give one of them")
    if not args.sql or not args.sql.strip():
        raise UsageError("SQL required after the database, such as 'SELECT count(*) FROM orders'")
    target = target_of(args, "query")
    bound_memory()
    with timeline_at(args, "query", target) as (timeline, cancel):
        with watched() as watch, opened(timeline.moment(), cancel) as query:
            show = as_json if args.json else as_csv if args.csv else as_table
            rows = _begun(watch.each(query.rows(args.sql, args.timeout), args.timeout))
            _give_all(show(lambda: query.columns, rows), cancel)
        tell(timeline, timeline.end)
    return 0


def _begun(rows: Iterator[Row]) -> Iterator[Row]:
    """`rows`, once the first of them was found: with that the names of the columns are known."""
    return chain(list(islice(rows, 1)), rows)


def _give_all(pieces: Iterator[str], cancel: threading.Event) -> None:
    """Write them together, as many as are soon there and not too large."""
    waiting: list[str] = []
    size = lines = 0
    for piece in pieces:
        if cancel.is_set():
            raise RestoreCancelledError(CANCELLED)
        waiting.append(piece)
        size, lines = size + len(piece), lines + piece.endswith("\n")
        if size >= TOGETHER_CHARS or lines >= LINES_TOGETHER_MAX:
            give("".join(waiting), end="")
            waiting.clear()
            size = lines = 0
    if waiting:
        give("".join(waiting), end="")
