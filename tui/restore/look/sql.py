"""SQL asked of the database as it was at the chosen point: it only reads, and that moment is on no disk here."""

import threading
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from replication.errors import ReplicationError, RestoreCancelledError
from tui.restore.run.screen import Request
from tui.text.blocks import error_lines, rule
from tui.text.cells import cut_end, fit
from tui.text.format import counted, plain
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ListArea, ScrollingScreen

if TYPE_CHECKING:
    from replication.history.past import Answer
    from tui.restore.picker.reading import HistoryReader

_CELLS_MIN, _CELLS_MAX = 4, 40
"""A column of the answer."""


class SQLScreen(ScrollingScreen):
    """Opened with the request that a restore would have, and who asks the engine about the past."""

    PLACE = "sql"
    AUTO_FOCUS = "#typed"
    CSS_PATH = "sql.tcss"

    def __init__(self, request: Request, reader: "HistoryReader", table: str = "") -> None:
        super().__init__()
        self._request = request
        self._reader = reader
        self._first = f'SELECT * FROM "{table.replace(chr(34), chr(34) * 2)}"' if table else ""
        self._asked = ""
        self._cancel: threading.Event | None = None
        """Cancels the question under way."""
        self._answer: Answer | None = None
        self._error = ""

    def compose(self) -> ComposeResult:
        yield Lines(id="head")
        yield Input(
            self._first, id="typed", compact=True, placeholder="SELECT count(*) FROM orders", select_on_focus=False
        )
        yield Lines(id="titles")
        yield ListArea()
        yield Lines(id="words")
        yield self.footer()

    def on_unmount(self) -> None:
        if self._cancel is not None:
            self._cancel.set()

    @on(Input.Submitted, "#typed")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        sql = event.value.strip()
        if self._cancel is not None or not sql:
            return
        cancel, reader, request = threading.Event(), self._reader, self._request
        self._cancel, self._asked, self._error, self._answer = cancel, sql, "", None

        def answered(found: "Answer") -> None:
            self._cancel, self._answer = None, found
            self.scroll.first()
            self._draw_if_there()

        def failed(error: ReplicationError) -> None:
            is_cancelled = isinstance(error, RestoreCancelledError)
            self._cancel, self._error = None, "cancelled" if is_cancelled else str(error)
            self._draw_if_there()

        self.shell.in_background(
            lambda: reader.answer(request.replica, request.position, sql, cancel), answered, failed
        )
        self.draw()

    def action_back(self) -> None:
        """Cancel the question, or go back."""
        if self._cancel is not None:
            self._cancel.set()
        else:
            self.app.pop_screen()

    # -- showing ----------------------------------------------------------------------------------------------------

    def show(self, view: View) -> None:
        self.draw()

    def count(self) -> int:
        return len(self._answer.rows) if self._answer is not None else 0

    def _draw_if_there(self) -> None:
        if self.is_attached:
            self.draw()

    def paint(self) -> None:
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        self.query_one("#head", Lines).set_lines([rule(f"SQL as of {self._request.when}", width, style)])
        titles: list[Text] = []
        lines: list[Text] = []
        words: list[Text] = []
        found = self._answer
        if self._cancel is not None:
            words = [Text(" asking; esc cancels")]
        elif self._error:
            words = error_lines(self._error, width)
        elif found is not None:
            widths = _widths(found)
            titles = [_line(found.columns, widths, width, "bold")]
            seen = self.scroll.keep(len(found.rows), self.list_area.size.height)
            lines = [_line(found.rows[number], widths, width, "") for number in seen]
            more = ", and there are more" if found.more else ""
            words = [Text(f" {counted(len(found.rows), 'row')}{more}", style="dim")]
        self.query_one("#titles", Lines).set_lines(titles)
        self.list_area.set_lines(lines)
        self.query_one("#words", Lines).set_lines(words)


def _widths(found: "Answer") -> list[int]:
    rows = [found.columns, *found.rows]
    return [
        max(_CELLS_MIN, min(_CELLS_MAX, max(len(_cell(row[column])) for row in rows)))
        for column in range(len(found.columns))
    ]


def _line(values: tuple[str | None, ...], widths: list[int], width: int, style: str) -> Text:
    cells = "  ".join(fit(_cell(value), cells) for value, cells in zip(values, widths, strict=True))
    return Text(cut_end(f" {cells}", width), style=style)


def _cell(value: str | None) -> str:
    return plain(value) if value is not None else "NULL"
