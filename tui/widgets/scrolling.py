"""A screen with one list that scrolls: the keys that move about in it. What a row is, is its own business.

Its promise: the row under the cursor is in sight, also after the panels around the list changed their heights.
"""

from textual import events
from textual.app import ComposeResult

from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen
from tui.widgets.scroll import Scroll


class ListArea(Lines):
    """The place of the list: whenever it has another size, the screen paints again."""

    DEFAULT_CSS = "ListArea { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="list", fixed=True)

    def on_resize(self, event: events.Resize) -> None:
        if isinstance(self.screen, ScrollingScreen):
            self.screen.draw()


class ScrollingScreen(ShellScreen):
    """`paint` paints the rows that `scroll` has in sight into the widget "list"; `count` says how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.scroll = Scroll()

    def compose(self) -> ComposeResult:
        """A head, the list, and words below it. A screen with other parts has its own."""
        yield Lines(id="head")
        yield ListArea()
        yield Lines(id="words")
        yield self.footer()

    def count(self) -> int:
        """Rows in the list."""
        raise NotImplementedError

    def paint(self) -> None:
        """Paint what is known now."""
        raise NotImplementedError

    @property
    def list_area(self) -> ListArea:
        """Where the list is."""
        return self.query_one("#list", ListArea)

    def draw(self) -> None:
        """Paint, once there is something to paint on."""
        if self.ready:
            self.paint()

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
