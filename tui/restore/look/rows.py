"""The rows of one table that differ between the chosen point and today, a bounded number; marked ones come back."""

import threading
from typing import TYPE_CHECKING

from rich.text import Text

from replication.control.requests import Rows
from replication.errors import ReplicationError
from replication.sqlite.diff import Differences
from tui.restore.back.screen import BringBackScreen
from tui.restore.look.lines import difference_lines
from tui.restore.look.sql import SQLScreen
from tui.restore.run.screen import Request
from tui.session.jobs import followed
from tui.text.blocks import error_lines, rule
from tui.text.format import counted
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ScrollingScreen

if TYPE_CHECKING:
    from tui.restore.picker.reading import HistoryReader

MARKED_CHARS_MAX = 40_000
"""Characters that the conditions of all marked rows may have: a request to the engine holds no more."""


class DifferencesScreen(ScrollingScreen):
    """Opened with the id of a look, which stays its owner's, and the name of a table."""

    PLACE = "differences"

    def __init__(
        self, job_id: str, table: str, request: Request, reader: "HistoryReader", cancel: threading.Event
    ) -> None:
        super().__init__()
        self._job_id = job_id
        self._table = table
        self._request = request
        self._reader = reader
        self._cancel = cancel
        self._found: Differences | None = None
        self._lines: list[tuple[int, Text]] = []
        """Each with the number of its row."""
        self._marked: set[int] = set()
        self._error: ReplicationError | None = None

    def on_mount(self) -> None:
        control, leaving, request = self.shell.control, self.shell.leaving, Rows(look=self._job_id, table=self._table)
        self.shell.in_background(
            lambda: followed(control, request, leaving, self._cancel).result, self._compared, self._failed
        )

    def _compared(self, found: Differences) -> None:
        self._found = found
        if self.is_attached:
            self.draw()

    def _failed(self, error: ReplicationError) -> None:
        self._error = error
        if self.is_attached:
            self.draw()

    def show(self, view: View) -> None:
        self.draw()

    def count(self) -> int:
        return len(self._lines)

    # -- keys -------------------------------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark the row under the cursor, and go on to the next one."""
        if self._found is None or not self._lines:
            return
        row = self._lines[self.scroll.cursor][0]
        if not self._found.rows[row].where:
            self.shell.tell("This row was not there then, or its key is too long to be marked", "warning")
            return
        self._marked ^= {row}
        later = next((line for line in range(self.scroll.cursor, len(self._lines)) if self._lines[line][0] > row), None)
        if later is not None:
            self.scroll.cursor = later
        self.draw()

    def action_bring_back(self) -> None:
        """The marked rows, or all of the table."""
        if self._found is None:
            self.shell.tell("The rows are still being read" if not self._error else "There is nothing to bring back")
            return
        where = " OR ".join(f"({self._found.rows[row].where})" for row in sorted(self._marked))
        if len(where) > MARKED_CHARS_MAX:
            self.shell.tell("So many rows cannot be marked at once: mark fewer, or none for all of them", "warning")
            return
        words = f"{counted(len(self._marked), 'row')} of {self._table}" if self._marked else ""
        self.app.push_screen(BringBackScreen(self._request.rows((self._table,), where, words)))

    def action_sql(self) -> None:
        self.app.push_screen(SQLScreen(self._request, self._reader, self._table))

    # -- showing ----------------------------------------------------------------------------------------------------

    def paint(self) -> None:
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        marked = f"{len(self._marked)} marked" if self._marked else ""
        head = [rule(f"{self._table}: {self._request.when} and today", width, style, marked)]
        found, lines, words = self._found, [Text(" comparing; esc goes back")], []
        if self._error:
            lines = error_lines(str(self._error), width)
        elif found is not None:
            head.append(Text(" - gone since then   + added since then   ~ changed: then, and today", style="dim"))
            titles, self._lines = difference_lines(found, frozenset(self._marked), width, style)
            head += titles
            words = error_lines(found.words, width, "")
            seen = self.scroll.keep(len(self._lines), self.list_area.size.height)
            lines = []
            for number in seen:
                line = self._lines[number][1].copy()
                if number == self.scroll.cursor:
                    line.stylize("reverse")
                lines.append(line)
            if not self._lines and found.columns:
                lines = [Text(" No row differs.")]
        self.query_one("#head", Lines).set_lines(head)
        self.list_area.set_lines(lines)
        self.query_one("#words", Lines).set_lines(words)
