"""The restore picker as lines of text. Pure: what is known goes in, rows for the screen come out.

Its promise: nothing is told by colour alone, and the generation of the point is always named in full.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from replication.errors import ReplicationError
from replication.restore.points import Fetch
from replication.restore.verdict import Check
from tui.actions import Keys, actions_of, keys_of, shown_key
from tui.restore.picker.cursor import Picker, asked_words, lost_after
from tui.text.cells import cut_end, cut_start, fit
from tui.text.format import plain, size
from tui.text.local import both, local, local_day_time, zone
from tui.text.style import Style
from tui.text.timeline import ASCII, SIGNS, Window, axis, density, row

LABEL_CELLS = 10
"""Cells left of a row: the cursor's mark and half of a generation's name."""
_KEY_CELLS = 10
_WIDE = 100
_NOW_SECONDS = 120.0
"""A newest point younger than this is shown as "now", for a database that is written to."""


KEY_LINES_MAX = 2
FOUND_LINES_MAX = 2
OTHERS_MAX = 3
"""At most so many other replicas are shown."""
_KEY_GROUPS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("snapshot_before", "snapshot_after"), "snapshot"),
    (("minute_before", "minute_after"), "minute"),
    (("hour_before", "hour_after"), "hour"),
    (("day_before", "day_after"), "day"),
    (("generation_newer", "generation_older"), "generation"),
    (("tell",), "tell all"),
    (("zoom_in", "zoom_out"), "zoom"),
    (("bring_back_found",), "bring back"),
    (("sql",), "SQL"),
    (("output",), "output"),
    (("over",), "over the live file"),
    (("check",), "check"),
    (("plan",), "plan"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen beside the point. `taken` says why the output cannot be, `over` that it is the live file."""

    output: str
    over: bool
    taken: str
    check: Check


def title(database: str, address: str, picker: Picker | None, width: int, style: Style) -> Text:
    """What is restored, from where, and the time that can be reached."""
    line = Text(" Restore ", style="bold")
    reach = ""
    if picker is not None:
        now = style.now - picker.newest < _NOW_SECONDS and not style.slow
        newest = "now" if now else local_day_time(picker.newest)
        reach = f"{'restorable ' if width >= _WIDE else ''}{local_day_time(picker.oldest)}"
        reach += f" {style.mark('→', 'to')} {newest}  {'times: local, ' if width >= _WIDE else ''}{zone(style.now)}"
    source = f"from {plain(address)}" if address else ""
    room = width - len(line) - len(reach) - 5
    path = cut_start(plain(database), max(12, room - len(source), room // 2))
    line.append(path, style="bold")
    line.append(f"  {cut_end(source, max(0, room - len(path)))}")
    line.append(" " * max(1, width - line.cell_len - len(reach) - 1) + reach)
    return line


def rows(picker: Picker, window: Window, seen: range, style: Style) -> list[Text]:
    """The axis, and a row for each generation in sight; the chosen one has the cursor."""
    marks = ASCII if style.ascii else SIGNS
    lines = [Text(" " * LABEL_CELLS + axis(window, local), style="dim")]
    top = max((max(density(picker.point_maps[number], window)) for number in seen), default=0)
    for number in seen:
        point_map, chosen = picker.point_maps[number], number == picker.cursor.generation
        line = Text(f"{'>' if chosen else ' '}{point_map.generation[:8]} ", style="bold" if chosen else "")
        line.append(row(point_map, window, picker.time if chosen else None, marks, top), style="")
        for at, sign in enumerate(line.plain):
            if at >= LABEL_CELLS and sign in (marks.missing, marks.cursor):
                line.stylize("red" if sign == marks.missing else "bold reverse", at, at + 1)
        lines.append(line)
    return lines


def point(picker: Picker, now: float, width: int, style: Style, reading: str, short: bool = False) -> list[Text]:
    """The point under the cursor: when, where exactly, and what it is; then what became of a time asked for.

    `short` leaves out what is not needed to choose.
    """
    position, point_map = picker.position, picker.point_map
    ago = f"  {style.ago(picker.time)}" if picker.time <= now else ""
    kind = "committed" if picker.is_made else "stored; made before"
    lines = [_line("point", f"{both(picker.time)}  {kind}{ago}", width, "bold")]
    words = [str(position) if position is not None else f"{point_map.generation}/{style.mark('…', '...')}"]
    if picker.number is not None and picker.stop.object:
        number, count = picker.number
        words.append(f"commit {number} of {count}" + (f" in {picker.stop.label}" if width >= _WIDE else ""))
    elif position is None:
        words.append(reading or f"reading {picker.stop.label or 'a snapshot'}")
    if position is not None and position in picker.stop.held:
        words.append("a snapshot")
    lines.append(_line("commit", "  ".join(words), width))
    if picker.stop.only_last:
        doubt = "in doubt: nothing was written after Litestream's snapshot there; a restore refuses what nothing proves"
        lines.append(_line("", doubt, width, "yellow"))
    if point_map.reason and not short:
        lines.append(_line("began", point_map.reason, width))
    asked = picker.cursor.asked
    if asked is not None:
        found = asked_words(picker, now)
        colour = "yellow" if "not covered" in found or "as old" in found else ""
        lines.append(_line("asked", f"{both(asked)}  {style.mark('→', '>')} {found}", width, colour))
        if lost := lost_after(picker):
            name = lost.rpartition("/")[2]
            lines.append(_line("", f"{name} is missing from the replica, or damaged", width, "yellow"))
    return lines


def found_lines(words: str, width: int) -> list[Text]:
    """What was found by a search that put the cursor here."""
    found = textwrap.wrap(plain(words), max(20, width - _KEY_CELLS))
    return [
        _line("" if number else "found", line, width, "bold") for number, line in enumerate(found[:FOUND_LINES_MAX])
    ]


def choice(chosen: Choice, plan: Fetch | ReplicationError | None, width: int, style: Style) -> list[Text]:
    """The output, what would be fetched, and the check."""
    note = "new file"
    colour = ""
    if chosen.over:
        note, colour = "IN PLACE OF THE LIVE DATABASE; the old file is kept", "bold yellow"
    elif chosen.taken:
        note, colour = chosen.taken, "red"
    path = cut_start(plain(chosen.output), max(20, width - _KEY_CELLS - len(note) - 5))
    lines = [_line("output", f"{path}  ({plain(note)})", width, colour)]
    if isinstance(plan, Fetch):
        lines.append(_line("fetch", f"{plan.words}, {size(plan.size)}     check  {chosen.check}", width))
    else:
        words = str(plan) if plan is not None else style.mark("…", "...")
        lines.append(_line("fetch", f"{words}     check  {chosen.check}", width, "red" if plan else ""))
    return lines


def replicas(name: str, others: Sequence[str], width: int) -> list[Text]:
    """Which replica was chosen, and what the others have."""
    lines = [_line("replica", f"{name}, which answers best" if others else name, width)]
    return lines + [_line("", f"also {other}", width, "dim") for other in others[:OTHERS_MAX]]


def key_lines(where: str, keys: Keys, read_only: bool, width: int, style: Style) -> list[Text]:
    """The keys that the footer has no room for, on one or two lines."""
    actions = {action.id: action for action in actions_of(where, read_only)}
    groups = []
    for ids, words in _KEY_GROUPS:
        given = [keys_of(actions[id], keys)[:1] for id in ids if id in actions]
        shown = [shown_key(key[0], style.ascii) for key in given if key]
        if shown:
            groups.append(f"{' '.join(shown)} {words}")
    lines = textwrap.wrap("   ".join(group.replace(" ", "\0") for group in groups), max(20, width - 2))
    return [Text(f" {line}".replace("\0", " "), style="dim") for line in lines[:KEY_LINES_MAX]]


def _line(key: str, words: str, width: int, style: str = "") -> Text:
    line = Text(fit(f" {key}", _KEY_CELLS), style="")
    line.append(cut_end(plain(words), max(0, width - _KEY_CELLS)), style=style)
    return line
