"""Bring rows back: what it would do, then, by enter, what it did. Or the rows are written to a file.

The engine does all of it; nothing is changed before enter, and enter does nothing before the preview stands there.
"""

import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, get_args

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from replication.control.requests import BringBack, PreviewBack, WriteRows
from replication.control.values import JobStatus
from replication.errors import ReplicationError, RestoreCancelledError, UsageError
from replication.position import Position
from replication.recall.wanted import Pick
from replication.sqlite.brought import OnConflict
from tui.restore.back.lines import brought_lines, preview_lines
from tui.session.jobs import followed
from tui.text.blocks import error_lines, rule
from tui.text.cells import cut_start
from tui.text.naming import output_beside, short_name, split
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.prompt import Prompt
from tui.widgets.scrolling import ListArea, ScrollingScreen

if TYPE_CHECKING:
    from replication.recall.recall import Brought, Preview

CONFLICTS: tuple[OnConflict, ...] = get_args(OnConflict)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows: of tables at a commit that a replica holds, all or those of which `where` is true. `words` say so."""

    database: str
    replica: str
    position: Position
    when: str
    tables: tuple[str, ...]
    where: str = ""
    words: str = ""


class BringBackScreen(ScrollingScreen):
    """Opened with the rows."""

    PLACE = "bring_back"
    CSS_PATH = "back.tcss"

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self._rows = rows
        self._conflict: OnConflict = "skip"
        self._cancel = threading.Event()
        self._job = ""
        """The job that keeps the rows of the preview."""
        self._preview: Preview | None = None
        self._brought: Brought | None = None
        self._doing = ""
        """What is under way, in words."""
        self._how_far = ""
        self._written = ""
        """Where the rows were written to."""
        self._error: ReplicationError | None = None
        self._lines: list[Text] = []

    def compose(self) -> ComposeResult:
        yield Lines(id="head")
        yield ListArea()
        yield Lines(id="words")
        yield Prompt("prompt", "path of a file that is not there yet: NAME.sql or NAME.csv")
        yield self.footer()

    def on_mount(self) -> None:
        self.set_interval(0.25, self._draw_progress)
        self._look()

    def on_unmount(self) -> None:
        self._cancel.set()
        self._forget()

    # -- what the engine is asked -----------------------------------------------------------------------------------

    def _look(self) -> None:
        """Ask what would happen."""
        self._forget()
        self._preview, self._error = None, None
        shell, rows, conflict = self.shell, self._rows, self._conflict

        request = PreviewBack(
            database=rows.database,
            replica=rows.replica,
            generation=rows.position.generation,
            position=str(rows.position),
            picks=tuple(Pick(table, rows.where) for table in rows.tables),
            on_conflict=conflict,
        )

        def said(job: JobStatus) -> None:
            self._job, self._preview = job.id, job.result.preview
            if not self.is_attached:
                self._forget()

        self._do(
            "reading the rows, and trying it out",
            lambda: followed(shell.control, request, shell.leaving, self._cancel, self._told),
            said,
        )

    def _do(self, words: str, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """Do one thing in a thread; what went wrong is shown."""
        self._doing, self._how_far = words, ""

        def ended(result: T) -> None:
            self._doing = ""
            done(result)
            self.draw_if_there()

        def failed(error: ReplicationError) -> None:
            self._doing = ""
            if not (isinstance(error, RestoreCancelledError) and self._cancel.is_set()):
                self._error = error
            self.draw_if_there()

        self.shell.in_background(work, ended, failed)
        self.draw()

    def _told(self, job: JobStatus) -> None:
        self._how_far = job.words

    def _forget(self) -> None:
        job, self._job = self._job, ""
        if job:
            control = self.shell.control
            self.shell.in_background(lambda: control.forget(job), None, lambda error: None)

    # -- keys -------------------------------------------------------------------------------------------------------

    def action_apply(self) -> None:
        """Do what the preview says; afterwards close."""
        preview, shell, rows = self._preview, self.shell, self._rows
        if self._brought is not None:
            self._leave()
        elif self._doing:
            shell.tell(f"Wait: {self._doing}")
        elif preview is None or not preview.report.changes_something or preview.is_stopped:
            shell.tell("Nothing would be brought back", "warning")
        else:
            request = BringBack(preview=self._job, database=rows.database)

            def done(job: JobStatus) -> None:
                self._brought = job.result
                shell.poll()
                if not self.is_attached:
                    shell.tell(f"rows of {', '.join(rows.tables)} were brought back into {short_name(rows.database)}")

            # It goes on when this screen is left: then esc was no answer to it.
            self._do(
                "bringing rows back", lambda: followed(shell.control, request, shell.leaving, None, self._told), done
            )

    def action_conflict(self) -> None:
        """Skip, replace or abort, and what that would do."""
        if self._doing or self._brought is not None:
            self.shell.tell(f"Wait: {self._doing}" if self._doing else "It is done")
            return
        self._conflict = CONFLICTS[(CONFLICTS.index(self._conflict) + 1) % len(CONFLICTS)]
        self._look()

    def action_copy_command(self) -> None:
        """Once it is done, the command that gives back what there was; before, the one that does it."""
        rows = self._rows
        if self._brought is not None:
            self.copy(_again(self._brought))
            return
        words = ["litestream-tui", "bring-back", "-apply", "-on-conflict", self._conflict]
        for table in rows.tables:
            words += ["-table", table]
        words += ["-where", rows.where] if rows.where else []
        self.copy(shlex.join([*words, split(rows.database)[1], str(rows.position)]))

    def action_write(self) -> None:
        """Write the rows to a file."""
        if self._preview is None or not self._job:
            self.shell.tell(f"Wait: {self._doing}" if self._doing else "There are no rows to write", "warning")
            return
        self.query_one(Prompt).ask(f"{self._rows.database}.{self._rows.tables[0]}.sql")

    @on(Input.Submitted, "#prompt")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        shell, rows = self.shell, self._rows
        try:
            if not event.value.strip():
                raise UsageError("Type the path of a file")
            output = output_beside(rows.database, event.value.strip())
        except UsageError as error:
            shell.tell(str(error), "warning")
            return
        self.query_one(Prompt).close()
        self._error = None
        request = WriteRows(preview=self._job, output=str(output))

        def written(job: JobStatus) -> None:
            self._written = str(job.result)

        self._do(
            "writing rows", lambda: followed(shell.control, request, shell.leaving, self._cancel, self._told), written
        )

    def action_back(self) -> None:
        if not self.query_one(Prompt).close():
            self._leave()

    def _leave(self) -> None:
        """Back to where the rows were chosen; once they are there, to the picker: what was looked at is not so now."""
        self.app.pop_screen()
        while self._brought is not None and isinstance(self.app.screen, ScrollingScreen):
            self.app.pop_screen()

    # -- showing ----------------------------------------------------------------------------------------------------

    def show(self, view: View) -> None:
        self.draw()

    def draw_if_there(self) -> None:
        if self.is_attached:
            self.draw()

    def _draw_progress(self) -> None:
        if self._doing:
            self.draw()

    def count(self) -> int:
        return len(self._lines)

    def paint(self) -> None:
        options, width, rows = self.shell.options, self.size.width, self._rows
        style = Style(options.ascii, options.slow, self.shell.now())
        what = rows.words or ", ".join(rows.tables)
        self.query_one("#head", Lines).set_lines([rule(f"bring back {what} as of {rows.when}", width, style)])
        if self._brought is not None:
            self._lines = brought_lines(self._brought, _again(self._brought), width, style)
        elif self._preview is not None:
            self._lines = preview_lines(self._preview, width, style)
        else:
            self._lines = [] if self._error is not None else [Text(f" {self._doing}")]
        seen = self.scroll.keep(len(self._lines), self.list_area.size.height)
        self.list_area.set_lines([self._lines[number] for number in seen])
        words: list[Text] = []
        if self._written:
            words.append(Text(f" written to {cut_start(self._written, width - 13)}", style="green"))
        if self._error is not None:
            words += error_lines(str(self._error), width)
        elif self._doing and self._preview is not None:
            words.append(Text(f" {self._doing}: {self._how_far}" if self._how_far else f" {self._doing}"))
        if self._brought is not None:
            words.append(Text(" enter or esc closes this", style="dim"))
        self.query_one("#words", Lines).set_lines(words)


def _again(brought: "Brought") -> str:
    path = brought.database
    return shlex.join(["litestream-tui", "restore", "-position", str(brought.before), "-o", f"{path}.before", path])
