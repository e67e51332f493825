"""What a screen can do with one database: snapshot, verify, sync, pause, restore. Each answers with a toast.

Everything that may take long runs in the background; the screen stays free meanwhile.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from replication.control import Control
from replication.control.requests import Verify, WriteSnapshot
from replication.errors import PausedError, ReplicationError
from replication.status import Verification
from tui.session.jobs import followed
from tui.text.naming import is_host, short_name
from tui.text.states import STOPPED, database_state
from tui.widgets.screen import ShellScreen

T = TypeVar("T")
_LONG = ("snapshot", "verify")


class DatabaseScreen(ShellScreen):
    """A screen with a database that keys act on: `selected` is its path, or None."""

    @property
    def selected(self) -> str | None:
        raise NotImplementedError

    def action_snapshot(self) -> None:
        """Write a snapshot to every replica; how far it is, the replica's status tells."""
        path, control = self._path(), self.shell.control
        if path:
            leaving, request = self.shell.leaving, WriteSnapshot(database=path)
            self._command(
                "snapshot", path, lambda: followed(control, request, leaving).result, lambda words: "; ".join(words)
            )

    def action_copy_path(self) -> None:
        if path := self.selected:
            self.copy(path)

    def action_sync(self) -> None:
        path, control = self.selected, self.shell.control
        if path and is_host(path):
            self._command("sync", path, lambda: control.sync_now(path), lambda _: "connecting now")
        elif self._path() and path:
            self._command("sync", path, lambda: control.sync_now(path), lambda _: "looking and uploading now")

    def action_pause(self) -> None:
        """Pause, or resume what is paused."""
        path, control = self._path(), self.shell.control
        database = self.shell.view.database(path) if path else None
        if not path or database is None:
            return
        if database_state(database) in STOPPED:
            self._command("resume", path, lambda: control.resume(path), _resumed)
        else:
            self._command("pause", path, lambda: _pause(control, path), lambda words: words)

    def action_verify(self) -> None:
        """Restore the newest commit from each replica to a temporary file and compare it with the source."""
        path, control = self._path(), self.shell.control
        if path:
            # A job: whoever detaches leaves it to the engine, and whoever ends that is asked first.
            leaving, request = self.shell.leaving, Verify(database=path)
            self._command("verify", path, lambda: list(followed(control, request, leaving).result), _verified)

    def action_restore(self) -> None:
        if path := self._path():
            self.shell.open_restore(path)

    def action_restore_latest(self) -> None:
        """The latest commit, to a new file beside the database: nothing is overwritten."""
        path = self._path()
        if not path:
            return
        # Imported here: the first paint does not wait for what restores.
        from replication.restore.restore import RestoreOptions
        from tui.restore.run.screen import Request, RestoringScreen

        output = new_output(path, self.shell.now())
        self.app.push_screen(RestoringScreen(Request(path, "", RestoreOptions(), output, False, "the latest commit")))

    def action_uploads(self) -> None:
        self.shell.open_uploads()

    def action_jobs(self) -> None:
        self.shell.open_jobs()

    def action_log(self) -> None:
        self.shell.open_log()

    def _path(self) -> str | None:
        path = self.selected
        if path is None:
            self.shell.tell("No database is selected", "warning")
        elif is_host(path):
            database = self.shell.view.database(path)
            why = f": {database.error}" if database is not None and database.error else ""
            self.shell.tell(f"{short_name(path)} a host that does not answer{why}", "warning")
            return None
        return path

    def _command(self, what: str, path: str, work: Callable[[], T], words: Callable[[T], str]) -> None:
        """Run a command, one of each kind at a time for a database. Say that it began, and what became of it."""
        shell, name = self.shell, short_name(path)
        key = (what, path)
        if key in shell.running:
            shell.tell(f"{what} of {name} is under way already", "warning")
            return
        shell.running.add(key)

        def done(result: T) -> None:
            shell.running.discard(key)
            shell.tell(f"{name}: {words(result)}", _severity(result))
            shell.poll()

        def failed(error: ReplicationError) -> None:
            shell.running.discard(key)
            shell.tell(f"{name}: {what} failed: {error}", "error")
            shell.poll()

        if what in _LONG:
            shell.tell(f"{name}: {what} begins")
        shell.in_background(work, done, failed)
        shell.poll()


def new_output(database: str, now: float) -> Path:
    """A free path beside the database, with the time in its name."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = Path(f"{database}.restore-{stamp}")
    number = 1
    while os.path.lexists(path):
        number += 1
        path = Path(f"{database}.restore-{stamp}-{number}")
    return path


def _severity(result: object) -> str:
    outcomes = [item.outcome for item in result if isinstance(item, Verification)] if isinstance(result, list) else []
    if "failed" in outcomes:
        return "error"
    return "warning" if "inconclusive" in outcomes else "information"


def _pause(control: Control, path: str) -> str:
    try:
        control.pause(path)
    except PausedError as error:
        # P was pressed once more before that was true.
        return str(error)
    return "paused: nothing is copied or uploaded until P resumes it"


def _resumed(holders: tuple[str, ...]) -> str:
    return f"it stays paused for {', '.join(holders)}" if holders else "replication goes on"


def _verified(results: list[Verification]) -> str:
    return "; ".join(f"{item.replica}: {item.outcome}, {item.words}" for item in results)
