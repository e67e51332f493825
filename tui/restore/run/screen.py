"""A restore under way: its steps, how far it is, and its result. esc cancels, and then nothing is left."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult

from replication.control.pause_lease import PauseLease
from replication.errors import PausedError, ReplicationError, RestoreCancelledError
from replication.restore.open_replicas import replicas_of
from replication.restore.picked import restore_picked
from replication.restore.replace import restore_over
from replication.restore.restore import RestoreOptions, RestoreProgress, RestoreResult
from replication.restore.wal03.choose import OpenReplica
from replication.sqlite.later import Look as DatabaseLook
from tui.restore.run.lines import RunningRestore, done, failed, lines
from tui.text.blocks import rule
from tui.text.look import Look
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

    def among(self, sources: list[OpenReplica]) -> list[OpenReplica]:
        """The replicas that may give it."""
        return [item for item in sources if item.name == self.replica] if self.by_itself else sources


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
        self._lease: PauseLease | None = None
        """On replication, while this restores over the live database."""
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
        if self._request.over:
            self._lease = PauseLease(shell.control, self._request.database, "a restore", self._cancel)
        self.set_interval(DRAW_SECONDS, self._draw)

        def ended(outcome: Outcome) -> None:
            self._outcome = outcome
            if self.is_attached:
                self._draw()
            elif outcome.result is not None:
                shell.tell(f"restored to {outcome.result.output}")
            shell.poll()

        shell.in_background(lambda: self._restore(shell), ended, lambda error: ended(Outcome(error=error)))

    def on_unmount(self) -> None:
        self._cancel.set()

    def show(self, view: View) -> None:
        self._draw()

    def action_back(self) -> None:
        """Cancel what is under way; leave when it has ended."""
        lease = self._lease
        if self._outcome is None:
            self._cancel.set()
            if lease is not None and not lease.paused:
                # A pause that does not come true is not waited for.
                self.shell.in_background(lease.give_up)
            self._draw()
        else:
            self.app.pop_screen()

    def action_close(self) -> None:
        if self._outcome is not None:
            self.app.pop_screen()

    # -- the thread of the restore ----------------------------------------------------------------------------------

    def _restore(self, shell: Shell) -> Outcome:
        request = self._request
        try:
            with replicas_of(shell.config, Path(request.database)) as sources:
                return self._restore_from(request.among(sources))
        except (RestoreCancelledError, PausedError) as error:
            lost = self._lease.lost if self._lease is not None else ""
            if isinstance(error, PausedError) and not self._cancel.is_set():
                raise
            return Outcome(cancelled=not lost, error=PausedError(lost) if lost else None)

    def _restore_from(self, sources: list[OpenReplica]) -> Outcome:
        request, lease = self._request, self._lease
        if lease is None:
            return Outcome(
                restore_picked(sources, request.replica, request.output, request.options, self._told, self._cancel)
            )
        assert request.kept is not None
        replaced = restore_over(
            sources,
            Path(request.database),
            request.options,
            request.kept,
            lease.begin,
            lease.end,
            self._told,
            self._cancel,
            request.since,
            request.replica,
        )
        return Outcome(replaced.result, str(replaced.kept))

    def _told(self, progress: RestoreProgress) -> None:
        if self._progress is None or self._progress.phase == "plan":
            self._began = time.monotonic()
        self._progress = progress

    # -- showing ----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        if not self.ready:
            return
        options, width, request = self.shell.options, self.size.width, self._request
        look = Look(options.ascii, options.slow, self.shell.now())
        outcome = self._outcome
        # What somebody else has paused stays paused.
        stays = self._lease is not None and bool(self._lease.kept_by)
        made = [rule(f"restore {request.database} as of {request.when}", width, look)]
        made.append(Text())
        if outcome is None:
            seconds = time.monotonic() - self._began
            paused = self._lease is not None and self._lease.paused
            run = RunningRestore(request.over, paused, self._progress, seconds, self._cancel.is_set())
            made += [*lines(run, width, look), Text(), Text(" esc cancels and leaves nothing", style="dim")]
        elif outcome.result is not None:
            made += done(outcome.result, outcome.kept, request.options.integrity_check, stays, width, look)
            made += [Text(), Text(" enter or esc closes this", style="dim")]
        else:
            made += failed(str(outcome.error or ""), outcome.cancelled, request.over, stays, width, look)
            made += [Text(), Text(" enter or esc closes this", style="dim")]
        self.query_one(Lines).set_lines(made)
