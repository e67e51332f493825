"""log: the commits that a replica holds, the newest first, and what each of them did."""

import json
from argparse import Namespace
from collections.abc import Collection
from itertools import islice

from replication.errors import NoRestorePointError
from replication.history.log import Entry, Log, Touched
from replication.history.moments import timelines
from replication.restore.target import Latest, parse_time
from replication.times import format_time
from tui.text.format import counted, plain, size
from tui.verbs.console import give, remark, warn
from tui.verbs.moment import TIMES, looking, when

_TABLES_SHOWN_MAX = 5


def run(args: Namespace) -> int:
    """Print a line for each commit as it is found; raises ReplicationError."""
    target = parse_time(args.until) if args.until is not None else Latest()
    since = parse_time(args.since).time if args.since is not None else None
    with looking(args, "log", target) as at:
        log = Log(at.cancel)
        found = (
            entry
            for timeline in timelines(at.sources, at.options, at.tables, at.cancel, warn, since)
            for entry in log.entries(timeline, since, args.table)
        )
        shown = 0
        for entry in islice(found, args.limit):
            give(json.dumps(_values(entry), ensure_ascii=False) if args.json else _line(entry))
            shown += 1
        if shown < args.limit and args.table is not None and args.table.lower() not in log.names:
            raise NoRestorePointError(_no_table(args.table, log.names))
        remark(f"{counted(shown, 'commit')}; {TIMES}")
    return 0


def _no_table(table: str, names: Collection[str]) -> str:
    shadows = sorted(name for name in names if name.startswith(f"{table.lower()}_"))
    more = f" What a virtual table has is in tables such as {shadows[0]}." if shadows else ""
    return f"No commit that was looked at has a table {table} with pages of its own.{more}"


def _line(entry: Entry) -> str:
    tables = ", ".join(_touched(item) for item in entry.tables[:_TABLES_SHOWN_MAX])
    more = len(entry.tables) - _TABLES_SHOWN_MAX
    tables += f" and {more} more" * (more > 0) + " …" * (not entry.is_whole)
    time, pages = when(entry.seen, entry.time), counted(entry.pages, "page")
    return f"{time:<37}  {entry.position}  {pages:>10}  {size(entry.bytes):>9}  {tables}".rstrip()


def _touched(item: Touched) -> str:
    return plain(item.name) + (f" {item.rows:+d}" if item.rows else "" if item.rows == 0 else " ?")


def _values(entry: Entry) -> dict[str, object]:
    return {
        "position": str(entry.position),
        "committed": format_time(entry.seen) if entry.seen is not None else None,
        "stored": format_time(entry.time),
        "pages": entry.pages,
        "bytes": entry.bytes,
        "tables": [{"name": item.name, "rows": item.rows} for item in entry.tables],
        "whole": entry.is_whole,
    }
