"""The commits around the cursor as lines of text: when, where, how much, and what they did to which tables. Pure.

Its promise: which kind of time it is, is said; and what was lost is said in words, and not by colour alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from replication.history.log import Entry, Touched
from replication.position import Position
from tui.restore.picker.near import Near
from tui.text.cells import cut_end, fit
from tui.text.format import plain, size
from tui.text.local import local
from tui.text.style import Style

_TIME_CELLS = 11
_COMMIT_CELLS_MIN = 14
_PAGES_CELLS, _BYTES_CELLS = 7, 8
_PAGES_FROM = 72
"""A narrower terminal has no column for pages, and the index of a commit without the zeros before it."""
_TABLES_CELLS_MIN, _TABLES_CELLS_MAX = 12, 40


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of the commits beside their places. `entries` has None for one of which nothing is told.

    `largest` stands out among `count`. `words` say what is not known, or what is read.
    """

    entries: Mapping[Position, Entry | None]
    largest: Position | None
    count: int
    frame_bytes: int
    words: str = ""
    is_reading: bool = False


def lines(rows: Sequence[Near], here: int, told: Told, width: int, style: Style) -> list[Text]:
    """A head, and a line for each commit."""
    wide = width >= _PAGES_FROM
    places = [_place(row.position, wide) for row in rows]
    commit = max(_COMMIT_CELLS_MIN if wide else 0, *map(len, places))
    day = local(rows[here].time).date()
    head = Text("  ", style="dim")
    head.append(f"{_kind(rows):<{_TIME_CELLS}}  {'COMMIT':<{commit}}")
    if wide:
        head.append(f"{'PAGES':>{_PAGES_CELLS}}")
    head.append(f"  {'BYTES':>{_BYTES_CELLS}}  ")
    room = width - head.cell_len - 1
    head.append(fit("TABLES", max(0, room) if not told.words else 8))
    if told.words:
        head.append(cut_end(plain(told.words), max(0, room - 8)), style="not dim")
    mixed = len({row.is_made for row in rows}) > 1
    found = [head]
    for number, row in enumerate(rows):
        entry = told.entries.get(row.position)
        moment = local(row.time)
        before = style.mark("≤", "<") if mixed and not row.is_made else ""
        shown = before + (f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}" if moment.date() == day else "")
        shown = shown if moment.date() == day else f"{before}{moment:%m-%d %H:%M}"
        line = Text(f"{'>' if number == here else ' '}{'S' if row.is_snapshot else ' '}")
        line.append(f"{fit(shown, _TIME_CELLS)}  {places[number]:<{commit}}")
        pages, count = _written(row, entry, told.frame_bytes)
        if wide:
            line.append(f"{pages:>{_PAGES_CELLS}}")
        line.append(f"  {count:>{_BYTES_CELLS}}  ")
        tables = Text("")
        if entry is not None:
            tables = _tables(entry, style)
        elif row.position not in told.entries and told.is_reading:
            tables = Text(style.mark("…", "..."), style="dim")
        mark = ""
        if row.position == told.largest:
            mark = f"  {style.mark('←', '<')} largest of {told.count:,}"
            # What was done comes first.
            mark = mark if room - len(mark) >= min(tables.cell_len, _TABLES_CELLS_MAX) else mark[:3]
        left = max(_TABLES_CELLS_MIN, room - len(mark))
        if tables.cell_len > left:
            tables.truncate(left - 1)
            tables.append("…")
        line.append_text(tables)
        line.append(mark, style="bold")
        line.truncate(width)
        if number == here:
            line.stylize("bold")
        found.append(line)
    return found


def _kind(rows: Sequence[Near]) -> str:
    """What kind of time the rows tell."""
    kinds = {row.is_made for row in rows}
    return "TIME" if len(kinds) > 1 else "COMMITTED" if kinds == {True} else "STORED"


def _written(row: Near, entry: Entry | None, frame_bytes: int) -> tuple[str, str]:
    """Pages and bytes; "-" while they are not known."""
    if entry is not None:
        return f"{entry.pages:,}", size(entry.bytes)
    if row.frames is None:
        return "-", "-"
    return f"{row.frames:,}", size(row.frames * frame_bytes)


def _tables(entry: Entry, style: Style) -> Text:
    """The tables that a commit touched, those first of which most became of."""
    found = Text()
    for table in sorted(entry.tables, key=_weight):
        if found:
            found.append(", ")
        lost = table.change == "gone" or (table.rows or 0) < 0
        found.append(_touched(table, style), style="red" if lost else "")
    if not entry.is_whole:
        found.append(style.mark(", …", ", ..."))
    return found


def _touched(table: Touched, style: Style) -> str:
    rows = " ?" if table.rows is None else f" {table.rows:+,}" if table.rows else ""
    return plain(table.name) + (f" {table.change}" if table.change else "") + rows.replace("-", style.mark("−", "-"))


def _weight(table: Touched) -> tuple[int, int]:
    return (-["", "altered", "made", "gone"].index(table.change), -abs(table.rows or 0))


def _place(position: Position, wide: bool) -> str:
    return f"{position.index:08x}:{position.offset}" if wide else f"{position.index:x}:{position.offset}"
