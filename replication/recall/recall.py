"""Rows of a moment that are to come back: staged, tried out on the database as it is now, then done or written down.

Its promise: what the preview says was made by SQLite on the very state of the database at the time that it names, by
the transaction that `apply` runs; nothing but that transaction writes to the database. The application goes on: until
`apply` begins nobody waits for anything. It leaves to the caller where the moment comes from. One thread at a time.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Literal

from replication import space
from replication.config import DatabaseConfig
from replication.errors import BringBackError, BusyError, ReplicationError
from replication.offline import look
from replication.position import Position
from replication.recall.export import csv_lines, sql_lines
from replication.recall.undo import position_before
from replication.restore.output import local_errors
from replication.restore.retry import check as check_stop
from replication.restore.scratch import scratch, temporary_folder
from replication.sqlite.bring_back import Tried
from replication.sqlite.brought import OnConflict, Report
from replication.sqlite.fitting import fits_now, fits_unknown
from replication.sqlite.how import Became, How
from replication.sqlite.stage import Stage
from replication.sqlite.transaction import make, try_out

SCRATCH_PREFIX = "litestream-tui-rows-"
_ELSEWHERE = ", or name a folder on another disk in TMPDIR; nothing was changed."
_WHAT = "Bringing rows back"
_LINES_TOGETHER = 100

Fill = Callable[[Stage], None]
"""Puts rows into a stage."""
Tell = Callable[[str], None]
"""Takes how far it is, in words."""


def untold(words: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Live:
    """The database that rows are brought back into. Its configuration tells what it was before, if it has one."""

    path: Path
    config: DatabaseConfig | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen with the database as it was at the time `now`, and how many bytes would be written."""

    database: str
    on_conflict: OnConflict
    now: datetime
    report: Report
    bytes: int

    @property
    def is_stopped(self) -> bool:
        """True if nothing would be brought back, for some rows would not be, and that is to stop it."""
        return self.on_conflict == "abort" and not self.report.is_whole


@dataclass(frozen=True, slots=True)
class Brought:
    """What happened. `before` is the commit that ours came after, as far as the local folder tells it.

    `is_replicated` is true if an engine was at work on the database, which so copies that commit too.
    """

    database: str
    report: Report
    is_as_previewed: bool
    began: datetime
    ended: datetime
    before: Position | None
    is_replicated: bool = False


class Recall:
    """Staged rows."""

    def __init__(self, stack: ExitStack, stage: Stage, live: Live | None, on_conflict: OnConflict) -> None:
        self.stage = stage
        self._stack = stack
        self._live = live
        self._on_conflict: OnConflict = on_conflict
        self._preview: Preview | None = None
        self._became: tuple[Became, ...] = ()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Remove the staged rows."""
        self._stack.close()

    def preview(self, stop: threading.Event, tell: Tell = untold) -> Preview:
        """Compare the rows with the database as it is now, and run the transaction where nobody sees it.

        Raises BringBackError where nothing could be brought back, RestoreCancelledError, DatabaseError, NoRoomError.
        """
        with self._alone():
            return self._tried_out(stop, tell)

    def _tried_out(self, stop: threading.Event, tell: Tell) -> Preview:
        live = self._live
        assert live is not None
        self._preview, self._became = None, ()
        tell("comparing with what is there")
        guard = space.guard(self.stage.path.parent, _WHAT, _ELSEWHERE)
        done = try_out(live.path, self.stage, self._how(tell, "trying out"), stop, guard)
        self._became = done.tried.became
        self._preview = Preview(str(live.path), self._on_conflict, done.now, done.tried.report, done.bytes)
        return self._preview

    def write(self, is_csv: bool, write: Callable[[str], None], stop: threading.Event) -> None:
        """Write the rows as SQL, or as CSV: what fits the database as the preview found it.

        Raises UsageError where CSV has no room for them, RestoreCancelledError, and what `write` raises.
        """
        with self._alone():
            if is_csv:
                lines = csv_lines(self.stage)
            else:
                fittings = fits_unknown(self.stage)
                outcomes: tuple[bytearray, ...] = ()
                if self._preview is not None and self._live is not None:
                    guard = space.guard(self.stage.path.parent, _WHAT, _ELSEWHERE)
                    fittings, outcomes = (
                        fits_now(self._live.path, self.stage, guard),
                        tuple(item.outcomes for item in self._became),
                    )
                lines = sql_lines(self.stage, self._on_conflict, fittings, outcomes)
            while some := list(islice(lines, _LINES_TOGETHER)):
                check_stop(stop)
                write("\n".join((*some, "")))

    def apply(
        self, stop: threading.Event, tell: Tell = untold, committing: Callable[[], None] = lambda: None
    ) -> Brought:
        """Bring them back as the preview said, or nothing of them if what does not fit is to stop it.

        With "replace" only those rows give way of which the preview said so, and none that was changed since.
        `committing` is called when it can be stopped no more. Raises BringBackError where nothing was brought back,
        RestoreCancelledError, DatabaseError, NoRoomError.
        """
        with self._alone():
            return self._applied(stop, tell, committing)

    def _applied(self, stop: threading.Event, tell: Tell, committing: Callable[[], None]) -> Brought:
        live, preview = self._live, self._preview
        assert live is not None
        if preview is None:
            raise BringBackError("These rows were brought back already, or nothing was previewed: look at them again.")
        what = f"To bring rows back into {live.path.name}"
        space.ask(live.path.parent, preview.bytes, what, "; nothing was changed.")

        def check(tried: Tried) -> None:
            if self._on_conflict == "abort" and not tried.report.is_whole:
                raise BringBackError(_stopped(tried.report))

        if preview.is_stopped:
            raise BringBackError(_stopped(preview.report))
        # An engine that has it now pins the WAL, so that no commit is lost to it from here on.
        is_replicated = live.config is not None and look(live.config).pid is not None

        def no_more() -> None:
            # Rows without a key would come once more.
            self._preview = None
            committing()

        made = make(live.path, self.stage, self._how(tell, "bringing back"), stop, check, no_more)
        before = None
        with suppress(ReplicationError, OSError):
            before = position_before(live.config, made) if live.config is not None else None
        report = made.tried.report
        is_alike = _alike(preview.report, report)
        return Brought(str(live.path), report, is_alike, made.began, made.ended, before, is_replicated)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise BusyError("these rows are being brought back just now")
        try:
            yield
        finally:
            self._lock.release()

    def _how(self, tell: Tell, what: str) -> How:
        done = 0

        def progress(rows: int) -> None:
            nonlocal done
            done += rows
            tell(f"{what}: {done:,} rows")

        on_conflict: Literal["skip", "replace"] = "replace" if self._on_conflict == "replace" else "skip"
        return How(on_conflict, self._became, progress)


def open_recall(
    encoding: str, fill: Fill, live: Live | None, on_conflict: OnConflict = "skip", tell: Tell = untold
) -> Recall:
    """Stage rows in a private temporary folder. Raises what `fill` raises, LocalFileError and NoRoomError."""
    place = temporary_folder()
    with ExitStack() as stack, local_errors(place):
        folder = stack.enter_context(scratch(place, SCRATCH_PREFIX))
        space.ask(folder, 0, _WHAT, _ELSEWHERE)
        guard = space.guard(folder, _WHAT, _ELSEWHERE)
        count = 0

        def grown(rows: int, size: int) -> None:
            nonlocal count
            guard(size)
            count += rows
            tell(f"reading: {count:,} rows")

        stage = Stage(folder.resolve() / "rows", encoding, grown)
        stack.callback(stage.close)
        fill(stage)
        return Recall(stack.pop_all(), stage, live, on_conflict)


def _alike(preview: Report, happened: Report) -> bool:
    return replace(preview, seconds=0.0) == replace(happened, seconds=0.0)


def _stopped(report: Report) -> str:
    words = []
    for table in report.tables:
        if table.refusal:
            words.append(table.refusal)
        for row in (*table.refused_rows, *table.skipped_rows)[:1]:
            more = table.refused + table.skipped - 1
            words.append(f"{table.table} {row.key}: {row.words}" + (f", and {more:,} more" if more else ""))
    return f"Not every row can be brought back, so none was. {'; '.join(words)}; nothing was changed."
