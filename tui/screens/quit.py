"""Quit while something is not uploaded: wait for it, leave now, or stay."""

from rich.text import Text
from textual.app import ComposeResult

from tui.blocks import rule
from tui.format import size
from tui.look import Look
from tui.overview import queue
from tui.screens.base import ShellScreen
from tui.states import left_to_upload
from tui.view import View
from tui.widgets.lines import Lines


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
        what = "waiting, then the program ends" if self._waiting else "w waits for it and quits, n quits now, esc stays"
        self.query_one(Lines).set_lines(
            [
                rule("quit", width, look),
                Text(f" {size(left)} not uploaded: {what}", style="bold"),
                Text(" Nothing is lost by quitting now: it goes with the next start."),
                rule("upload queue", width, look),
                *queue(view.status.databases, width, max(1, self.size.height - 6), look),
            ]
        )

    def action_wait_and_quit(self) -> None:
        self._waiting = True
        self.shell.poll()

    def action_quit_now(self) -> None:
        self.shell.leave(hurried=True)

    def action_quit(self) -> None:
        """q again is not an answer: it could be a key held too long."""
