"""The question before a restore over the live database: what will happen, and its name to be typed."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Button, Input

from replication.errors import ReplicationError
from replication.restore.kept import kept_path
from tui.restore.run.screen import Request, RestoringScreen
from tui.text.blocks import error_lines
from tui.text.cells import cut_end
from tui.text.format import plain
from tui.text.naming import host_of
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen


class OverScreen(ShellScreen):
    """Opened with a request whose output is the live database. Letters are those of its name from the first on, and
    only the name goes on.
    """

    PLACE = "over"
    AUTO_FOCUS = "#name"
    CSS_PATH = "over_live.tcss"

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._file_name = Path(request.database).name
        self._kept: Path | None = None
        """Where the old content will be: chosen once, so that it is what the user was told."""
        self._refusal = ""
        """Why it cannot be restored over."""

    def compose(self) -> ComposeResult:
        yield Lines(id="text")
        yield Lines(id="ask")
        yield Input(id="name", placeholder=f"{self._file_name}, then enter; esc cancels", compact=True)
        yield Lines(id="refused")
        yield Button("Cancel", id="cancel", compact=True)
        yield self.footer()

    def on_mount(self) -> None:
        # Before anything is painted: on a busy machine the name may have been typed by then.
        try:
            self._kept = _kept(self._request.database, datetime.fromtimestamp(self.shell.now(), UTC))
        except ReplicationError as error:
            self._refusal = str(error)

    def show(self, view: View) -> None:
        width = self.size.width
        title = "restore over the live database?"
        lines = [Text(cut_end(f" {title}".ljust(width), width), style="bold white on red"), Text()]
        if self._kept is None:
            self.query_one("#text", Lines).set_lines([*lines, *error_lines(self._refusal, width)])
            return
        words = [
            f"The live database {self._request.database}",
            f"gets the content that it had at {self._request.when},",
            f"{self._request.options.target}.",
            "",
            "Stop the application first: while it has the database open, nothing is done.",
            "Replication of this database is paused meanwhile, and goes on by itself.",
            "What it holds now is kept beside it, in a file of its own:",
            f"{self._kept.name}",
            "A new generation begins; what the replica holds stays restorable.",
        ]
        lines += [
            Text(cut_end(f" {plain(line)}", width), style="bold" if n == 0 else "") for n, line in enumerate(words)
        ]
        self.query_one("#text", Lines).set_lines(lines)
        self.query_one("#ask", Lines).set_lines(
            [Text(f" Type its name, {plain(self._file_name)}, and enter to restore over it:", style="bold")]
        )

    @on(Button.Pressed, "#cancel")
    def _cancelled(self, event: Button.Pressed) -> None:
        event.stop()
        self.shell.tell("Cancelled: nothing was done")
        self.app.pop_screen()

    @on(Input.Submitted, "#name")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        if self._kept is None:
            self.shell.tell("It cannot be restored over. Nothing was done", "warning")
        elif event.value == self._file_name:
            self.app.switch_screen(RestoringScreen(replace(self._request, kept=self._kept)))
        else:
            words = f"That is not {plain(self._file_name)}. Nothing was done; esc cancels"
            self.query_one("#refused", Lines).set_lines([Text(f" {words}", style="yellow")])

    def action_back(self) -> None:
        self.shell.tell("Cancelled: nothing was done")
        self.app.pop_screen()

    def action_next_panel(self) -> None:
        self.focus_next()


def _kept(database: str, now: datetime) -> Path:
    """The name that its content gets. On another host it is not known here whether it is free; nothing is lost by that:
    the engine there writes over nothing.
    """
    if host_of(database):
        return Path(f"{database}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    return kept_path(Path(database), now)
