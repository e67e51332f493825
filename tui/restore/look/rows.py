"""The rows of one table that differ between the chosen point and today; a bounded number of them."""

import threading

from rich.text import Text

from replication.control.requests import Rows
from replication.errors import ReplicationError
from replication.sqlite.diff import Differences
from tui.restore.look.lines import difference_lines
from tui.session.jobs import followed
from tui.text.blocks import error_lines, rule
from tui.text.look import Look
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ScrollingScreen


class DifferencesScreen(ScrollingScreen):
    """Opened with the id of a look, which stays its owner's, and the name of a table."""

    PLACE = "differences"

    def __init__(self, look: str, table: str, when: str, cancel: threading.Event) -> None:
        super().__init__()
        self._look = look
        self._table = table
        self._when = when
        self._cancel = cancel
        self._found: Differences | None = None
        self._lines: list[Text] = []
        self._error: ReplicationError | None = None

    def on_mount(self) -> None:
        control, leaving, request = self.shell.control, self.shell.leaving, Rows(look=self._look, table=self._table)
        self.shell.in_background(
            lambda: followed(control, request, leaving, self._cancel).result, self._compared, self._failed
        )

    def _compared(self, found: Differences) -> None:
        self._found = found
        if self.is_attached:
            self._lines = difference_lines(found, self.size.width)
            self.draw()

    def _failed(self, error: ReplicationError) -> None:
        self._error = error
        if self.is_attached:
            self.draw()

    def show(self, view: View) -> None:
        if self._found is not None:
            self._lines = difference_lines(self._found, self.size.width)
        self.draw()

    def count(self) -> int:
        return max(0, len(self._lines) - 1)

    def paint(self) -> None:
        options, width = self.shell.options, self.size.width
        look = Look(options.ascii, options.slow, self.shell.now())
        head = [rule(f"{self._table}: {self._when} and today", width, look)]
        found, lines, words = self._found, [Text(" comparing; esc goes back")], []
        if self._error:
            lines = error_lines(str(self._error), width)
        elif found is not None:
            head.append(Text(" - gone since then   + added since then   ~ changed: then, and today", style="dim"))
            head += self._lines[:1]
            rows = self._lines[1:]
            words = error_lines(found.words, width, "")
            seen = self.scroll.keep(len(rows), self.list_area.size.height)
            lines = [rows[number] for number in seen]
            if not rows and found.columns:
                lines = [Text(" No row differs.")]
        self.query_one("#head", Lines).set_lines(head)
        self.list_area.set_lines(lines)
        self.query_one("#words", Lines).set_lines(words)
