"""The objects that a restore would fetch, in order."""

from rich.text import Text
from textual.app import ComposeResult

from replication.restore.points import Fetch
from tui.text.blocks import rule
from tui.text.cells import cut_end
from tui.text.format import plain
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ListArea, ScrollingScreen


class PlanScreen(ScrollingScreen):
    """Opened with a plan and the address of its replica."""

    PLACE = "plan"

    def __init__(self, plan: Fetch, address: str) -> None:
        super().__init__()
        self._lines = plan.lines
        self._address = address

    def compose(self) -> ComposeResult:
        yield Lines(id="head")
        yield ListArea()
        yield self.footer()

    def show(self, view: View) -> None:
        self.draw()

    def count(self) -> int:
        return len(self._lines)

    def paint(self) -> None:
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        self.query_one("#head", Lines).set_lines([rule(f"plan from {self._address}", width, style)])
        seen = self.scroll.keep(len(self._lines), self.list_area.size.height)
        self.list_area.set_lines(
            [
                Text(cut_end(f"{'>' if number == self.scroll.cursor else ' '}{plain(self._lines[number])}", width))
                for number in seen
            ]
        )
