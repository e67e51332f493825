"""What the restore picker knows, and how it learns more: the store is asked in threads, one question at a time.

The cursor is in cursor.py, and reading.py asks the engine. Here keys become moves, and answers
become a new picker. How it looks is left to the screen: `draw` is called when something has changed.
"""

from textual import events

from replication.errors import ReplicationError
from replication.position import Position
from replication.restore.points import Fetch, Learned, Listed, Stop
from tui.restore.picker.cursor import Picker, opened
from tui.restore.picker.lines import LABEL_CELLS
from tui.restore.picker.near import Near, Sizes, around
from tui.restore.picker.reading import ReplicaReader
from tui.restore.picker.telling import Telling
from tui.text.timeline import Window, fitting, showing, zoomed
from tui.widgets.screen import ShellScreen

PLAN_DELAY_SECONDS = 0.2
"""A plan is made when the cursor has rested for so long."""
OWED_STEPS_MAX = 1000
"""Presses that are kept while a segment is read."""
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class PickingScreen(ShellScreen):
    """A screen with a cursor among the restore points of one database."""

    def __init__(self, database: str) -> None:
        super().__init__()
        self.database = database
        self.picker: Picker | None = None
        self.listed: Listed | None = None
        self.window: Window | None = None
        self.words = ""
        """What went wrong with a part of the list, while the rest can be used; else ""."""
        self.error: ReplicationError | None = None
        """Why there is nothing to choose from."""
        self.planned: tuple[Position | None, Fetch | ReplicationError | None] = (None, None)
        """The last point a plan was asked for; the plan, why there is none, or None while it is made."""
        self.asked: float | None = None
        """A time that was asked for before anything was known: the cursor goes there as soon as it can."""
        self.busy = True
        self._owed = 0
        """Steps later (or earlier) that were asked for in a segment that is still to be read: made once it is."""
        self._fit = True
        self._reader: ReplicaReader | None = None
        self.rows_of_commits = 1
        """How many commits there is room for."""
        self.largest: tuple[Position | None, int] = (None, 0)
        """The commit that stands out among those that are known, and how many those are."""
        self.found: tuple[Position | None, str] = (None, "")
        """Where a search has put the cursor, and what it found."""
        self._goes_to: Position | None = None
        """The point to go to once the replica was listed anew."""
        self._sizes = Sizes()
        self.telling: Telling | None = None
        """What commits did, as far as it is known."""

    def draw(self) -> None:
        """Paint what is known now."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self._reader = ReplicaReader(self.shell.control, self.database, self.shell.leaving)
        self.telling = Telling(self.shell, self.database, self._told)
        self._list(None)

    def on_unmount(self) -> None:
        if self.telling is not None:
            self.telling.close()
        if self._reader is not None and not self.busy:
            self._reader.close()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.moved)

    def moved(self) -> None:
        """Show the cursor, which may be elsewhere, and what is known by now; plan and read what is near."""
        picker = self.picker
        if picker is not None and self.ready:
            columns = max(10, self.size.width - LABEL_CELLS - 1)
            if self._fit or self.window is None:
                self.window, self._fit = fitting(picker.oldest, picker.newest, columns), False
            self.window = showing(Window(self.window.start, self.window.zoom, columns), picker.time)
            if picker.position is not None and picker.position != self.planned[0]:
                position = picker.position
                self.set_timer(PLAN_DELAY_SECONDS, lambda: self._plan(position))
            self._read_near()
            self._tell_near()
        self.draw()

    def near(self) -> tuple[list[Near], int]:
        """The commits that there is room for, oldest first, and the number of the cursor's."""
        room, picker = max(1, self.rows_of_commits), self.picker
        if picker is None:
            return [], 0
        rows, here = around(picker, room - 1, room - 1)
        # The cursor in the middle, as far as there are commits on both sides.
        begin = max(0, min(here - room // 2, len(rows) - room))
        return rows[begin : begin + room], here - begin

    # -- what the store is asked ------------------------------------------------------------------------------------

    def _list(self, name: str | None) -> None:
        """List a replica, the one that answers best if none is named."""
        reader = self._reader
        assert reader is not None
        self.busy, self.error = True, None

        def listed(found: Listed) -> None:
            self.busy = False
            if self._gone():
                return
            same = self.listed is not None and self.listed.replica == found.replica
            self.listed, self.error = found, None
            self.words = "; ".join(found.passed_over)
            if self.picker is not None and same:
                self.picker = self.picker.changed_maps(found.point_maps)
            else:
                self.picker, self._fit, self._sizes = opened(found.point_maps), True, Sizes()
            if self.asked is not None:
                self.picker, self.asked = self.picker.at_time(self.asked), None
            if self._goes_to is not None:
                self.picker, self._goes_to = self.picker.at_position(self._goes_to) or self.picker, None
            self.moved()

        def failed(error: ReplicationError) -> None:
            self.busy = False
            if not self._gone():
                self.error = error
                self.draw()

        self.shell.in_background(lambda: reader.list(name), listed, failed)
        self.draw()

    def _read_near(self) -> None:
        """Read the nearest segment that is not known; one after the other, so that the nearest always comes first."""
        picker, reader = self.picker, self._reader
        wanted = picker.wanted(self.rows_of_commits) if picker is not None else []
        if self.busy or not wanted or reader is None:
            return
        self.busy = True
        self._read(reader, wanted[0])

    def _read(self, reader: ReplicaReader, stop: Stop) -> None:
        def learned(found: Learned) -> None:
            self.busy = False
            if self._gone() or self.picker is None:
                return
            if found.point_maps is not None:
                self.picker = self.picker.changed_maps(found.point_maps)
            self.picker = self.picker.knowing(found.commits, found.unreadable)
            self.words = found.words or self.words
            self._make_owed_steps()
            self.largest = self._sizes.largest(self.picker)
            self.moved()

        def failed(error: ReplicationError) -> None:
            self.busy, self._owed = False, 0
            self.words = str(error)
            self.draw()

        self.shell.in_background(lambda: reader.read(stop), learned, failed)

    def _tell_near(self) -> None:
        """Ask what the commits in sight did, once nothing nearer is still to be read."""
        if not self.busy and self.telling is not None and self.picker is not None and self.listed is not None:
            self.telling.ask(self.listed.replica, self.picker, *self.near())

    def _told(self) -> None:
        """More is known of what commits did."""
        if self.is_mounted and self.is_attached:
            self._tell_near()
            self.draw()

    def _gone(self) -> bool:
        """True if the screen was left while the store was asked: then the reader has nobody left."""
        if self.is_mounted and self.is_attached:
            return False
        if self._reader is not None:
            self._reader.close()
        return True

    def _plan(self, position: Position) -> None:
        """Make the plan for a point on which the cursor rests."""
        picker, reader = self.picker, self._reader
        if reader is None or picker is None or picker.position != position or self.planned[0] == position:
            return
        self.planned = (position, None)

        def planned(plan: Fetch | ReplicationError) -> None:
            if self.planned[0] == position and self.is_attached:
                self.planned = (position, plan)
                self.draw()

        self.shell.in_background(lambda: reader.plan(position), planned, planned)

    def is_by_itself(self, position: Position) -> bool:
        """True for a snapshot of Litestream's alone: which commit it holds nothing tells."""
        # Only such a snapshot can be the answer at the very start of an index.
        return not position.offset and self._reader is not None and self._reader.is_by_itself(position)

    # -- keys: moving -----------------------------------------------------------------------------------------------

    def go(self, moved: Picker | None) -> None:
        self._owed = 0
        if moved is None or self.picker is None:
            self.shell.tell("The replica is still being read" if not self.error else "There is nothing to choose from")
            return
        if moved is self.picker and not self.picker.wanted():
            self.shell.tell("That is as far as it goes")
        self.picker = moved
        self.moved()

    def action_point_before(self) -> None:
        self._step(-1)

    def action_point_after(self) -> None:
        self._step(1)

    def _step(self, step: int) -> None:
        """One commit on; where the segment is still to be read, as soon as it is. No press is lost."""
        picker = self.picker
        if picker is None or not picker.is_unread:
            self.go(picker and picker.stepped(step))
            return
        self._owed = max(-OWED_STEPS_MAX, min(OWED_STEPS_MAX, self._owed + step))
        self.moved()

    def _make_owed_steps(self) -> None:
        """The steps that were asked for before the segment was read, as far as the next one that is not."""
        while self._owed and self.picker is not None and not self.picker.is_unread:
            step = 1 if self._owed > 0 else -1
            moved = self.picker.stepped(step)
            self._owed = self._owed - step if moved is not self.picker else 0
            self.picker = moved

    def go_to(self, position: Position, words: str) -> None:
        """To the point that a search has found, and keep its words for as long as the cursor is there."""
        self.found = (position, words)
        moved = self.picker and self.picker.at_position(position)
        if moved is not None:
            self.go(moved)
        elif self.listed is not None and not self.busy:
            # It is newer than the list.
            self._fit, self._goes_to = True, position
            self._list(self.listed.replica)

    def action_page_before(self) -> None:
        self._page(-1)

    def action_page_after(self) -> None:
        self._page(1)

    def _page(self, step: int) -> None:
        """As many commits on as are in sight."""
        for _ in range(max(1, self.rows_of_commits - 1)):
            self._step(step)
            if self._owed:
                self._owed += step * (max(1, self.rows_of_commits - 1) - 1)
                break

    def action_tell(self) -> None:
        """Read what commits did, however much of the replica that takes."""
        if self.telling is not None:
            self.telling.ask_all()
            self._tell_near()
            self.draw()

    def action_snapshot_before(self) -> None:
        self.go(self.picker and self.picker.to_snapshot(-1))

    def action_snapshot_after(self) -> None:
        self.go(self.picker and self.picker.to_snapshot(1))

    def action_minute_before(self) -> None:
        self.go(self.picker and self.picker.by_seconds(-_MINUTE))

    def action_minute_after(self) -> None:
        self.go(self.picker and self.picker.by_seconds(_MINUTE))

    def action_hour_before(self) -> None:
        self.go(self.picker and self.picker.by_seconds(-_HOUR))

    def action_hour_after(self) -> None:
        self.go(self.picker and self.picker.by_seconds(_HOUR))

    def action_day_before(self) -> None:
        self.go(self.picker and self.picker.by_seconds(-_DAY))

    def action_day_after(self) -> None:
        self.go(self.picker and self.picker.by_seconds(_DAY))

    def action_generation_newer(self) -> None:
        self.go(self.picker and self.picker.to_generation(-1))

    def action_generation_older(self) -> None:
        self.go(self.picker and self.picker.to_generation(1))

    def action_oldest(self) -> None:
        self.go(self.picker and self.picker.to_end(-1))

    def action_newest(self) -> None:
        self.go(self.picker and self.picker.to_end(1))

    def action_zoom_in(self) -> None:
        self._zoom(-1)

    def action_zoom_out(self) -> None:
        self._zoom(1)

    def _zoom(self, step: int) -> None:
        if self.picker is not None and self.window is not None:
            self.window = zoomed(self.window, self.picker.time, step)
            self.moved()

    def action_next_panel(self) -> None:
        """The next replica."""
        names = self._replicas()
        if len(names) < 2:
            self.shell.tell("There is one replica" if names else "There is no replica")
        elif self.busy:
            self.shell.tell("The replica is still being read")
        else:
            now = self.listed.replica if self.listed is not None else names[-1]
            self.picker = self.listed = None
            self._list(names[(names.index(now) + 1) % len(names)] if now in names else names[0])

    def action_reload(self) -> None:
        if not self.busy:
            # What is new lies to the right of what is in sight.
            self._fit = True
            self._list(self.listed.replica if self.listed is not None else None)

    def _replicas(self) -> list[str]:
        """The names of the database's replicas."""
        found = self.shell.view.database(self.database)
        return [replica.name for replica in found.replicas] if found is not None else []
