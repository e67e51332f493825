"""The last line of every screen: its most important keys, as many as fit, and always the way out."""

from rich.text import Text
from textual import events

from tui.actions import Keys, footer_of, keys_of, shown_key
from tui.widgets.lines import Lines

_ENDS = 2
"""The last so many keys, help and the way out, are the last to go."""


class KeyFooter(Lines):
    """Made from the action table."""

    DEFAULT_CSS = "KeyFooter { dock: bottom; height: 1; }"

    def __init__(self, where: str, keys: Keys, read_only: bool, ascii: bool, absent: frozenset[str]) -> None:
        """`absent` are actions, by id, that cannot be taken here."""
        super().__init__(id="footer", fixed=True)
        self._pieces: list[Text] = []
        for action in footer_of(where, read_only):
            given = keys_of(action, keys)
            if given and action.id not in absent:
                key = shown_key(given[0], ascii)
                self._pieces.append(Text(f"{key} {action.words}  "))
                self._pieces[-1].stylize("bold", 0, len(key))

    def on_resize(self, event: events.Resize) -> None:
        pieces = list(self._pieces)
        while len(pieces) > 1 and 1 + sum(piece.cell_len for piece in pieces) - 2 > event.size.width:
            pieces.pop(-_ENDS - 1 if len(pieces) > _ENDS else 0)
        self.set_lines([Text.assemble(" ", *pieces)])
