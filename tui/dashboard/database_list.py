"""The list of databases: a window of rows, of which only those in sight cost anything.

The cursor is a database, not a row: it stays with it when the order changes. The screen decides which databases
there are and in what order.
"""

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import events
from textual.message import Message

from replication.status import DatabaseStatus
from tui.dashboard.columns import header, host_width, row
from tui.text.naming import host_of, is_host
from tui.text.style import Style
from tui.widgets.lines import Lines


class DatabaseList(Lines):
    """Titles, and below them as many databases as fit."""

    DEFAULT_CSS = "DatabaseList { height: 1fr; }"

    class Moved(Message):
        """The cursor is on another database."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, fixed=True)
        self._databases: Sequence[DatabaseStatus] = ()
        self._places: dict[str, int] = {}
        self._style = Style(False, False, 0.0)
        self._top = 0
        self._empty = Text()
        self._hosts = 0
        """Cells for the names of hosts."""
        self.cursor: str | None = None
        """Path of the database that keys act on."""
        self._wanted: str | None = None
        """The one that somebody chose, to which the cursor comes back when it is there again. Before that it is on the
        first, which is the worst."""

    def show(self, databases: Sequence[DatabaseStatus], style: Style, empty: str = "") -> None:
        """Show these databases, in this order. `empty` says why there are none."""
        place = self._place
        self._databases, self._style, self._empty = databases, style, Text(f" {empty}")
        self._places = {item.path: number for number, item in enumerate(databases)}
        self._hosts = host_width(databases)
        cursor: str | None
        if self._wanted in self._places:
            cursor = self._wanted
        elif self._wanted is not None and self.cursor in self._places:
            cursor = self.cursor
        else:
            # The database has gone, or is hidden for now: take the one in its place. Before a choice it is the worst.
            place = place if self._wanted is not None else 0
            cursor = self._of_host() or (databases[min(place, len(databases) - 1)].path if databases else None)
        if cursor != self.cursor:
            self.cursor = cursor
            self.post_message(self.Moved())
        self._paint()

    def choose(self) -> None:
        """A key acts on the database under the cursor, which is the chosen one from now on."""
        self._wanted = self.cursor

    def _of_host(self) -> str | None:
        """Where a host was chosen whose databases stand there now: the first of them."""
        wanted = self._wanted or ""
        if not is_host(wanted):
            return None
        return next((item.path for item in self._databases if host_of(item.path) == host_of(wanted)), None)

    @property
    def _place(self) -> int:
        return self._places.get(self.cursor or "", 0)

    @property
    def rows_max(self) -> int:
        """How many databases fit."""
        return max(1, self.size.height - 1)

    def move(self, by: int) -> None:
        """Move the cursor so many rows, as far as there are any."""
        if self._databases:
            place = min(max(0, self._place + by), len(self._databases) - 1)
            self._go(self._databases[place].path)

    def move_to(self, wanted: Callable[[DatabaseStatus], bool], step: int) -> bool:
        """Move the cursor to the next such database in that direction, round the end; False if there is none."""
        count = len(self._databases)
        for distance in range(1, count + 1):
            database = self._databases[(self._place + step * distance) % count]
            if wanted(database):
                self._go(database.path)
                return True
        return False

    def _go(self, path: str) -> None:
        self._wanted = path
        if path != self.cursor:
            self.cursor = path
            self._paint()
            self.post_message(self.Moved())

    def _paint(self) -> None:
        width, rows, count = self.size.width, self.rows_max, len(self._databases)
        if not width:
            return
        place = self._place
        self._top = max(0, min(self._top, place, count - rows))
        if place >= self._top + rows:
            self._top = place - rows + 1
        seen = f"{self._top + 1}-{min(count, self._top + rows)}" if count > rows else ""
        lines = [header(width, seen, count, self._hosts)]
        for item in self._databases[self._top : self._top + rows]:
            lines.append(row(item, width, self._style, item.path == self.cursor, self._hosts))
        self.set_lines(lines if count else [*lines, self._empty])

    def on_resize(self, event: events.Resize) -> None:
        self._paint()

    def on_click(self, event: events.Click) -> None:
        place = self._top + event.y - 1
        if event.y >= 1 and place < len(self._databases):
            self._go(self._databases[place].path)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.move(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.move(-1)
