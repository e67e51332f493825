"""bring-back: rows, tables, or all that commits deleted, from a moment into the database that goes on.

A preview by default; with -apply it is done, and it is said what there was before. Or the rows are written to a file.
"""

import json
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing

from replication.config.location import local_path, output_path
from replication.control.requests import BringBack, PreviewBack
from replication.errors import BringBackError, StorageError, UsageError
from replication.recall.opening import Asked, Origin, recall_from
from replication.recall.output import written_new
from replication.recall.recall import Brought, Live, Preview, Recall
from replication.recall.wanted import Pick, Wanted
from replication.restore.target import AtPosition, AtTime, Target
from replication.sqlite.brought import Report, TableReport
from replication.times import format_time
from replication.wire import plain as as_plain
from tui.text.format import counted, plain
from tui.verbs.by_engine import ByEngine, instead
from tui.verbs.console import give, remark, say, warn
from tui.verbs.moment import CANCELLED, Looking, looking, moment_of
from tui.verbs.named import resolve
from tui.verbs.restore import Bar, cancelled_by_signals, heed_no_signal, showing

_NAMED_SHOWN = 5
NOT_REPLICATED = (
    "No engine replicates the database just now, so it may not be restorable, unless one had copied it already. This "
    "tells; next time have an engine run, or copy the database first:"
)
NOBODY_KNOWS = (
    "No engine is known to replicate the database just now: what there was before may not be restorable. Next time "
    "have one run, or copy the database first."
)


def run(args: Namespace) -> int:
    """Preview, bring back or write down; raises ReplicationError, and then nothing was changed."""
    if not args.source or not args.begin:
        raise UsageError("database and moment required: the last commit before the loss, as find prints it, or a time")
    moment, until = moment_of(args.begin), moment_of(args.end) if args.end is not None else None
    asked = Asked(_wanted(args), moment, until, args.on_conflict)
    if args.apply and args.output is not None:
        raise UsageError("cannot specify -apply & -o; give one of them")
    if args.csv and args.output is None:
        raise UsageError("-csv goes with -o: it is how rows are written down")
    if args.json and args.output is not None:
        raise UsageError("cannot specify -json & -o: rows are written down as SQL or as CSV")
    try:
        with looking(args, "bring-back", moment) as at:
            live = _live(args, at)
            with closing(_opened(args, at, asked, live)) as recall:
                _here(args, recall, live, at.cancel)
    except StorageError as error:
        # An engine has the keys and the network for its own databases, and nothing else of this.
        by = instead(error, resolve(args, "bring-back")) if args.output is None and args.into is None else None
        if by is None:
            raise
        with closing(by), cancelled_by_signals(CANCELLED) as cancel:
            _by_engine(args, by, asked, cancel)
    return 0


def _here(args: Namespace, recall: Recall, live: Live | None, cancel: threading.Event) -> None:
    preview = recall.preview(cancel) if live is not None else None
    if args.output is not None:
        _write(args, recall, cancel)
        return
    assert preview is not None
    if args.apply and (preview.report.changes_something or preview.is_stopped):
        _tell_brought(args, recall.apply(cancel, committing=heed_no_signal))
    else:
        _tell_preview(args, preview)
        _check_came(args, preview.report)


def _by_engine(args: Namespace, by: ByEngine, asked: Asked, cancel: threading.Event) -> None:
    request = PreviewBack(
        database=by.database,
        replica=args.replica or "",
        only=args.replica is not None,
        generation=args.generation or "",
        position=str(asked.moment.position) if isinstance(asked.moment, AtPosition) else "",
        timestamp=format_time(asked.moment.time) if isinstance(asked.moment, AtTime) else "",
        picks=asked.wanted.picks,
        until=_spelled(asked.until),
        on_conflict=asked.on_conflict,
    )
    ids: list[str] = []
    with showing() as bar:
        previewed = by.do(request, bar, cancel, ids.append)
        bar.clear()
        _tell_origin(previewed.origin)
        try:
            preview = previewed.preview
            if args.apply and (preview.report.changes_something or preview.is_stopped):
                _tell_brought(args, by.do(BringBack(preview=ids[0]), bar, cancel, is_kept=True))
            else:
                _tell_preview(args, preview)
                _check_came(args, preview.report)
        finally:
            by.forget(ids[0])


def _check_came(args: Namespace, report: Report) -> None:
    """Raise BringBackError if it was to be done, and all that could have come was refused."""
    if args.apply and report.is_refused:
        raise BringBackError(
            "No row could be brought back: what was refused, and why, is said above. Nothing was changed."
        )


def _spelled(moment: Target | None) -> str:
    if moment is None:
        return ""
    return (
        str(moment.position)
        if isinstance(moment, AtPosition)
        else format_time(moment.time)
        if isinstance(moment, AtTime)
        else "now"
    )


def _wanted(args: Namespace) -> Wanted:
    tables = args.table or []
    picks = [Pick(table, args.where or "") for table in tables]
    picks += [Pick(table, key=key) for table, key in args.row or []]
    if args.where is not None and not args.where.strip():
        raise UsageError("-where is empty: give a condition as it may stand after WHERE, or leave it out for all rows")
    if args.where is not None and len(tables) != 1:
        raise UsageError("-where goes with one -table")
    return Wanted(tuple(picks), args.end is not None)


def _live(args: Namespace, at: Looking) -> Live | None:
    if args.into is not None:
        return Live(local_path(args.into))
    if at.database is not None:
        return Live(at.database.path, at.database)
    if args.output is None:
        raise UsageError("which database? A replica URL says where the rows are: name with -into where they go, or -o")
    return None


def _opened(args: Namespace, at: Looking, asked: Asked, live: Live | None) -> Recall:
    bar = Bar()
    try:
        recall, origin = recall_from(at.sources, at.options, asked, live, at.tables, at.cancel, bar.show)
    finally:
        bar.clear()
    _tell_origin(origin)
    return recall


def _tell_origin(origin: Origin) -> None:
    for text in origin.warnings:
        warn(text)
    until = f" to {origin.until}" if origin.until is not None else ""
    remark(f"from {origin.moment}{until}, from replica {origin.replica}")


# -- to a file -------------------------------------------------------------------------------------------------------


def _write(args: Namespace, recall: Recall, cancel: threading.Event) -> None:
    is_csv = args.csv or args.output.lower().endswith(".csv")
    if args.output == "-":
        recall.write(is_csv, lambda text: give(text, end=""), cancel)
    else:
        path = output_path(args.output)
        with written_new(path) as write:
            recall.write(is_csv, write, cancel)
        say(f"wrote {path}")
    for staged in recall.stage.tables:
        remark(f"{staged.table.name}: {counted(recall.stage.count(staged), 'row')}")


# -- for people ------------------------------------------------------------------------------------------------------


def _tell_preview(args: Namespace, preview: Preview) -> None:
    if args.json:
        give(json.dumps(as_plain(preview), ensure_ascii=False, indent=2))
        return
    give(f"into {preview.database}, as it was at {format_time(preview.now)}:")
    _tell_report(preview.report, "to be ")
    give(_what_next(preview))


def _what_next(preview: Preview) -> str:
    report = preview.report
    if preview.is_stopped:
        return "Nothing would be brought back: -on-conflict abort stops where a row is not."
    gives_way = preview.on_conflict == "skip" and any(item.skipped for item in report.tables)
    more = " With -on-conflict replace, rows with the same keys give way." if gives_way else ""
    if report.changes_something:
        return f"Nothing was changed: -apply does it; others wait with writing for about {report.seconds:.1f} s.{more}"
    return f"There is nothing to bring back.{more}"


def _tell_brought(args: Namespace, brought: Brought) -> None:
    _tell_what_came(args, brought)
    # What the preview said may have come to nothing since.
    _check_came(args, brought.report)


def _tell_what_came(args: Namespace, brought: Brought) -> None:
    if args.json:
        give(json.dumps(as_plain(brought), ensure_ascii=False, indent=2))
        return
    give(f"into {brought.database}, with the commit made at {format_time(brought.ended)}:")
    _tell_report(brought.report, "")
    if not brought.is_as_previewed:
        warn("the database had changed since the preview was made: it would have said something else")
    if brought.before is None and not brought.is_replicated:
        give(NOBODY_KNOWS)
    elif brought.before is None:
        give(f"What there was before is the state at {format_time(brought.began)}, once that is replicated.")
    else:
        soon = "To have it beside this, as soon as it is uploaded:" if brought.is_replicated else NOT_REPLICATED
        give(f"What there was before is the commit {brought.before}. {soon}")
        give(f"  litestream-tui restore -position {brought.before} -o {brought.database}.before {brought.database}")


def _tell_report(report: Report, verb: str) -> None:
    for table in report.tables:
        for line in _table_lines(table, verb):
            give(line)
    for trigger in report.triggers:
        give(f"trigger {plain(trigger.trigger)}: {counted(trigger.runs, 'run')}")
    for effect in report.effects:
        counts = {"inserted": effect.inserted, "updated": effect.updated, "deleted": effect.deleted}
        words = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        give(f"besides, in {plain(effect.table)}: {words}")


def _table_lines(table: TableReport, verb: str) -> Iterator[str]:
    name = plain(table.table)
    if table.refusal:
        yield f"{name}: refused: {plain(table.refusal)}"
        return
    counts = {f"{verb}inserted": table.inserted, f"{verb}replaced": table.updated, "there already": table.same}
    counts |= {"skipped for a conflict": table.skipped, "refused": table.refused}
    words = [f"{count:,} {what}" for what, count in counts.items() if count] or ["no rows"]
    yield f"{name}: {'made again, ' if table.is_made else ''}{', '.join(words)}"
    if table.renumbered:
        yield f"  {counted(table.renumbered, 'row')} with another row number, for theirs is taken"
    for note in table.notes:
        yield f"  {plain(note)}"
    for what, count, rows in (
        ("skipped", table.skipped, table.skipped_rows),
        ("refused", table.refused, table.refused_rows),
    ):
        for row in rows[:_NAMED_SHOWN]:
            yield f"  {what}: row {plain(row.key)}: {plain(row.words)}"
        if count > _NAMED_SHOWN:
            yield f"  {what}: {count - min(len(rows), _NAMED_SHOWN):,} more; -json names {len(rows)}"
