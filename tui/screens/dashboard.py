"""The dashboard: every database at a glance, and the keys to act on one of them."""

from rich.text import Text
from textual.app import ComposeResult

from tui.screens.base import ShellScreen
from tui.states import database_state
from tui.view import View
from tui.widgets.lines import Lines


class DashboardScreen(ShellScreen):
    """The first screen. The cursor follows its database, not its row."""

    PLACE = "dashboard"

    def __init__(self) -> None:
        super().__init__()
        self._cursor = ""

    def compose(self) -> ComposeResult:
        yield Lines(id="list")
        yield self.footer()

    def show(self, view: View) -> None:
        paths = [item.path for item in view.status.databases]
        if self._cursor not in paths:
            self._cursor = paths[0] if paths else ""
        ascii = self.shell.options.ascii
        lines = []
        for item in view.status.databases:
            state = database_state(item)
            lines.append(Text.assemble(">" if item.path == self._cursor else " ", state.shown(ascii), "  ", item.path))
        self.query_one("#list", Lines).set_lines(lines)

    def action_detail(self) -> None:
        self.shell.open_detail(self._cursor)

    def action_restore(self) -> None:
        self.shell.open_restore(self._cursor)

    def action_uploads(self) -> None:
        self.shell.open_uploads()

    def action_log(self) -> None:
        self.shell.open_log()
