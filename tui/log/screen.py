"""Everything that happened: by level and by letters, followed or held still, and written to a file on demand."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from replication.errors import LocalFileError
from replication.events import Event
from tui.dashboard.panels import NAME_CELLS_MAX, event_line, event_words
from tui.text.blocks import rule
from tui.text.cells import cut_end
from tui.text.format import clock_time, plain
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.prompt import Prompt
from tui.widgets.scrolling import ListArea, ScrollingScreen

LEVELS = ("debug", "info", "warning", "error")
WORD_LINES = 3
"""Lines below the list for the event under the cursor."""


def chosen(events: Iterable[Event], level: str, letters: str) -> list[Event]:
    """The events of a level or above that hold the letters, in any case."""
    least = LEVELS.index(level)
    letters = letters.lower()
    return [
        event
        for event in events
        if (event.level not in LEVELS or LEVELS.index(event.level) >= least)
        and (not letters or letters in f"{event.level} {event.database} {event_words(event)}".lower())
    ]


def as_file(events: Iterable[Event]) -> str:
    """Events as lines of a file, whole, with their dates in UTC."""
    lines = []
    for event in events:
        time = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        lines.append(f"{time} {event.level.upper()} {plain(event.database)} {event_words(event)}\n")
    return "".join(lines)


def write_new(path: Path, text: str) -> None:
    """Write a file that does not exist yet, for its owner alone; raises LocalFileError."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            file.write(text)
    except OSError as error:
        raise LocalFileError(f"{path} cannot be written: {error.strerror}; choose another path") from None


class LogScreen(ScrollingScreen):
    """Following, the cursor stays on the newest event; moving up holds it where it is."""

    PLACE = "log"
    CSS_PATH = "screen.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._level = "info"
        self._letters = ""
        self._following = True
        self._events: list[Event] = []
        self._seen: tuple[Event, ...] | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="head")
        yield ListArea()
        yield Lines(id="words", fixed=True)
        yield Prompt("filter", "letters of a database, a message or a value")
        yield Prompt("save", "path of a new file")
        yield self.footer()

    def show(self, view: View) -> None:
        if view.events is not self._seen:
            self._seen = view.events
            self._choose()
        self.draw()

    def count(self) -> int:
        return len(self._events)

    def paint(self) -> None:
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        if self._following:
            self.scroll.last(self.count())
        area = self.list_area
        lines: list[Text] = []
        for number in self.scroll.keep(self.count(), area.size.height):
            line = event_line(self._events[number], width, NAME_CELLS_MAX)
            if number == self.scroll.cursor:
                line = Text.assemble(">", line[1:])
            lines.append(line)
        area.set_lines(lines or [Text("   nothing to show: v shows more levels, / other letters")])
        self.query_one("#head", Lines).set_lines([self._head(width, style)])
        self.query_one("#words", Lines).set_lines(self._words(width, style))

    def moved(self) -> None:
        self._following = self.scroll.cursor >= self.count() - 1
        self.draw()

    def action_level(self) -> None:
        """The next level, and after error debug again."""
        self._level = LEVELS[(LEVELS.index(self._level) + 1) % len(LEVELS)]
        self._choose()
        self.draw()

    def action_follow(self) -> None:
        self._following = not self._following
        self.draw()

    def action_filter(self) -> None:
        self._ask("#filter", self._letters)

    def action_save(self) -> None:
        """Ask for the path first; there is one to accept."""
        stamp = datetime.fromtimestamp(self.shell.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        self._ask("#save", str(Path.cwd() / f"litestream-tui-{stamp}.log"))

    def action_back(self) -> None:
        """Out of a question, then out of the screen."""
        if self._close_questions():
            return
        if self._letters:
            self._letters = ""
            self._choose()
            self.draw()
            return
        self.dismiss()

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        self._letters = event.value
        self._choose()
        self.draw()

    @on(Input.Submitted, "#filter")
    def _filtered(self) -> None:
        self._close_questions()

    @on(Input.Submitted, "#save")
    def _save_to(self, event: Input.Submitted) -> None:
        path, lines, shell = Path(event.value).expanduser(), list(self._events), self.shell
        self._close_questions()
        if not event.value.strip():
            return
        count = f"{len(lines)} line" + ("" if len(lines) == 1 else "s")
        shell.in_background(
            lambda: write_new(path, as_file(lines)), lambda nothing: shell.tell(f"{count} written to {path}")
        )

    def _choose(self) -> None:
        """What level and letters let through; the cursor stays on its event."""
        at = self._events[self.scroll.cursor].number if self.scroll.cursor < len(self._events) else 0
        self._events = chosen(self._seen or (), self._level, self._letters)
        if not self._following:
            numbers = [event.number for event in self._events]
            later = [place for place, number in enumerate(numbers) if number >= at]
            self.scroll.cursor = later[0] if later else max(0, len(numbers) - 1)

    def _ask(self, id: str, value: str) -> None:
        self._close_questions()
        self.query_one(id, Prompt).ask(value)

    def _close_questions(self) -> bool:
        """Put the questions away. Return True if one was open."""
        closed = [box.close() for box in self.query(Prompt)]
        if any(closed):
            self.call_after_refresh(self.draw)
        return any(closed)

    def _head(self, width: int, style: Style) -> Text:
        total = len(self._seen or ())
        words = f" log   {self._level} and above   "
        words += f"with {self._letters!r}   " if self._letters else ""
        words += "following   " if self._following else "held: space follows   "
        words += f"{self.count():,} of {total:,}"
        clock = "" if style.slow else f"{clock_time(style.now)}Z"
        return Text(cut_end(words.ljust(max(0, width - len(clock) - 1)) + clock, width), style="bold")

    def _words(self, width: int, style: Style) -> list[Text]:
        """The event under the cursor, on as many lines as there are for it."""
        if not self._events:
            return []
        event = self._events[self.scroll.cursor]
        title = event.database or "engine"
        lines = wrap(event_words(event), max(10, width - 2), max_lines=WORD_LINES - 1, placeholder="…")
        return [rule(title, width, style), *(Text(f" {line}") for line in lines)]
