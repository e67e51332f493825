"""What is uploaded now, what waits and why, and the last objects done, over all databases and replicas."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice

from rich.text import Text

from replication.status import UPLOADS_MAX, DatabaseStatus, EngineStatus, ReplicaStatus, Upload
from tui.text.blocks import error_lines, object_name, rule, state_text, upload_words
from tui.text.cells import cut_end, fit, fit_start
from tui.text.format import age, clock_time, plain, size
from tui.text.naming import short_name
from tui.text.standing import queue_words, replica_queue
from tui.text.states import ERROR, OK, STOPPED, SYNCING, database_state, replica_state
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ScrollingScreen

DONE_MAX = UPLOADS_MAX
"""Finished uploads shown, the newest of all replicas."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A replica that has something to do, or cannot do it."""

    database: DatabaseStatus
    replica: ReplicaStatus


@dataclass(frozen=True, slots=True)
class Done:
    """One object that was written, by whom."""

    database: str
    replica: str
    upload: Upload


def waiting(status: EngineStatus) -> list[Waiting]:
    """What is in flight or waits: errors first, then what is in flight, then the longest lag."""
    found = [
        Waiting(database, replica)
        for database in status.databases
        for replica in database.replicas
        if replica.uploading or replica.pending_bytes or replica.errors_in_a_row
    ]
    found.sort(
        key=lambda item: (not item.replica.errors_in_a_row, not item.replica.uploading, -item.replica.lag_seconds)
    )
    return found


def done(status: EngineStatus) -> list[Done]:
    """The last uploads of all replicas, newest first, at most DONE_MAX."""
    histories = (_history(database.path, replica) for database in status.databases for replica in database.replicas)
    # Each history is in order already: only as much of each is looked at as is shown.
    return list(islice(merge(*histories, key=lambda item: -item.upload.time), DONE_MAX))


def _history(database: str, replica: ReplicaStatus) -> Iterator[Done]:
    return (Done(database, replica.name, upload) for upload in reversed(replica.uploads))


class UploadsScreen(ScrollingScreen):
    """The cursor is in one list: what waits, and below it what is done."""

    PLACE = "uploads"

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Waiting] = []
        self._done: list[Done] = []

    def show(self, view: View) -> None:
        key = self._key()
        self._waiting, self._done = waiting(view.status), done(view.status)
        self._go_to(key)
        self.draw()

    def count(self) -> int:
        return len(self._waiting) + len(self._done)

    def action_retry(self) -> None:
        """Try the replicas of the database under the cursor at once, or of all that wait."""
        control, shell = self.shell.control, self.shell
        if not self._waiting:
            shell.tell("Nothing waits")
            return
        chosen = self._waiting[self.scroll.cursor] if self.scroll.cursor < len(self._waiting) else None
        path = chosen.database.path if chosen is not None else None
        paused = [item for item in ([chosen] if chosen is not None else self._waiting) if _is_paused(item)]
        if chosen is not None and paused:
            shell.tell(f"{short_name(chosen.database.path)} is paused: P on it lets it go on", "warning")
            return
        name = short_name(path) if path is not None else "all that wait"

        def tried(nothing: None) -> None:
            shell.tell(f"{name}: trying now")
            shell.poll()

        shell.in_background(lambda: control.sync_now(path), tried)

    def paint(self) -> None:
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        self.query_one("#head", Lines).set_lines([self._head(width, style), _titles(width)])
        area = self.list_area
        # One line stands between the two lists.
        seen = self.scroll.keep(self.count(), area.size.height - 1)
        lines: list[Text] = []
        for number in seen:
            if number == len(self._waiting):
                lines.append(rule("done, newest first: bytes stored, and how long it took", width, style))
            lines.append(self._row(number, width, style))
        if not self._waiting and not self._done:
            lines.append(Text("   nothing was uploaded yet, and nothing waits"))
        area.set_lines(lines)
        self.query_one("#words", Lines).set_lines(self._words(width, style))

    def _head(self, width: int, style: Style) -> Text:
        flying = sum(1 for item in self._waiting if item.replica.uploading and not item.replica.errors_in_a_row)
        failing = sum(1 for item in self._waiting if item.replica.errors_in_a_row)
        pending = sum(replica_queue(item.replica) or 0 for item in self._waiting)
        rest = len(self._waiting) - flying - failing
        words = f" uploads   in flight {flying}   waiting {rest}   failing {failing}   queued {size(pending)}"
        clock = "" if style.slow else f"{clock_time(style.now)}Z"
        return Text(cut_end(words.ljust(width - len(clock) - 1) + clock, width))

    def _row(self, number: int, width: int, style: Style) -> Text:
        mark = ">" if number == self.scroll.cursor else " "
        if number < len(self._waiting):
            return waiting_row(self._waiting[number], mark, width, style)
        return done_row(self._done[number - len(self._waiting)], mark, width)

    def _words(self, width: int, style: Style) -> list[Text]:
        """The row under the cursor in full."""
        number = self.scroll.cursor
        if number < len(self._waiting):
            item = self._waiting[number]
            title = f"{item.database.path} to {item.replica.address}"
            if item.replica.errors_in_a_row:
                return [rule(title, width, style), *error_lines(item.replica.last_error, width)]
            what = f"uploading {item.replica.uploading}" if item.replica.uploading else "waits for its turn"
            return [rule(title, width, style), Text(cut_end(f" {plain(what)}", width))]
        if number < self.count():
            made = self._done[number - len(self._waiting)]
            upload = made.upload
            words = f" {plain(upload.name)}, {size(upload.size)} before compression, done {style.ago(upload.time)}"
            return [rule(f"{made.database} to {made.replica}", width, style), Text(cut_end(words, width))]
        return []

    def _key(self) -> tuple[str, str, str]:
        """What the cursor is on, so that it can stay there."""
        number = self.scroll.cursor
        if number < len(self._waiting):
            item = self._waiting[number]
            return (item.database.path, item.replica.name, "")
        if number < self.count():
            made = self._done[number - len(self._waiting)]
            return (made.database, made.replica, made.upload.name)
        return ("", "", "")

    def _go_to(self, key: tuple[str, str, str]) -> None:
        if self.scroll.cursor == 0:
            return  # At the top the newest is meant, whatever it is.
        keys = [(item.database.path, item.replica.name, "") for item in self._waiting]
        keys += [(item.database, item.replica, item.upload.name) for item in self._done]
        if key in keys:
            self.scroll.cursor = keys.index(key)


def _titles(width: int) -> Text:
    return Text(
        cut_end(f" {'STATE':11}{fit('DATABASE', _name(width))} {'REPLICA':8} {'QUEUE':>7}  OBJECT OR NEXT TRY", width),
        style="bold",
    )


def waiting_row(item: Waiting, mark: str, width: int, style: Style) -> Text:
    """What waits, on one line: the object in flight, or the error with its count and next try."""
    replica = item.replica
    state = database_state(item.database) if _is_paused(item) else replica_state(replica)
    if state is OK and replica.uploading:
        state = SYNCING  # A snapshot on its way, of which no restore point waits.
    line = Text(mark)
    line.append_text(state_text(state, style, 11))
    line.append(f"{fit_start(plain(item.database.path), _name(width))} {fit(plain(replica.name), 8)} ")
    line.append(f"{queue_words(replica_queue(replica)):>7}  ")
    if state is ERROR:
        tried = f"try {replica.errors_in_a_row + 1} {style.until(replica.next_try)}"
        what = f"{object_name(replica.uploading)}: " if replica.uploading else ""
        line.append(f"{tried}  {plain(what + replica.last_error)}", style="red")
    elif replica.uploading:
        line.append(plain(upload_words(replica)))
    elif not style.slow:
        line.append(f"waits {age(replica.lag_seconds)}")
    line.truncate(width, overflow="ellipsis")
    return line


def done_row(item: Done, mark: str, width: int) -> Text:
    """What is done, on one line."""
    upload = item.upload
    took = f"{size(upload.stored):>7}  {_took(upload.seconds):>6}"
    line = Text(f"{mark}{fit(clock_time(upload.time), 11)}")
    line.append(f"{fit_start(plain(item.database), _name(width))} {fit(plain(item.replica), 8)} ")
    line.append(f"{took}  {object_name(upload.name)}")
    line.truncate(width, overflow="ellipsis")
    return line


def _took(seconds: float) -> str:
    return age(seconds) if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _is_paused(item: Waiting) -> bool:
    return database_state(item.database) in STOPPED


def _name(width: int) -> int:
    """Cells for the path of a database."""
    return max(10, min(40, width // 4))
