"""The restore picker: a timeline of what a replica holds, a cursor that reaches every commit of it, and an output.

Nothing is written by this screen: the point is restored, or looked at, by the screens that it opens.
"""

import os
from pathlib import Path
from typing import cast, get_args

from textual import events, on
from textual.app import ComposeResult
from textual.widgets import Input

from replication.control.results import Discovery
from replication.errors import UsageError
from replication.position import Position
from replication.restore.points import Fetch
from replication.restore.restore import RestoreOptions
from replication.restore.target import AtPosition
from replication.restore.verdict import Check
from replication.sqlite.format import FRAME_HEADER_SIZE
from replication.sqlite.later import Look as DatabaseLook
from replication.sqlite.later import look as look_at
from tui.engine_commands import new_output
from tui.restore.back.screen import BringBackScreen
from tui.restore.find.screen import FindScreen
from tui.restore.find.wanted import found_words
from tui.restore.look.screen import LookScreen
from tui.restore.look.sql import SQLScreen
from tui.restore.picker.commits import Told
from tui.restore.picker.commits import lines as commit_lines
from tui.restore.picker.cursor import Picker
from tui.restore.picker.lines import Choice, choice, found_lines, key_lines, point, replicas, rows, title
from tui.restore.picker.picking import PickingScreen
from tui.restore.picker.plan import PlanScreen
from tui.restore.picker.times import EXAMPLES, parse_asked
from tui.restore.run.over_live import OverScreen
from tui.restore.run.screen import Request, RestoringScreen
from tui.text.blocks import error_lines, rule
from tui.text.local import both, zone
from tui.text.naming import host_of, output_beside
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.prompt import Prompt

CHECKS = cast(tuple[Check, ...], get_args(Check))
_ROWS_FOR_KEYS = 20
"""A terminal of so many rows has room for a list of keys, and for what is not needed to choose."""
_ROWS_FOR_GENERATIONS = 8
"""Of every so many rows of the terminal, one goes to a generation."""
_TIME, _OUTPUT = "time", "output: path of a file that is not there yet"


class CommitArea(Lines):
    """The place of the commits: whenever it has another size, others are in sight."""

    def __init__(self) -> None:
        super().__init__(id="commits", fixed=True)

    def on_resize(self, event: events.Resize) -> None:
        if isinstance(self.screen, RestoreScreen):
            self.screen.moved()


class RestoreScreen(PickingScreen):
    """Opened with the path of the database."""

    PLACE = "restore"
    CSS_PATH = "screen.tcss"

    def __init__(self, database: str) -> None:
        super().__init__(database)
        self._check: Check = "quick"
        self._output: Path | None = None
        self._asking = ""
        self._top = 0
        self._found_tables: tuple[Position | None, tuple[str, ...]] = (None, ())
        """What a search found: the commit before the change, and the tables that lost rows with it."""
        self._since: DatabaseLook | None = None
        """The live database when this was opened: a restore over it says what came later."""

    def compose(self) -> ComposeResult:
        yield Lines(id="title", fixed=True)
        yield Lines(id="timeline")
        yield CommitArea()
        yield Lines(id="point")
        yield Prompt("prompt")
        yield self.footer()

    def on_mount(self) -> None:
        def looked(found: DatabaseLook) -> None:
            self._since = found

        if host_of(self.database):
            # Another machine's file cannot be looked at from here.
            return
        path = Path(os.path.realpath(self.database))
        self.shell.in_background(lambda: look_at(path), looked)

    # -- showing ----------------------------------------------------------------------------------------------------

    def show(self, view: View) -> None:
        if self.window is None:
            self.moved()
        else:
            self.draw()

    def draw(self) -> None:
        if not self.ready:
            return
        options, width, now = self.shell.options, self.size.width, self.shell.now()
        style = Style(options.ascii, options.slow, now)
        address = self.listed.address if self.listed is not None else ""
        self.query_one("#title", Lines).set_lines([title(self.database, address, self.picker, width, style)])
        self._draw_timeline(style, width)
        picker, low = self.picker, self.size.height < _ROWS_FOR_KEYS
        below = []
        if picker is not None:
            below += [] if low else [rule("point", width, style)]
            below += point(picker, now, width, style, "" if self.busy else self.words, low)
            if self.found and self.found[0] == picker.position:
                below += found_lines(self.found[1], width)
            plan = self.planned[1] if self.planned[0] == picker.position else None
            below += choice(self._choice(picker), plan, width, style)
            if self.listed is not None and not low and (self.listed.others or self.listed.passed_over):
                below += replicas(self.listed.replica, self.listed.others, width)
        for words in (self.words, self.telling.error if self.telling is not None else ""):
            below += error_lines(words, width, "yellow") if words else []
        if picker is not None and not low and not self._asking:
            below += key_lines(self.PLACE, options.keys, options.read_only, width, style)
        if self._asking:
            zone_words = f", {zone(now)} unless it says otherwise" if self._asking == _TIME else ""
            below.append(rule(f"{self._asking}{zone_words}   esc keeps it as it is", width, style))
        self.query_one("#point", Lines).set_lines(below)
        self._draw_commits(style, width)

    def _draw_commits(self, style: Style, width: int) -> None:
        area = self.query_one(CommitArea)
        # The head takes one.
        self.rows_of_commits = max(1, area.size.height - 1)
        rows, here = self.near()
        telling = self.telling
        if not rows or telling is None or self.picker is None:
            area.set_lines([])
            return
        frame = next((item.frame_size for item in self.picker.commits.values() if item.frame_size), FRAME_HEADER_SIZE)
        told = Told(telling.entries, *self.largest, frame - FRAME_HEADER_SIZE, telling.words, telling.is_asking)
        area.set_lines(commit_lines(rows, here, told, width, style))

    def _draw_timeline(self, style: Style, width: int) -> None:
        timeline, lines = self.query_one("#timeline", Lines), []
        if self.picker is not None and self.window is not None:
            lines = rows(
                self.picker, self.window, self._seen(self.picker, self.size.height // _ROWS_FOR_GENERATIONS), style
            )
        elif not self.error:
            then = f" then {both(self.asked)} is looked for" if self.asked is not None else ""
            waiting = f" {self._reader.waiting}" if self._reader is not None and self._reader.waiting else ""
            lines = error_lines(f"reading what the replica holds…{then}{waiting}", width, "")
        if self.error:
            stop = "" if str(self.error).endswith((".", "?", "!")) else "."
            lines += error_lines(f"{self.error}{stop} g tries again, tab the next replica, esc goes back", width)
        timeline.set_lines(lines)

    def _seen(self, picker: Picker, height: int) -> range:
        """Which generations are in sight, the chosen one always."""
        height, cursor = max(1, height), picker.cursor.generation
        self._top = max(cursor - height + 1, min(self._top, cursor))
        return range(self._top, min(len(picker.point_maps), self._top + height))

    def _choice(self, picker: Picker) -> Choice:
        output = self._path(picker)
        over = output == Path(self.database) or _same_file(output, Path(self.database))
        taken = ""
        if over and self.shell.options.read_only:
            over, taken = False, "the live database, which -read-only leaves alone"
        elif host_of(self.database):
            # What is there is seen by the engine there, which writes over nothing either.
            pass
        elif over and not os.path.lexists(output):
            over = False
        elif not over and os.path.lexists(output):
            taken = "exists, and is never overwritten: e names another"
        return Choice(str(output), over, taken, self._check)

    def _path(self, picker: Picker) -> Path:
        return self._output if self._output is not None else new_output(self.database, picker.time)

    # -- keys: what to restore to, and how --------------------------------------------------------------------------

    def action_type_time(self) -> None:
        self._ask(_TIME, "", EXAMPLES)

    def action_output(self) -> None:
        if self.picker is not None:
            self._ask(_OUTPUT, str(self._path(self.picker)), "")

    def action_over(self) -> None:
        """In place of the live database, or to a new file again."""
        live = Path(self.database)
        self._output = None if self._output == live else live
        self.draw()

    def action_check(self) -> None:
        self._check = CHECKS[(CHECKS.index(self._check) + 1) % len(CHECKS)]
        self.draw()

    def action_back(self) -> None:
        if self._asking:
            self._answered()
        else:
            self.app.pop_screen()

    def _ask(self, what: str, value: str, example: str) -> None:
        box = self.query_one(Prompt)
        self._asking, box.placeholder = what, example
        box.ask(value)
        self.draw()

    def _answered(self) -> None:
        self._asking = ""
        self.query_one(Prompt).close()
        self.draw()

    @on(Input.Submitted, "#prompt")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        try:
            if self._asking == _OUTPUT:
                self._output = output_beside(self.database, text) if text else None
            elif text and self.picker is not None:
                self.go(self.picker.at_time(parse_asked(text, self.shell.now(), self.picker.time)))
            elif text:
                self.asked = parse_asked(text, self.shell.now())
        except UsageError as error:
            self.shell.tell(str(error), "warning")
            return
        self._answered()

    # -- keys: what opens other screens -----------------------------------------------------------------------------

    def action_run(self) -> None:
        """Restore the point: at once to a new file, after a question over the live one."""
        request = self._request()
        if request is None or self.picker is None:
            return
        chosen = self._choice(self.picker)
        if self.shell.options.read_only:
            self.shell.tell("-read-only writes nothing: open the screen without it to restore", "warning")
        elif chosen.taken:
            self.shell.tell(f"{chosen.output} {chosen.taken}", "warning")
        elif request.over:
            self.app.push_screen(OverScreen(request))
        else:
            self.app.push_screen(RestoringScreen(request))

    def action_look(self) -> None:
        """Open the database of this moment and look at its tables."""
        request = self._request()
        if request is not None and self.telling is not None:
            self.app.push_screen(LookScreen(request, self.telling.reader))

    def action_sql(self) -> None:
        """Ask SQL of the database of this moment."""
        request = self._request()
        if request is not None and self.telling is not None:
            self.app.push_screen(SQLScreen(request, self.telling.reader))

    def action_bring_back_found(self) -> None:
        """What went with the change that a search has found; other rows from a look."""
        request = self._request()
        if request is None or self.picker is None:
            return
        at, tables = self._found_tables
        if not tables or at != self.picker.position:
            self.shell.tell("Which rows? F finds what was lost; or space looks at the tables, and b brings one back")
        else:
            self.app.push_screen(BringBackScreen(request.rows(tables)))

    def action_find(self) -> None:
        """Search for the commit before a change, and go there."""
        picker, listed = self.picker, self.listed
        if picker is None or listed is None:
            self.shell.tell("The replica is still being read" if not self.error else "There is nothing to choose from")
            return

        def found(discovery: Discovery) -> None:
            self._found_tables = (discovery.before, discovery.tables)
            back = "" if self.shell.options.read_only or not discovery.tables else "; b brings back what was lost"
            self.go_to(discovery.before, found_words(discovery) + back)

        generation = picker.point_map.generation
        self.app.push_screen(FindScreen(self.database, listed.replica, generation, picker.position, found))

    def action_copy_position(self) -> None:
        if request := self._request():
            self.copy(str(request.position))

    def action_copy_command(self) -> None:
        if request := self._request():
            self.copy(request.command())

    def action_plan(self) -> None:
        plan = self.planned[1]
        if self.picker is None or self.planned[0] != self.picker.position or not isinstance(plan, Fetch):
            self.shell.tell("There is no plan for this point yet")
        else:
            self.app.push_screen(PlanScreen(plan, self.listed.address if self.listed else ""))

    def _request(self) -> Request | None:
        """The request for what is chosen now. While the point is not known it says so, and returns None."""
        picker, listed = self.picker, self.listed
        position = picker.position if picker is not None else None
        if picker is None or listed is None or position is None:
            self.shell.tell("There is no point to restore yet", "warning")
            return None
        options = RestoreOptions(
            AtPosition(position), position.generation, integrity_check=self._check, keep_failed=True
        )
        chosen = self._choice(picker)
        when = both(picker.time)
        return Request(
            self.database,
            listed.replica,
            options,
            Path(chosen.output),
            chosen.over,
            when,
            since=self._since,
            by_itself=self.is_by_itself(position),
        )


def _same_file(one: Path, other: Path) -> bool:
    """True for two names of one file: a link to the live database is the live database."""
    try:
        return one.samefile(other)
    except OSError:
        return False
