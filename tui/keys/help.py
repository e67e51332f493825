"""Help: the keys of the screen in front, from the action table, and what the marks mean."""

from rich.text import Text
from textual import events
from textual.app import ComposeResult

from tui.actions import actions_of, keys_of, shown_key
from tui.text.blocks import rule
from tui.text.cells import cut_end
from tui.text.states import LEGEND
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen

_KEYS_WIDTH = 12


class HelpScreen(ShellScreen):
    """Opened with the name of the screen that it is about."""

    PLACE = "help"
    CSS = "HelpScreen #text { height: 1fr; }"

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where
        self._top = 0

    def compose(self) -> ComposeResult:
        yield Lines(id="text", fixed=True)
        yield self.footer()

    def show(self, view: View) -> None:
        width, rows = self.size.width, max(1, self.size.height - 1)
        lines = self._text(width)
        self._top = max(0, min(self._top, len(lines) - rows))
        shown = lines[self._top : self._top + rows]
        if self._top + rows < len(lines):
            shown[-1] = Text(f"   {Style(self.shell.options.ascii, False, 0.0).mark('↓', 'v')} more", style="dim")
        self.query_one(Lines).set_lines(shown)

    def _text(self, width: int) -> list[Text]:
        options = self.shell.options
        style = Style(options.ascii, options.slow, 0.0)
        lines = [rule(f"keys: {self._where}", width, style)]
        for action in actions_of(self._where, options.read_only):
            keys = " ".join(shown_key(key, options.ascii) for key in keys_of(action, options.keys))
            line = Text(f" {keys:{_KEYS_WIDTH}} ", style="")
            line.append(cut_end(action.help, max(0, width - _KEYS_WIDTH - 2)))
            line.stylize("bold", 1, 1 + len(keys))
            lines.append(line)
        lines.append(rule("states", width, style))
        for state, words in LEGEND.items():
            line = Text(f" {style.state(state):{_KEYS_WIDTH}} ", style="" if state.style == "default" else state.style)
            line.append(cut_end(words, max(0, width - _KEYS_WIDTH - 2)), style="default")
            lines.append(line)
        lines.append(rule("words", width, style))
        for words in _WORDS:
            lines.append(Text(cut_end(f" {words}", width)))
        if options.read_only:
            lines.append(Text(" opened with -read-only: keys that change something are away"))
        if options.log_path is not None:
            lines.append(Text(cut_end(f" log of this program: {options.log_path}", width)))
        return lines

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.shell.show_again)

    def _scroll(self, by: int) -> None:
        self._top += by
        self.shell.show_again()

    def action_up(self) -> None:
        self._scroll(-1)

    def action_down(self) -> None:
        self._scroll(1)

    def action_page_up(self) -> None:
        self._scroll(-max(1, self.size.height - 2))

    def action_page_down(self) -> None:
        self._scroll(max(1, self.size.height - 2))

    def action_first(self) -> None:
        self._top = 0
        self.shell.show_again()

    def action_last(self) -> None:
        self._scroll(10_000)


_WORDS = (
    "POSITION  generation / WAL index : offset, up to where the database was copied",
    "LAG       age of the oldest commit that a replica lacks",
    "QUEUE     bytes of WAL that wait for their upload",
    "VERIFIED  when a replica was last restored and compared with its source: v",
    "times are UTC",
)
