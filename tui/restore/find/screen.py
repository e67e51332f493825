"""The dialog of a search: what to look for, how far it is, and in words why nothing was found.

It asks the engine for a job and is dismissed with what that found; leaving it cancels the job.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from replication.control.values import JobStatus
from replication.errors import ReplicationError, RestoreCancelledError, UsageError
from replication.position import Position
from tui.restore.find.wanted import KINDS, request
from tui.session.jobs import LeftError, followed
from tui.text.blocks import error_lines, rule
from tui.text.cells import cut_end
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen

if TYPE_CHECKING:
    from replication.control.results import Discovery


class FindScreen(ShellScreen, ModalScreen[None]):
    """Opened with where to look; `at` is the point of the cursor. `found` is called once it has closed."""

    PLACE = "find"
    AUTO_FOCUS = "#typed"
    CSS_PATH = "find.tcss"

    def __init__(
        self,
        database: str,
        replica: str,
        generation: str,
        at: Position | None,
        found: Callable[["Discovery"], None],
    ) -> None:
        super().__init__()
        self._database = database
        self._replica = replica
        self._generation = generation
        self._at = at
        self._found = found
        self._kind = 0
        self._from_cursor = False
        self._cancel: threading.Event | None = None
        """Cancels the search under way."""
        self._words = ""
        """How far that is."""
        self._result: Discovery | None = None
        self._error = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Lines(id="kinds")
            yield Input(id="typed", compact=True)
            yield Lines(id="words")
        yield self.footer()

    def on_unmount(self) -> None:
        if self._cancel is not None:
            self._cancel.set()

    # -- showing ----------------------------------------------------------------------------------------------------

    def show(self, view: View) -> None:
        if self._result is not None:
            # In front, whatever was opened over it while it searched.
            found, self._result = self._result, None
            self.app.pop_screen()
            self._found(found)
            return
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        where = f"generation {self._generation[:8]}" if self._from_cursor else "all generations"
        lines = [rule(f"find the last commit before {style.mark('…', '...')} in {where}", width, style)]
        for number, kind in enumerate(KINDS):
            line = Text(cut_end(f" {'>' if number == self._kind else ' '} {kind.words}", width))
            if number == self._kind:
                line.stylize("bold")
            lines.append(line)
        place = self.query_one(Input)
        place.placeholder = KINDS[self._kind].example
        self.query_one("#kinds", Lines).set_lines(lines)
        where = "from the point of the cursor back" if self._from_cursor else "from the newest commit back"
        other = "from the newest commit" if self._from_cursor else "from the cursor"
        words = [Text(cut_end(f"   {where}; tab: {other}", width), style="dim")]
        if self._cancel is not None:
            words.append(Text(cut_end(f"   searching: {self._words or 'listing the replica'}; esc cancels", width)))
        elif self._error:
            words += error_lines(self._error, width, "yellow")
        self.query_one("#words", Lines).set_lines(words)

    # -- keys -------------------------------------------------------------------------------------------------------

    def action_up(self) -> None:
        self._choose(self._kind - 1)

    def action_down(self) -> None:
        self._choose(self._kind + 1)

    def _choose(self, kind: int) -> None:
        if self._cancel is None:
            self._kind, self._error = max(0, min(kind, len(KINDS) - 1)), ""
            self.shell.show_again()

    def action_next_panel(self) -> None:
        """Look from the cursor back, or from the newest commit."""
        if self._at is not None and self._cancel is None:
            self._from_cursor = not self._from_cursor
            self.shell.show_again()

    def action_back(self) -> None:
        """Cancel the search, or go back."""
        if self._cancel is not None:
            self._cancel.set()
        else:
            self.app.pop_screen()

    @on(Input.Submitted, "#typed")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        if self._cancel is not None:
            return
        until, generation = (self._at, self._generation) if self._from_cursor else (None, "")
        try:
            asked = request(KINDS[self._kind], event.value, self._database, self._replica, generation, until)
        except UsageError as error:
            self._error = str(error)
            self.shell.show_again()
            return
        shell, cancel = self.shell, threading.Event()
        self._cancel, self._words, self._error = cancel, "", ""

        def told(job: JobStatus) -> None:
            self._words = job.words

        def search() -> "Discovery | None":
            try:
                found: Discovery = followed(shell.control, asked, shell.leaving, cancel, told).result
            except (RestoreCancelledError, LeftError):
                return None
            return found

        shell.in_background(search, self._ended, self._failed)
        self.shell.show_again()

    # -- what came of it --------------------------------------------------------------------------------------------

    def _ended(self, found: "Discovery | None") -> None:
        self._cancel, self._result = None, found
        self._error = "" if found is not None else "cancelled"
        if self.is_attached:
            self.shell.show_again()

    def _failed(self, error: ReplicationError) -> None:
        self._cancel, self._error = None, str(error)
        if self.is_attached:
            self.shell.show_again()
