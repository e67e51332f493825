"""A restore under way: its steps, how far it is, and its result. esc cancels, and then nothing is left.

The engine restores; this screen follows it.
"""

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
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult
from replication.restore.target import AtPosition
from replication.sqlite.later import Look as DatabaseLook
from tui.restore.run.lines import RunningRestore, done, failed, lines
from tui.session.jobs import followed
from tui.text.blocks import rule
from tui.text.look import Look
from tui.text.states import stopped
from tui.view import Shell, View
from tui.widgets.lines import Lines
from tui.widgets.screen import ShellScreen

DRAW_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be restored: of which database, from which replica, to where. `when` tells the moment to people.

    Without a name of a replica, the one that answers best is taken. If the one named fails, another one that has the
    very same commit is, but for a snapshot `by_itself`, of which nothing tells which commit it holds. Over the live
    database `kept` is the name that its old content gets, as the user was told, and `since` how it was when the user
    began to choose.
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
    """What came of it: a result and where the old file is, or why there is none."""

    result: RestoreResult | None = None
    kept: str = ""
    error: ReplicationError | None = None
    cancelled: bool = False


class RestoringScreen(ShellScreen):
    """Opened with a request, which begins at once."""

    PLACE = "restoring"
    CSS = "RestoringScreen #text { height: 1fr; }"

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._cancel = threading.Event()
        # Written by the thread of the restore, one value at a time, and read by the one that draws.
        self._progress: RestoreProgress | None = None
        self._began = time.monotonic()
        self._outcome: Outcome | None = None

    @property
    def outcome(self) -> Outcome | None:
        """What came of it, or None while it is under way."""
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
                self._draw()
            elif outcome.result is not None:
                shell.tell(f"restored to {outcome.result.output}")
            shell.poll()

        shell.in_background(lambda: self._restore(shell), ended, lambda error: ended(Outcome(error=error)))

    def show(self, view: View) -> None:
        self._draw()

    def action_back(self) -> None:
        """Cancel what is under way; leave when it has ended."""
        if self._outcome is None:
            self._cancel.set()
            self._draw()
        else:
            self.app.pop_screen()

    def action_close(self) -> None:
        if self._outcome is not None:
            self.app.pop_screen()

    # -- the thread of the restore ----------------------------------------------------------------------------------

    def _restore(self, shell: Shell) -> Outcome:
        try:
            job = followed(shell.control, self._request.restore(), shell.leaving, self._cancel, self._told)
        except (RestoreCancelledError, PausedError):
            if self._cancel.is_set():
                return Outcome(cancelled=True)
            raise
        if self._request.over:
            return Outcome(job.result.result, str(job.result.kept))
        return Outcome(job.result)

    def _told(self, job: JobStatus) -> None:
        if job.progress is None:
            return
        if self._progress is None or self._progress.phase == "plan":
            self._began = time.monotonic()
        self._progress = job.progress

    # -- showing ----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        if not self.ready:
            return
        options, width, request = self.shell.options, self.size.width, self._request
        look = Look(options.ascii, options.slow, self.shell.now())
        outcome = self._outcome
        # What another holder has paused stays paused.
        stays = request.over and request.database in stopped(self.shell.view.status)
        made = [rule(f"restore {request.database} as of {request.when}", width, look)]
        made.append(Text())
        if outcome is None:
            seconds = time.monotonic() - self._began
            run = RunningRestore(request.over, self._progress, seconds, self._cancel.is_set())
            goes_on = "; q detaches, and it goes on" if self.shell.view.place.attached else ""
            made += [*lines(run, width, look), Text(), Text(f" esc cancels and leaves nothing{goes_on}", style="dim")]
        elif outcome.result is not None:
            made += done(outcome.result, outcome.kept, request.options.integrity_check, stays, width, look)
            made += [Text(), Text(" enter or esc closes this", style="dim")]
        else:
            made += failed(str(outcome.error or ""), outcome.cancelled, request.over, stays, width, look)
            made += [Text(), Text(" enter or esc closes this", style="dim")]
        self.query_one(Lines).set_lines(made)
