"""Tables and rows of two moments as lines of text. Pure."""

from collections.abc import Iterable

from rich.text import Text

from replication.sqlite.diff import Differences, RowDifference, TableCount
from tui.text.cells import cut_end, fit
from tui.text.format import plain
from tui.text.style import Style

_NUMBER_CELLS = 14
_CELLS_MIN, _CELLS_MAX = 6, 30
"""A column of a table of rows."""

_SIGNS = {"gone": ("-", "red"), "added": ("+", "green"), "changed": ("~", "yellow")}


def worst_first(tables: Iterable[TableCount]) -> list[TableCount]:
    """Those that are gone first, then those with fewer rows, each as they came: by name."""
    return sorted(tables, key=_loss)


def _loss(table: TableCount) -> int:
    if table.then is None:
        return 2
    if table.today is None:
        return 2 if table.words else 0
    return 1 if table.today < table.then else 2


def table_head(width: int) -> Text:
    """Above the tables."""
    words = f"{'ROWS THEN':>{_NUMBER_CELLS}}{'ROWS TODAY':>{_NUMBER_CELLS}}{'DIFFERENCE':>{_NUMBER_CELLS}}"
    return Text(cut_end(f" {fit('TABLE', _name(width))}{words}", width), style="bold")


def table_row(table: TableCount, chosen: bool, width: int, style: Style) -> Text:
    """One table: rows then, rows today, and what that says."""
    then, today = _count(table.then), _count(table.today)
    if table.then is not None and table.today is not None:
        less = table.then - table.today
        difference, colour = (f"{-less:+,}" if less else "same number"), ("red" if less > 0 else "")
    elif table.then is not None and not table.words:
        difference, colour = "gone today", "bold red"
    elif table.today is not None and not table.words:
        difference, colour = "new since", "green"
    else:
        difference, colour = style.mark("…", "..."), ""
    line = Text(f"{'>' if chosen else ' '}{fit(plain(table.name), _name(width))}", style="bold" if chosen else "")
    line.append(f"{then:>{_NUMBER_CELLS}}{today:>{_NUMBER_CELLS}}", style="")
    line.append(f"{difference:>{_NUMBER_CELLS}}", style=colour)
    line.truncate(width, overflow="ellipsis")
    return line


def difference_lines(
    found: Differences, marked: frozenset[int], width: int, style: Style
) -> tuple[list[Text], list[tuple[int, Text]]]:
    """The titles of the columns; then each row that differs, with its number: gone with -, added with +, changed with ~
    and two lines.
    """
    if not found.columns:
        return [], []
    widths = _widths(found, width)
    lines: list[tuple[int, Text]] = []
    for number, row in enumerate(found.rows):
        sign, colour = _SIGNS[row.kind]
        mark = style.mark("✓", "*") if number in marked else " "
        if row.kind == "changed":
            lines.append((number, _line(f"{mark}{sign}-", row.then, widths, width, colour)))
            lines.append((number, _line(f" {sign}+", row.today, widths, width, colour)))
        else:
            lines.append((number, _line(f"{mark}{sign}", row.then or row.today, widths, width, colour)))
    return [_line(" ", found.columns, widths, width, "bold")], lines


def _widths(found: Differences, width: int) -> list[int]:
    """Cells for each column: what its values need, up to a bound."""
    columns = range(len(found.columns))
    values = [found.columns, *(side for row in found.rows for side in _sides(row))]
    return [max(_CELLS_MIN, min(_CELLS_MAX, max(len(value[column]) for value in values))) for column in columns]


def _sides(row: RowDifference) -> list[tuple[str, ...]]:
    return [side for side in (row.then, row.today) if side]


def _line(sign: str, values: tuple[str, ...], widths: list[int], width: int, style: str) -> Text:
    cells = "  ".join(fit(plain(value), cells) for value, cells in zip(values, widths, strict=True))
    return Text(cut_end(f"{sign:4}{cells}", width), style=style)


def _count(count: int | None) -> str:
    return f"{count:,}" if count is not None else "-"


def _name(width: int) -> int:
    return max(10, width - 3 * _NUMBER_CELLS - 2)
