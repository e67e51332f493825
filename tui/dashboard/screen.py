"""The dashboard: every database at a glance, and the keys to act on one of them.

At 80x24 the list stands over the database in detail and the last events; from 132 columns, where the list keeps all
that it has at 80, the detail goes to the right, from 35 rows the upload queue has a place of its own, and on a small
terminal only the list is left.
"""

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from replication.status import DatabaseStatus
from tui.dashboard.columns import in_order, matches
from tui.dashboard.database_list import DatabaseList
from tui.dashboard.panels import event_line, facts, name_cells, narrow, queue, summary, wide
from tui.engine_commands import DatabaseScreen
from tui.session.place import place_words
from tui.text.blocks import rule
from tui.text.cells import cut_end, cut_path
from tui.text.format import plain
from tui.text.states import database_state, in_trouble
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.prompt import Prompt

DETAIL_ROWS = 5
"""Rows of the detail below the list, its title included."""
DETAIL_WIDTH = 42
"""Its width beside the list."""
EVENT_ROWS_MIN = 3
QUEUE_ROWS = 6
_EVENTS_LOOKED_AT = 400
_SMALL_PANELS = ("list", "detail", "events", "queue")


class DashboardScreen(DatabaseScreen):
    """The first screen."""

    PLACE = "dashboard"

    def __init__(self) -> None:
        super().__init__()
        self._letters = ""
        self._turn = 0
        """How often tab went on to the next panel, where there is room for one of several."""

    def compose(self) -> ComposeResult:
        yield Lines(id="summary", fixed=True)
        yield Prompt("filter", "letters of a path or a state")
        with Container(id="middle"):
            yield DatabaseList(id="list")
            yield Lines(id="detail", fixed=True)
        yield Lines(id="queue", fixed=True)
        yield Lines(id="events", fixed=True)
        yield Lines(id="whole", fixed=True)
        yield Lines(id="place", fixed=True)
        yield self.footer()

    @property
    def selected(self) -> str | None:
        return self._list.cursor

    @property
    def _list(self) -> DatabaseList:
        return self.query_one("#list", DatabaseList)

    # -- showing --------------------------------------------------------------------------------------------------

    def show(self, view: View) -> None:
        style, (width, height) = self._style(), self.size
        databases = view.status.databases
        if self.has_class("-tiny"):
            self._panel("#whole").set_lines(_tiny(databases, width, height, style))
            return
        shown = in_order(item for item in databases if matches(item, self._letters))
        self._lay_out(len(shown))
        self._panel("#summary").set_lines([summary(view.status, width, style, self.shell.frozen)])
        empty = f"nothing holds {self._letters!r}; / changes that, esc shows all" if databases else "starting…"
        self._list.show(shown, style, empty)
        if self.has_class("-small"):
            self._panel("#place").set_lines([Text(cut_end(f" {place_words(view.place, style)}", width), style="dim")])
            self._panel("#whole").set_lines(self._lines_of(_SMALL_PANELS[self._turn % 4], view, style))
            return
        self._panel("#detail").set_lines(self._lines_of("detail", view, style))
        if self.has_class("-tall"):
            self._panel("#queue").set_lines(self._lines_of("queue", view, style))
        self._panel("#events").set_lines(self._lines_of("queue" if self._turn % 2 else "events", view, style))

    def _lines_of(self, panel: str, view: View, style: Style) -> list[Text]:
        """A panel with its title. Lines that do not fit are cut off."""
        width, height = self.size
        if panel == "detail":
            beside = self.has_class("-wide")
            width = DETAIL_WIDTH if beside else width
            database = view.database(self.selected or "")
            groups = facts(database, style) if database is not None else []
            lines = narrow(groups, width) if beside or self.has_class("-small") else wide(groups, width)
            title = cut_path(plain(database.path), width - 4) if database is not None else ""
            return [rule(title, width, style), *lines]
        if panel == "queue":
            rows = QUEUE_ROWS if self.has_class("-tall") else max(1, height - 2)
            return [rule("upload queue", width, style), *queue(view.status.databases, width, rows, style)]
        last = [event for event in view.events[-_EVENTS_LOOKED_AT:] if event.level != "debug"][-height:]
        cells = name_cells(last)
        return [
            rule("events", width, style, place_words(view.place, style)),
            *(event_line(event, width, cells) for event in reversed(last)),
        ]

    def _style(self) -> Style:
        options = self.shell.options
        return Style(options.ascii, options.slow, self.shell.now())

    def _panel(self, id: str) -> Lines:
        return self.query_one(id, Lines)

    def _lay_out(self, rows: int) -> None:
        """Give the list the rows it needs, as far as the panels below leave them."""
        if self.has_class("-small"):
            return
        middle = self.query_one("#middle")
        beside = self.has_class("-wide")
        below = 2 + EVENT_ROWS_MIN + (QUEUE_ROWS + 1 if self.has_class("-tall") else 0)
        space = self.size.height - below - (0 if beside else DETAIL_ROWS)
        least = (17 if self.size.height >= 30 else 13) if beside else 4
        height = max(3, min(space, max(least, rows + 1)))
        if beside:
            middle.styles.height = height
        else:
            middle.styles.height = height + DETAIL_ROWS
            self._list.styles.height = height

    def on_resize(self, event: events.Resize) -> None:
        small = event.size.width < 80 or event.size.height < 24
        tiny = event.size.width < 50 or event.size.height < 12
        self.set_class(small, "-small")
        self.set_class(tiny, "-tiny")
        self._turn = 0
        self._turned()
        if small or self.has_class("-wide"):
            self._list.styles.height = None
        if small:
            self.query_one("#middle").styles.height = None
        self.call_after_refresh(self.shell.show_again)

    # -- keys -----------------------------------------------------------------------------------------------------

    @on(DatabaseList.Moved)
    def _moved(self) -> None:
        if not self.has_class("-small"):
            self._panel("#detail").set_lines(self._lines_of("detail", self.shell.view, self._style()))

    def _path(self) -> str | None:
        self._list.choose()
        return super()._path()

    def action_detail(self) -> None:
        # Of a host that is silent it says why: that stands in its row, and here in full.
        if path := self._path():
            self.shell.open_detail(path)

    def action_up(self) -> None:
        self._list.move(-1)

    def action_down(self) -> None:
        self._list.move(1)

    def action_page_up(self) -> None:
        self._list.move(-self._list.rows_max)

    def action_page_down(self) -> None:
        self._list.move(self._list.rows_max)

    def action_first(self) -> None:
        self._list.move(-len(self.shell.view.status.databases))

    def action_last(self) -> None:
        self._list.move(len(self.shell.view.status.databases))

    def action_next_trouble(self) -> None:
        self._trouble(1)

    def action_trouble_before(self) -> None:
        self._trouble(-1)

    def go_to_database(self, path: str) -> None:
        """Put the cursor on a database, also if a filter hides it."""
        if not self._list.move_to(lambda item: item.path == path, 1):
            self.action_back()
            self._list.move_to(lambda item: item.path == path, 1)

    def _trouble(self, step: int) -> None:
        if not self._list.move_to(in_trouble, step):
            self.shell.tell("Nothing is in trouble")

    def action_next_panel(self) -> None:
        """On a small terminal from the list to detail, events and queue; else from events to queue and back."""
        self._turn = (self._turn + 1) % len(_SMALL_PANELS)
        self._turned()
        self.shell.show_again()

    def _turned(self) -> None:
        self.set_class(self.has_class("-small") and self._turn > 0, "-turned")

    def action_filter(self) -> None:
        self.query_one(Prompt).ask()

    def action_back(self) -> None:
        """Show all again, and the list where another panel has its place."""
        box = self.query_one(Prompt)
        box.value = self._letters = ""
        box.close()
        self._turn = 0
        self._turned()
        self.shell.show_again()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._letters = event.value
        self.shell.show_again()

    @on(Input.Submitted)
    def _entered(self) -> None:
        """The letters stay in force, and the keys are keys again."""
        self.query_one(Prompt).close()
        self.shell.show_again()


def _tiny(databases: tuple[DatabaseStatus, ...], width: int, height: int, style: Style) -> list[Text]:
    """A line a state, and why there is no more."""
    states = [database_state(item) for item in databases]
    lines = [
        Text(cut_end(f"{style.state(state)} {states.count(state)}", width), style=state.style)
        for state in sorted(set(states), key=lambda state: -state.urgency)
    ]
    return [*lines[: max(0, height - 1)], Text(cut_end("terminal too small: 50x12 shows the list", width))]
