"""The palette: every action of the screen in front by name, narrowed down by typing."""

from collections.abc import Callable

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from tui.actions import Action, actions_of, keys_of, shown_key
from tui.text.cells import cut_end
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen

_LEFT_OUT = ("palette", "back", "up", "down", "page_up", "page_down", "first", "last", "next_panel")


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
        for number, action in enumerate(self._found()):
            keys = " ".join(shown_key(key, options.ascii) for key in keys_of(action, options.keys))
            cursor = ">" if number == self._row else " "
            lines.append(Text(cut_end(f"{cursor}{action.words:18} {keys:10} {action.help}", width)))
            if number == self._row:
                lines[-1].stylize("reverse")
        self.query_one("#found", Lines).set_lines(lines or [Text(" nothing is called so")])

    def _found(self) -> list[Action]:
        letters = self.query_one(Input).value.lower()
        actions = [item for item in actions_of(self._where, self.shell.options.read_only) if item.id not in _LEFT_OUT]
        return [item for item in actions if letters in f"{item.words} {item.help} {item.id}".lower()]

    @on(Input.Changed)
    def _typed(self) -> None:
        self._row = 0
        self.shell.show_again()

    @on(Input.Submitted)
    def _entered(self) -> None:
        found = self._found()
        if found:
            self.app.pop_screen()
            self._chosen(found[min(self._row, len(found) - 1)])

    def action_up(self) -> None:
        self._row = max(0, self._row - 1)
        self.shell.show_again()

    def action_down(self) -> None:
        self._row = max(0, min(self._row + 1, len(self._found()) - 1))
        self.shell.show_again()
