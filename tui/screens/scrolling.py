"""A screen with one list that scrolls: the keys that move about in it. What a row is, is its own business."""

from textual import events

from tui.screens.base import ShellScreen
from tui.scroll import Scroll


class ScrollingScreen(ShellScreen):
    """`draw` paints the rows that `scroll` has in sight; `count` says how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.scroll = Scroll()

    def count(self) -> int:
        """Rows in the list."""
        raise NotImplementedError

    def draw(self) -> None:
        """Paint what is known now."""
        raise NotImplementedError

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.draw)

    def moved(self) -> None:
        """The cursor was moved by a key."""
        self.draw()

    def action_up(self) -> None:
        self.scroll.move(-1)
        self.moved()

    def action_down(self) -> None:
        self.scroll.move(1)
        self.moved()

    def action_page_up(self) -> None:
        self.scroll.page(-1)
        self.moved()

    def action_page_down(self) -> None:
        self.scroll.page(1)
        self.moved()

    def action_first(self) -> None:
        self.scroll.first()
        self.moved()

    def action_last(self) -> None:
        self.scroll.last(self.count())
        self.moved()
