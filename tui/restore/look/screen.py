"""Look before you restore: the tables of the database at the chosen point, beside today's, and rows that differ.

The database of that moment is a temporary file, gone when this screen is left. The live one is only read.
"""

import threading
from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult

from replication.errors import ReplicationError, RestoreCancelledError
from replication.restore.open_replicas import replicas_of
from replication.restore.preview import open_preview
from replication.restore.restore import RestoreProgress
from replication.sqlite.diff import DatabaseDiff, TableCount
from tui.restore.look.lines import table_head, table_row
from tui.restore.look.rows import DifferencesScreen
from tui.restore.run.screen import DRAW_SECONDS, Request
from tui.text.blocks import error_lines, rule
from tui.text.format import size
from tui.text.look import Look
from tui.view import Shell, View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ListArea, ScrollingScreen


class PreviewScreen(ScrollingScreen):
    """Opened with the request that a restore would have."""

    PLACE = "preview"

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._cancel = threading.Event()
        self._progress: RestoreProgress | None = None
        self._preview: DatabaseDiff | None = None
        self._tables: list[TableCount] | None = None
        self._error: ReplicationError | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="head")
        yield ListArea()
        yield Lines(id="words")
        yield self.footer()

    def on_mount(self) -> None:
        shell = self.shell
        self.set_interval(DRAW_SECONDS, self._draw_progress)
        shell.in_background(lambda: self._open(shell), self._opened, self._failed)

    def on_unmount(self) -> None:
        self._cancel.set()
        preview, self._preview = self._preview, None
        if preview is not None:
            # It may be busy with an answer, which ends soon as it is cancelled; the screen does not wait for it.
            self.shell.in_background(preview.close)

    def _open(self, shell: Shell) -> tuple[DatabaseDiff, list[TableCount]] | None:
        """Restore, open and count; None if the screen was left meanwhile."""
        request = self._request
        try:
            with replicas_of(shell.config, Path(request.database)) as sources:
                preview = open_preview(
                    request.among(sources),
                    request.replica,
                    Path(request.database),
                    request.options,
                    self._told,
                    self._cancel,
                )
        except RestoreCancelledError:
            return None
        try:
            return preview, preview.tables(self._cancel)
        except BaseException:
            preview.close()
            raise

    def _opened(self, found: tuple[DatabaseDiff, list[TableCount]] | None) -> None:
        if found is None:
            return
        if not self.is_attached:
            found[0].close()
            return
        self._preview, self._tables = found
        self.draw()

    def _failed(self, error: ReplicationError) -> None:
        self._error = error
        if self.is_attached:
            self.draw()

    def _told(self, progress: RestoreProgress) -> None:
        self._progress = progress

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
        look = Look(options.ascii, options.slow, self.shell.now())
        head = [rule(f"{Path(request.database).name} as of {request.when}, {request.options.target}", width, look)]
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
            lines = [table_row(self._tables[number], number == cursor, width, look) for number in seen]
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
        if self._preview is not None and self._tables:
            table = self._tables[self.scroll.cursor]
            self.app.push_screen(DifferencesScreen(self._preview, table.name, self._request.when, self._cancel))
