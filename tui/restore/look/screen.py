"""Look before you restore: the tables of the database at the chosen point, beside today's, and rows that differ.

The database of that moment is a temporary file, gone when this screen is left. The live one is only read.
"""

import threading
from typing import TYPE_CHECKING

from rich.text import Text

from replication.control.values import JobStatus
from replication.errors import ReplicationError, RestoreCancelledError
from replication.restore.restore import RestoreProgress
from replication.sqlite.diff import TableCount
from tui.restore.back.screen import BringBackScreen
from tui.restore.look.lines import table_head, table_row, worst_first
from tui.restore.look.rows import DifferencesScreen
from tui.restore.look.sql import SQLScreen
from tui.restore.run.screen import DRAW_SECONDS, Request
from tui.session.jobs import LeftError, followed
from tui.text.blocks import error_lines, rule
from tui.text.format import size
from tui.text.naming import short_name
from tui.text.style import Style
from tui.view import Shell, View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ScrollingScreen

if TYPE_CHECKING:
    from tui.restore.picker.reading import HistoryReader


class LookScreen(ScrollingScreen):
    """Opened with the request that a restore would have, and the reader that asks the engine about the past."""

    PLACE = "preview"

    def __init__(self, request: Request, reader: "HistoryReader") -> None:
        super().__init__()
        self._request = request
        self._reader = reader
        self._cancel = threading.Event()
        self._progress: RestoreProgress | None = None
        self._job_id = ""
        """The id of the job that keeps the database of that moment open."""
        self._tables: list[TableCount] | None = None
        self._error: ReplicationError | None = None

    def on_mount(self) -> None:
        shell = self.shell
        self.set_interval(DRAW_SECONDS, self._draw_progress)
        shell.in_background(lambda: self._open(shell), self._opened, self._failed)

    def on_unmount(self) -> None:
        self._cancel.set()
        job_id, self._job_id = self._job_id, ""
        if job_id:
            _forget(self.shell, job_id)

    def _open(self, shell: Shell) -> JobStatus | None:
        """Let the engine restore, open and count. Return the job, or None if the screen was left meanwhile."""
        try:
            return followed(shell.control, self._request.look(), shell.leaving, self._cancel, self._told)
        except (RestoreCancelledError, LeftError):
            return None

    def _opened(self, found: JobStatus | None) -> None:
        if found is None:
            return
        if not self.is_attached:
            _forget(self.shell, found.id)
            return
        self._job_id, self._tables = found.id, worst_first(found.result)
        self.draw()

    def _failed(self, error: ReplicationError) -> None:
        self._error = error
        if self.is_attached:
            self.draw()

    def _told(self, job: JobStatus) -> None:
        self._progress = job.progress

    # -- showing ----------------------------------------------------------------------------------------------------

    def show(self, view: View) -> None:
        self.draw()

    def count(self) -> int:
        return len(self._tables or ())

    def _draw_progress(self) -> None:
        if self._tables is None and not self._error:
            self.draw()

    def paint(self) -> None:
        options, width, request = self.shell.options, self.size.width, self._request
        style = Style(options.ascii, options.slow, self.shell.now())
        head = [rule(f"{short_name(request.database)} as of {request.when}, {request.options.target}", width, style)]
        lines: list[Text] = []
        words: list[Text] = []
        if self._error:
            lines = error_lines(str(self._error), width)
        elif self._tables is None:
            lines = [Text(f" {self._how_far()}; esc goes back")]
        elif not self._tables:
            lines = [Text(" There was no table in it.")]
        else:
            head.append(table_head(width))
            seen = self.scroll.keep(len(self._tables), self.list_area.size.height)
            cursor = self.scroll.cursor
            lines = [table_row(self._tables[number], number == cursor, width, style) for number in seen]
            if note := self._tables[cursor].words:
                words = error_lines(note, width, "yellow")
        self.query_one("#head", Lines).set_lines(head)
        self.list_area.set_lines(lines)
        self.query_one("#words", Lines).set_lines(words)

    def _how_far(self) -> str:
        progress = self._progress
        if progress is None or progress.phase == "plan":
            return "listing the replica"
        if progress.phase == "done":
            return "counting rows"
        return f"restoring to a temporary file: {size(progress.bytes_done)} of {size(progress.bytes_total)}"

    def action_rows(self) -> None:
        """The rows of the table under the cursor that differ."""
        if self._job_id and self._tables:
            table = self._tables[self.scroll.cursor]
            self.app.push_screen(DifferencesScreen(self._job_id, table.name, self._request, self._reader, self._cancel))

    def action_bring_back(self) -> None:
        """All rows of the table under the cursor."""
        if not self._tables:
            self.shell.tell("The tables are still being read" if not self._error else "There is nothing to bring back")
            return
        table = self._tables[self.scroll.cursor]
        if table.then is None and not table.words:
            self.shell.tell(f"{table.name} was not there then", "warning")
        else:
            self.app.push_screen(BringBackScreen(self._request.rows((table.name,))))

    def action_sql(self) -> None:
        self.app.push_screen(SQLScreen(self._request, self._reader))


def _forget(shell: Shell, job_id: str) -> None:
    """Let the engine remove what it keeps for a look; one that has ended has done so."""
    shell.in_background(lambda: shell.control.forget(job_id), None, lambda error: None)
