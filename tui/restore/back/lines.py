"""What bringing rows back would do, or has done, as lines of text. Pure.

Its promise: every row that does not come back is counted, and the first of them are named with the reason.
"""

from textwrap import wrap

from rich.text import Text

from replication.recall.recall import Brought, Preview
from replication.sqlite.brought import Report, TableReport
from tui.text.blocks import error_lines
from tui.text.cells import cut_end, cut_start
from tui.text.format import counted, plain
from tui.text.local import both, clock
from tui.text.style import Style

NAMED_SHOWN = 3
"""Rows of a table that are named with a reason."""
CONFLICT_WORDS = {
    "skip": "a row in the way stays, and the one of then is left out",
    "replace": "a row in the way gives way to the one of then",
    "abort": "nothing is brought back if any row is not",
}


def preview_lines(preview: Preview, width: int, style: Style) -> list[Text]:
    """What would happen."""
    made = [_into(preview.database, f", as it was at {clock(preview.now.timestamp())}", width)]
    made += _report(preview.report, "to be ", width, style)
    words = CONFLICT_WORDS[preview.on_conflict]
    made.append(Text(cut_end(f" on conflict: {preview.on_conflict}: {words}", width)))
    if not preview.report.changes_something:
        made.append(Text(" There is nothing to bring back.", style="bold"))
    elif preview.is_stopped:
        made.append(
            Text(" Nothing would be brought back: some rows cannot be. c chooses otherwise.", style="bold yellow")
        )
    else:
        seconds = f"{max(0.1, preview.report.seconds):.1f} s"
        made.append(Text(f" enter does it, in about {seconds} in which other writers wait.", style="bold"))
    return made


def brought_lines(brought: Brought, again: str, width: int, style: Style) -> list[Text]:
    """What has happened. `again` is the command that gives back what there was before."""
    count = brought.report.inserted + brought.report.updated
    made = [Text(f" {style.mark('✔', '+')} {counted(count, 'row')} brought back", style="bold green")]
    made.append(_into(brought.database, f", at {clock(brought.ended.timestamp())}", width))
    made += _report(brought.report, "", width, style)
    if not brought.is_as_previewed:
        made += error_lines(
            "the database had changed since: the preview would have said something else", width, "yellow"
        )
    if brought.before is None:
        when = both(brought.began.timestamp())
        made.append(Text(cut_end(f" What there was before is the state of {when}, once that is replicated.", width)))
    else:
        made.append(Text(cut_end(f" What there was before is the commit {brought.before}.", width)))
        # To be copied, so that it is not cut.
        made += [Text(f" {line}") for line in wrap(again, max(20, width - 1))]
    if not brought.is_replicated:
        made += error_lines("no engine has it just now: that may not be restorable", width, "yellow")
    return made


def _into(database: str, when: str, width: int) -> Text:
    return Text(f" into {cut_start(plain(database), max(10, width - len(when) - 7))}{when}")


def _report(report: Report, verb: str, width: int, style: Style) -> list[Text]:
    made: list[Text] = []
    for table in report.tables:
        made += _table(table, verb, width)
    for trigger in report.triggers:
        words = f" trigger {plain(trigger.trigger)} {'runs' if verb else 'ran'} {counted(trigger.runs, 'time')}"
        made.append(Text(cut_end(words, width), style="yellow"))
    for effect in report.effects:
        counts = {"inserted": effect.inserted, "updated": effect.updated, "deleted": effect.deleted}
        shown = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        made.append(Text(cut_end(f" besides, in {plain(effect.table)}: {shown}", width), style="yellow"))
    return made


def _table(table: TableReport, verb: str, width: int) -> list[Text]:
    name = plain(table.table)
    if table.refusal:
        return [Text(f" {cut_end(name, width - 11)}: refused", style="bold red"), *error_lines(table.refusal, width)]
    counts = {f"{verb}inserted": table.inserted, f"{verb}replaced": table.updated, "there already": table.same}
    counts |= {"skipped for a conflict": table.skipped, "refused": table.refused}
    words = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "no rows"
    again = "made again, " if table.is_made else ""
    made = [Text(cut_end(f" {name}: {again}{words}", width), style="bold")]
    if table.renumbered:
        made.append(Text(cut_end(f"   {counted(table.renumbered, 'row')} with another number: theirs is taken", width)))
    for note in table.notes:
        made.append(Text(cut_end(f"   {plain(note)}", width)))
    for what, count, rows in (
        ("skipped", table.skipped, table.skipped_rows),
        ("refused", table.refused, table.refused_rows),
    ):
        for row in rows[:NAMED_SHOWN]:
            made.append(Text(cut_end(f"   {what}: row {plain(row.key)}: {plain(row.words)}", width), style="yellow"))
        if count > NAMED_SHOWN:
            made.append(Text(f"   {what}: {count - min(len(rows), NAMED_SHOWN):,} more", style="yellow"))
    return made
