"""The palette: every action of the screen in front by name, narrowed down by typing; and databases, to go to them."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from tui.actions import Action, actions_of, keys_of, shown_key
from tui.text.cells import cut_end, cut_path
from tui.text.format import plain
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen

_LEFT_OUT = ("palette", "back", "up", "down", "page_up", "page_down", "first", "last", "next_panel")


@runtime_checkable
class GoesToDatabases(Protocol):
    """A screen with a list of databases."""

    def go_to_database(self, path: str) -> None:
        """Put the cursor on one."""


class PaletteScreen(ShellScreen):
    """Opened with the name of the screen it is for; `chosen` is called with an action after it has closed."""

    PLACE = "palette"
    AUTO_FOCUS = "#typed"
    CSS_PATH = "palette.tcss"

    def __init__(self, where: str, chosen: Callable[[Action], None]) -> None:
        super().__init__()
        self._where = where
        self._chosen = chosen
        self._row = 0

    def compose(self) -> ComposeResult:
        yield Input(placeholder="type a few letters of what to do", id="typed")
        yield Lines(id="found", fixed=True)
        yield self.footer()

    def show(self, view: View) -> None:
        options, width = self.shell.options, self.size.width
        lines = []
        for number, found in enumerate(self._found()):
            cursor = ">" if number == self._row else " "
            if isinstance(found, Action):
                keys = " ".join(shown_key(key, options.ascii) for key in keys_of(found, options.keys))
                lines.append(Text(cut_end(f"{cursor}{found.words:18} {keys:10} {found.help}", width)))
            else:
                lines.append(Text(f"{cursor}{'Go to':18} {cut_path(plain(found), width - 20)}"))
            if number == self._row:
                lines[-1].stylize("reverse")
        self.query_one("#found", Lines).set_lines(lines or [Text(" nothing is called so")])

    def _found(self) -> list[Action | str]:
        """Actions, and the paths of databases where the screen below can go to them and letters were typed."""
        letters = self.query_one(Input).value.lower()
        goes = bool(letters) and isinstance(self.app.screen_stack[-2], GoesToDatabases)
        paths = [item.path for item in self.shell.view.status.databases if letters in item.path.lower()] if goes else []
        actions = [item for item in actions_of(self._where, self.shell.options.read_only) if item.id not in _LEFT_OUT]
        return [*(item for item in actions if letters in f"{item.words} {item.help} {item.id}".lower()), *paths]

    @on(Input.Changed)
    def _typed(self) -> None:
        self._row = 0
        self.shell.show_again()

    @on(Input.Submitted)
    def _entered(self) -> None:
        found = self._found()
        if found:
            below = self.app.screen_stack[-2]
            self.app.pop_screen()
            chosen = found[min(self._row, len(found) - 1)]
            if isinstance(chosen, Action):
                self._chosen(chosen)
            elif isinstance(below, GoesToDatabases):
                below.go_to_database(chosen)

    def action_up(self) -> None:
        self._row = max(0, self._row - 1)
        self.shell.show_again()

    def action_down(self) -> None:
        self._row = max(0, min(self._row + 1, len(self._found()) - 1))
        self.shell.show_again()
