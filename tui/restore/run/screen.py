"""A restore: its stages, how far it is, and its result. The engine restores; a screen follows it.

One begun here is cancelled by esc, and what it wrote is removed. One whose screen was closed, or that another screen
began, is reopened from the jobs; there esc only closes the screen.
"""

import shlex
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import ComposeResult

from replication.control import requests as ask
from replication.control.values import JobStatus
from replication.errors import PausedError, ReplicationError, RestoreCancelledError
from replication.position import Position
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult
from replication.restore.target import AtPosition
from replication.sqlite.later import Look as DatabaseLook
from tui.restore.back.screen import Rows
from tui.restore.run.lines import RunningRestore, done, failed, lines
from tui.session.jobs import follow, followed
from tui.text.blocks import rule
from tui.text.format import clock_time
from tui.text.naming import split
from tui.text.states import stopped
from tui.text.style import Style
from tui.view import Shell, View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen

DRAW_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be restored: of which database, from which replica, to where. `when` tells the moment to people.

    With "" for `replica` the one that answers best is taken. If the one that is named fails, another one is taken that
    has the very same commit. With `by_itself` no other is taken: the point is a snapshot by Litestream, and nothing
    tells which commit that holds. Over the live database `kept` is the path for its old content, as the user was told,
    and `since` is how the database was when the user began to choose.
    """

    database: str
    replica: str
    options: RestoreOptions
    output: Path
    over: bool
    when: str
    kept: Path | None = None
    since: DatabaseLook | None = None
    by_itself: bool = False

    def restore(self) -> ask.Restore | ask.RestoreOver:
        """As the engine is asked for it."""
        if not self.over:
            return ask.Restore(
                **self._moment(),
                output=str(self.output),
                integrity_check=self.options.integrity_check,
                keep_failed=self.options.keep_failed,
            )
        kept, since = str(self.kept), self.since
        return ask.RestoreOver(**self._moment(), kept=kept, since=since, integrity_check=self.options.integrity_check)

    def rows(self, tables: tuple[str, ...], where: str = "", words: str = "") -> Rows:
        """Rows of the same moment, to be brought back. Only a commit that is named has any."""
        return Rows(self.database, self.replica, self.position, self.when, tables, where, words)

    @property
    def position(self) -> Position:
        """The commit that was picked."""
        target = self.options.target
        assert isinstance(target, AtPosition), "a picker picks a position"
        return target.position

    def command(self) -> str:
        """The same as a command line.

        It always restores to a new file: the command line cannot restore over a live database.
        """
        output = f"{self.database}.restored" if self.over else str(self.output)
        words = ["litestream-tui", "restore", "-position", str(self.position), "-o", split(output)[1]]
        return shlex.join([*words, split(self.database)[1]])

    def look(self) -> ask.Look:
        """The same moment, to look at."""
        return ask.Look(**self._moment())

    def _moment(self) -> dict[str, Any]:
        target = self.options.target
        return {
            "database": self.database,
            "replica": self.replica,
            "only": self.by_itself,
            "generation": self.options.generation or "",
            "position": str(target.position) if isinstance(target, AtPosition) else "",
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the restore ended: a result and where the old file is, or why there is none."""

    result: RestoreResult | None = None
    kept: str = ""
    error: ReplicationError | None = None
    cancelled: bool = False


class FollowingScreen(ShellScreen):
    """A restore, from wherever it is followed to its end."""

    CSS = "#text { height: 1fr; }"

    def __init__(self, title: str, database: str, over: bool, check: str) -> None:
        """`check` is how SQLite checks it, or "" where that is not known here."""
        super().__init__()
        self._title = title
        self._database = database
        self._over = over
        self._check = check
        self._cancel = threading.Event()
        # Written by the thread that follows it, one value at a time, and read by the one that draws.
        self._progress: RestoreProgress | None = None
        self._began = time.monotonic()
        self._outcome: Outcome | None = None

    @property
    def outcome(self) -> Outcome | None:
        """How the restore ended, or None while it is under way."""
        return self._outcome

    def compose(self) -> ComposeResult:
        yield Lines(id="text", fixed=True)
        yield self.footer()

    def on_mount(self) -> None:
        shell = self.shell
        self.set_interval(DRAW_SECONDS, self._draw)

        def ended(outcome: Outcome) -> None:
            self._outcome = outcome
            if self.is_attached:
                # What was told meanwhile is in the log, and must not stand over what came of this.
                self.app.clear_notifications()
                self._draw()
            elif outcome.result is not None:
                shell.tell(f"restored to {outcome.result.output}")
            shell.poll()

        shell.in_background(lambda: self._followed(shell), ended, lambda error: ended(Outcome(error=error)))

    def show(self, view: View) -> None:
        self._draw()

    def action_close(self) -> None:
        if self._outcome is not None:
            self.app.pop_screen()

    # -- for the two ways to come here ------------------------------------------------------------------------------

    def keys(self) -> str:
        """What the keys do while the restore is under way, in words."""
        raise NotImplementedError

    def job(self, shell: Shell) -> JobStatus:
        """Wait for the job, and return it once it is done. Raises as `follow` does. Called in a thread."""
        raise NotImplementedError

    def was_cancelled(self, error: RestoreCancelledError | PausedError) -> bool:
        """Whether a restore that ended with this was cancelled. Else the pause of its database ended too soon."""
        return self._cancel.is_set()

    # -- the thread that follows it ---------------------------------------------------------------------------------

    def _followed(self, shell: Shell) -> Outcome:
        try:
            job = self.job(shell)
        except (RestoreCancelledError, PausedError) as error:
            if self.was_cancelled(error):
                return Outcome(cancelled=True)
            raise
        if self._over:
            return Outcome(job.result.result, str(job.result.kept))
        return Outcome(job.result)

    # -- showing ----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        if not self.ready or not self.is_attached:
            return
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        outcome = self._outcome
        # What another holder has paused stays paused.
        stays = self._over and self._database in stopped(self.shell.view.status)
        made = [rule(self._title, width, style)]
        made.append(Text())
        if outcome is None:
            seconds = time.monotonic() - self._began
            run = RunningRestore(self._over, self._progress, seconds, self._cancel.is_set())
            made += [*lines(run, width, style), Text(), Text(f" {self.keys()}", style="dim")]
        elif outcome.result is not None:
            made += done(outcome.result, outcome.kept, self._check, stays, width, style)
            made += [Text(), Text(" enter or esc closes this", style="dim")]
        else:
            made += failed(str(outcome.error or ""), outcome.cancelled, self._over, stays, width, style)
            made += [Text(), Text(" enter or esc closes this", style="dim")]
        self.query_one(Lines).set_lines(made)


class RestoringScreen(FollowingScreen):
    """Opened with a request, which begins at once."""

    PLACE = "restoring"

    def __init__(self, request: Request) -> None:
        title = f"restore {request.database} as of {request.when}"
        super().__init__(title, request.database, request.over, request.options.integrity_check)
        self._request = request

    def action_back(self) -> None:
        """Cancel what is under way; leave when it has ended."""
        if self._outcome is None:
            self._cancel.set()
            self._draw()
        else:
            self.app.pop_screen()

    def keys(self) -> str:
        goes_on = "; q detaches, and it goes on" if self.shell.view.place.attached else ""
        return f"esc cancels and leaves nothing{goes_on}"

    def job(self, shell: Shell) -> JobStatus:
        return followed(shell.control, self._request.restore(), shell.leaving, self._cancel, self._told)

    def _told(self, job: JobStatus) -> None:
        if job.progress is None:
            return
        if self._progress is None or self._progress.phase == "plan":
            self._began = time.monotonic()
        self._progress = job.progress


class ReopenedScreen(FollowingScreen):
    """Opened with a restore that was begun here or elsewhere, under way or over."""

    PLACE = "reopened"

    def __init__(self, job: JobStatus) -> None:
        title = f"restore {job.database}, begun at {clock_time(job.began)}Z"
        super().__init__(title, job.database, job.do == "restore-over", "")
        self._job = job
        self._progress = job.progress
        self._began -= max(0.0, time.time() - job.began)
        self._left = threading.Event()

    def on_unmount(self) -> None:
        self._left.set()

    def action_cancel_job(self) -> None:
        """Cancel the restore: what it wrote is removed."""
        self._cancel.set()
        self._draw()

    def keys(self) -> str:
        cancels = "" if self.shell.options.read_only else "; c cancels it, and leaves nothing"
        return f"esc goes back, and it goes on{cancels}"

    def job(self, shell: Shell) -> JobStatus:
        return follow(shell.control, self._job, self._left, self._cancel, self._told)

    def was_cancelled(self, error: RestoreCancelledError | PausedError) -> bool:
        # This screen or another cancelled it.
        return isinstance(error, RestoreCancelledError) or super().was_cancelled(error)

    def _told(self, job: JobStatus) -> None:
        self._progress = job.progress or self._progress
