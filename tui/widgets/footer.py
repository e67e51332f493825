"""The last line of every screen: its most important keys."""

from rich.text import Text

from tui.actions import Keys, footer_of, keys_of, shown_key
from tui.widgets.lines import Lines


class KeyFooter(Lines):
    """Made from the action table, once."""

    DEFAULT_CSS = "KeyFooter { dock: bottom; height: 1; }"

    def __init__(self, where: str, keys: Keys, read_only: bool, ascii: bool) -> None:
        line = Text(" ")
        for action in footer_of(where, read_only):
            given = keys_of(action, keys)
            if given:
                line.append(shown_key(given[0], ascii), style="bold")
                line.append(f" {action.words}  ")
        super().__init__([line], id="footer")
