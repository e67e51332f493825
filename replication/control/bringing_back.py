"""What jobs that bring rows back do, in the engine's process: say what would happen, do it, or write the rows down.

Its promise: nothing is written but by Apply, into the database that the preview was of, and by WriteRows, to the path
that it names. What was staged for a preview is gone when that is forgotten.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from replication.config import Config
from replication.control import requests as ask
from replication.control.jobs import Jobs, Run
from replication.control.looking_back import position_of
from replication.errors import NotAllowedError, RestoreCancelledError, UsageError
from replication.recall.export import csv_lines, sql_lines
from replication.recall.output import written_new
from replication.recall.recall import Brought, Live, Preview, Recall, open_recall
from replication.recall.staging import encoding_at, stage_picked
from replication.recall.wanted import Pick, Wanted
from replication.restore.open_replicas import configured

_LINES_TOGETHER = 100


class Staged:
    """Rows and what was said of them, for one who asks at a time."""

    def __init__(self, database: str, recall: Recall, preview: Preview) -> None:
        self.database = database
        self.preview = preview
        self._recall = recall
        self._turn = threading.Lock()

    @contextmanager
    def used(self) -> Iterator[Recall]:
        """A block that uses them."""
        with self._turn:
            yield self._recall

    def close(self) -> None:
        """Remove them, once nobody uses them."""
        with self._turn:
            self._recall.close()


class BringingBack:
    """Carries out BringBack, Apply and WriteRows."""

    def __init__(self, config: Callable[[], Config], jobs: Jobs, opens_live: bool) -> None:
        self._config = config
        self._jobs = jobs
        self._opens_live = opens_live

    def check(self, request: ask.BringBack) -> None:
        """Raise UsageError for what can be refused at once, and NotAllowedError where the database is left alone."""
        position_of(request.position)
        _wanted(request)
        if not self._opens_live:
            raise NotAllowedError("today's database is left alone: nothing is compared with it, or brought back")

    def preview(self, request: ask.BringBack, run: Run) -> Preview:
        """Stage the rows and say what would happen."""
        self.check(request)
        config = configured(self._config(), Path(request.database))
        wanted, position = _wanted(request), position_of(request.position)
        with self._jobs.using(request.history, "history") as past:
            run.when_cancelled(lambda: past.break_off(run.cancel))
            with past.moment(position, run.cancel) as (moment, stop):
                recall = open_recall(
                    encoding_at(moment, stop),
                    lambda stage, written: stage_picked(moment, wanted, stage, stop, written),
                    Live(config.path, config),
                    request.on_conflict,
                    run.say,
                )
        try:
            found = recall.preview(run.cancel, run.say)
        except BaseException:
            recall.close()
            raise
        run.keep(Staged(request.database, recall, found))
        return found

    def apply(self, request: ask.Apply, run: Run) -> Brought:
        """Do it."""
        with self._staged(request.database, request.preview) as staged, staged.used() as recall:
            return recall.apply(run.cancel, run.say)

    def write(self, request: ask.WriteRows, run: Run) -> str:
        """Write the rows down."""
        output = Path(request.output)
        with self._staged(request.database, request.preview) as staged, staged.used() as recall:
            preview = staged.preview
            if output.suffix.lower() == ".csv":
                lines = csv_lines(recall.stage)
            else:
                gone = frozenset(item.table for item in preview.report.tables if item.is_made)
                lines = sql_lines(recall.stage, preview.on_conflict, gone)
            with written_new(output) as write:
                while some := list(islice(lines, _LINES_TOGETHER)):
                    if run.cancel.is_set():
                        raise RestoreCancelledError("It was cancelled, and nothing was written.")
                    write("".join(f"{line}\n" for line in some))
        return str(output)

    @contextmanager
    def _staged(self, database: str, preview: str) -> Iterator[Staged]:
        with self._jobs.using(preview, "bring-back") as staged:
            if staged.database != database:
                raise UsageError(f"that preview is of {staged.database}")
            yield staged


def _wanted(request: ask.BringBack) -> Wanted:
    if not request.tables or not all(request.tables):
        raise UsageError("tables must name at least one table")
    if request.where and len(request.tables) != 1:
        raise UsageError("where goes with one table")
    return Wanted(tuple(Pick(table, request.where) for table in request.tables))
