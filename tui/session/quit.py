"""Quit while something is not uploaded, or a database is paused: wait for it, leave now, or stay."""

from textwrap import wrap

from rich.text import Text
from textual.app import ComposeResult

from tui.dashboard.panels import queue
from tui.text.blocks import rule
from tui.text.cells import cut_end
from tui.text.format import plain, size
from tui.text.look import Look
from tui.text.states import left_to_upload, stopped
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen

NAMES_MAX = 3
_PAUSED_WORDS = (
    "What was committed there since is in no replica, and stays so until the program runs again: if this disk is lost "
    "before, it is lost. esc, then P lets it go on; n quits now."
)


class QuitScreen(ShellScreen):
    """It ends the program by itself once everything is uploaded, if the user chose to wait."""

    PLACE = "quit"
    CSS = "QuitScreen #text { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self._waiting = False

    def compose(self) -> ComposeResult:
        yield Lines(id="text", fixed=True)
        yield self.footer()

    def show(self, view: View) -> None:
        left = left_to_upload(view.status)
        if self._waiting and not left:
            self.shell.leave()
            return
        options, width = self.shell.options, self.size.width
        look = Look(options.ascii, options.slow, self.shell.now())
        lines = [rule("quit", width, look)]
        if left:
            answers = "w waits for it and quits, n quits now, esc stays"
            what = "waiting, then the program ends" if self._waiting else answers
            lines.append(Text(f" {size(left)} not uploaded: {what}", style="bold"))
            lines.append(Text(" Nothing is lost by quitting now: it goes with the next start."))
        if paths := stopped(view.status):
            lines.append(Text(cut_end(f" Paused: {_names(paths)}", width), style="bold"))
            lines += [Text(f" {line}") for line in wrap(_PAUSED_WORDS, max(20, width - 2))]
        lines.append(rule("upload queue", width, look))
        lines += queue(view.status.databases, width, max(1, self.size.height - 1 - len(lines)), look)
        self.query_one(Lines).set_lines(lines)

    def action_wait_and_quit(self) -> None:
        self._waiting = True
        self.shell.poll()

    def action_quit_now(self) -> None:
        self.shell.leave(hurried=True)

    def action_quit(self) -> None:
        """q again is not an answer: it could be a key held too long."""


def _names(paths: list[str]) -> str:
    names = [plain(path).rpartition("/")[2] for path in paths[:NAMES_MAX]]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
