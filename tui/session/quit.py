"""Quit a screen that holds the engine: leave that running in the background, end it, or stay.

While a restore is under way, something is not uploaded, or a database is paused, it says so, and what becomes of it:
then wait for it, end now, or stay.
"""

from collections.abc import Sequence
from textwrap import wrap

from rich.text import Text
from textual.app import ComposeResult

from tui.dashboard.panels import queue
from tui.session.under_way import ENDED, UnderWay, job_words, under_way
from tui.text.blocks import rule
from tui.text.cells import cut_end
from tui.text.format import size
from tui.text.naming import short_name
from tui.text.states import stopped
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen

NAMES_MAX = 3
_PAUSED_WORDS = (
    "What was committed there since is in no replica, and stays so until the program runs again: if this disk is lost "
    "before, it is lost. esc, then P lets it go on; n quits now."
)


class QuitScreen(ShellScreen):
    """The question before the end. If the user waits, it ends the program once everything is uploaded."""

    PLACE = "quit"
    CSS = "QuitScreen #text { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self._waiting = False

    def compose(self) -> ComposeResult:
        yield Lines(id="text", fixed=True)
        yield self.footer()

    def absent(self) -> frozenset[str]:
        return frozenset() if self.shell.can_leave_running() else frozenset({"leave_running"})

    def show(self, view: View) -> None:
        now = under_way(view.status, self.shell.control.jobs())
        if self._waiting and not now.left and not now.jobs:
            self.shell.leave()
            return
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        lines = [rule("quit", width, style)]
        if ("background", "") in self.shell.running:
            lines.append(Text(" Another process is starting; this screen ends when it has taken over.", style="bold"))
        elif self.shell.can_leave_running():
            lines.append(Text(" Replication runs in this screen.", style="bold"))
            lines += _wrapped(
                f"b leaves it running in the background; {self.shell.options.again} shows it again", width
            )
            lines += _wrapped("n ends it now, and nothing is replicated until the next start", width)
            lines += _wrapped("esc stays", width)
        lines += self._of_what_is_under_way(now, width)
        if len(lines) == 1:
            lines.append(Text(" All is uploaded: n quits now, esc stays", style="bold"))
        lines.append(rule("upload queue", width, style))
        lines += queue(view.status.databases, width, max(1, self.size.height - 1 - len(lines)), style)
        self.query_one(Lines).set_lines(lines)

    def _of_what_is_under_way(self, now: UnderWay, width: int) -> list[Text]:
        """What is under way, and what becomes of it."""
        lines: list[Text] = []
        for job in now.jobs:
            lines += _wrapped(f"Under way: {job_words(job)}", width, "bold yellow")
            also = ", in the background too" if self.shell.can_leave_running() else ""
            lines += _wrapped(f"  ended by quitting{also}: {ENDED[job.do]}", width)
        if now.left:
            lines.append(Text(f" {size(now.left)} not uploaded", style="bold"))
            lines += _wrapped("  no commit is lost by quitting now: it goes with the next start", width)
        if now.paused:
            lines.append(Text(cut_end(f" Paused: {_names(now.paused)}", width), style="bold"))
            lines += _wrapped(_PAUSED_WORDS, width)
        if now.jobs or now.left:
            answers = "w waits for it and quits, n quits now, esc stays"
            lines += _wrapped("waiting, then the program ends" if self._waiting else answers, width, "bold")
        return lines

    def action_wait_and_quit(self) -> None:
        self._waiting = True
        self.shell.poll()

    def action_leave_running(self) -> None:
        """Leave the engine running, unless a database is paused by hand: the next process would replicate it."""
        if not self.shell.can_leave_running():
            self.shell.tell("This engine cannot go on without its screen", "warning")
        elif paths := stopped(self.shell.view.status):
            self.shell.tell(f"Paused: {_names(paths)}. In the background it would go on: esc, then P first", "warning")
        else:
            self.shell.leave_running()
            self.shell.poll()

    def action_quit_now(self) -> None:
        # What is on its way is uploaded by the end, and the dialog said so: nothing more is waited for.
        self.shell.leave(hurried=bool(under_way(self.shell.view.status, self.shell.control.jobs())))

    def action_quit(self) -> None:
        """Do nothing: q again is not an answer, it could be a key held too long."""


def _wrapped(words: str, width: int, style: str = "") -> list[Text]:
    """Words on as many lines as they need: what a key does is not cut."""
    indent = " " * (1 + len(words) - len(words.lstrip()))
    room = max(20, width - 1)
    lines = wrap(words.strip(), room, initial_indent=indent, subsequent_indent=f"{indent}  ")
    return [Text(line, style=style) for line in lines]


def _names(paths: Sequence[str]) -> str:
    names = [short_name(path) for path in paths[:NAMES_MAX]]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
