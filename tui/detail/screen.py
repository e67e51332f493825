"""One database whole: its WAL, its replicas, and the generations that a replica holds, each with why it began.

The status comes with each poll; generations are read from the replica in a thread, kept, and read again now and
then or with a key. The screen never waits for a store.
"""

from functools import partial
from weakref import WeakKeyDictionary

from rich.text import Text
from textual.app import ComposeResult

from replication.errors import ReplicationError
from replication.status import DatabaseStatus
from tui.detail import lines as detail_lines
from tui.detail.generations import Listing, failed, read_listing
from tui.engine_commands import DatabaseScreen
from tui.text.blocks import error_lines, rule
from tui.text.style import Style
from tui.view import Shell, View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ListArea, ScrollingScreen

_LOW = 18
"""Below this height, in rows, the WAL and replica panels give way to the list."""

_kept: "WeakKeyDictionary[Shell, dict[tuple[str, str], Listing]]" = WeakKeyDictionary()
"""Listings by application, database and replica: coming back to a database shows what was read before."""


class DetailScreen(DatabaseScreen, ScrollingScreen):
    """Opened with the path of the database."""

    PLACE = "detail"

    def __init__(self, database: str) -> None:
        super().__init__()
        self._path_shown = database
        self._database: DatabaseStatus | None = None
        self._replica = ""
        self._reading = ""

    @property
    def selected(self) -> str | None:
        return self._path_shown

    def compose(self) -> ComposeResult:
        yield Lines(id="panels")
        yield ListArea()
        yield Lines(id="words")
        yield self.footer()

    def show(self, view: View) -> None:
        self._database = database = view.database(self._path_shown)
        names = [item.name for item in database.replicas] if database is not None else []
        if self._replica not in names:
            self._replica = names[0] if names else ""
        listing = self._listing
        if self._replica and (listing is None or listing.is_old(self.shell.now())):
            self._read()
        self.draw()

    def count(self) -> int:
        return len(self._listing.generations) if self._listing is not None else 0

    def paint(self) -> None:
        options = self.shell.options
        style = Style(options.ascii, options.slow, self.shell.now())
        self.query_one("#panels", Lines).set_lines(self._panels(self._database, style))
        self._paint_list(style)

    def action_reload(self) -> None:
        self._read()
        self.draw()

    def action_next_panel(self) -> None:
        """The generations of the next replica."""
        database = self._database
        names = [item.name for item in database.replicas] if database is not None else []
        if len(names) < 2:
            self.shell.tell("There is one replica" if names else "There is no replica")
            return
        self._replica = names[(names.index(self._replica) + 1) % len(names)] if self._replica in names else names[0]
        self.scroll.first()
        self.show(self.shell.view)

    @property
    def _listing(self) -> Listing | None:
        return _kept.get(self.shell, {}).get((self._path_shown, self._replica))

    def _read(self) -> None:
        """Ask the replica in a thread, unless it is being asked."""
        if self._reading or not self._replica:
            return
        shell, path, replica = self.shell, self._path_shown, self._replica
        kept = _kept.setdefault(shell, {})
        self._reading = replica

        def done(listing: Listing) -> None:
            kept[path, replica] = listing
            self._reading = ""
            self.draw()

        def could_not(error: ReplicationError) -> None:
            kept[path, replica] = failed(kept.get((path, replica)), replica, error, shell.now())
            self._reading = ""
            self.draw()

        found = (
            next((item for item in self._database.replicas if item.name == replica), None) if self._database else None
        )
        if found is None:
            self._reading = ""
            return
        work = partial(read_listing, shell.control, path, found, shell.leaving, shell.now())
        shell.in_background(work, done, could_not)

    def _panels(self, database: DatabaseStatus | None, style: Style) -> list[Text]:
        if database is None:
            return [Text(" This database is not in the configuration any more", style="yellow")]
        width = self.size.width
        made = detail_lines.head(database, width, style)
        if self.size.height >= _LOW:
            made.append(rule("WAL", width, style))
            made += detail_lines.wal(database, width, style)
            number = len(database.replicas)
            title = "replica" if number == 1 else f"{number} replicas; tab shows the generations of the next"
            made.append(rule(title, width, style))
            made += detail_lines.replicas(database, self._replica, width, style)
        else:
            # There is no room for the panels that say it.
            made += detail_lines.troubles(database, width)
        listing = self._listing
        reading, name = self._reading == self._replica, self._replica or "no replica"
        title = detail_lines.generations_title(listing, name, reading, style)
        made.append(rule(title, width, style))
        if listing is not None and listing.error:
            made += error_lines(f"cannot be read: {listing.error}", width)
        if listing is not None and listing.generations:
            made.append(detail_lines.generations_head(width))
            made.append(detail_lines.axis_line(detail_lines.window_of(listing, width)))
        return made

    def _paint_list(self, style: Style) -> None:
        room = self.list_area.size.height // detail_lines.generation_height(self.size.width)
        width, listing, area = self.size.width, self._listing, self.list_area
        lines: list[Text] = []
        words: list[Text] = []
        if listing is not None and listing.generations:
            window = detail_lines.window_of(listing, width)
            for number in self.scroll.keep(len(listing.generations), room):
                item = listing.generations[number]
                lines += detail_lines.generation(item, number == self.scroll.cursor, window, width, style)
            words = detail_lines.generation_words(listing.generations[self.scroll.cursor], width, style)
        elif listing is not None and not listing.error:
            lines.append(Text("   the replica holds nothing yet"))
        area.set_lines(lines)
        self.query_one("#words", Lines).set_lines(words)
