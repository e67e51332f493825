"""What the engine was asked for, from this screen or elsewhere: restores, verifications, snapshots; under way and over.

It is how one who was cut off sees what became of a restore.
"""

from rich.text import Text

from replication.control import JobControl
from replication.control.values import JobStatus
from replication.errors import ReplicationError
from tui.jobs import lines as job_lines
from tui.text.blocks import error_lines, rule
from tui.text.style import Style
from tui.view import View
from tui.widgets.lines import Lines
from tui.widgets.scrolling import ScrollingScreen


class JobsScreen(ScrollingScreen):
    """The list of jobs, asked for at every poll, in a thread."""

    PLACE = "jobs"

    def __init__(self) -> None:
        super().__init__()
        self._jobs: list[JobStatus] | None = None
        self._results: dict[str, JobStatus] = {}
        """Jobs that are over, with their results, which a list of jobs does not have."""
        self._error: ReplicationError | None = None
        self._asking = False

    def show(self, view: View) -> None:
        self.draw()
        if self._asking:
            return
        self._asking = True

        def asked(found: list[JobStatus]) -> None:
            self._asking, self._error = False, None
            self._jobs = found
            self._results = {job.id: job for job in found if job.over}
            if self.is_attached:
                self.draw()

        def failed(error: ReplicationError) -> None:
            self._asking, self._error = False, error
            if self.is_attached:
                self.draw()

        control, known = self.shell.control, dict(self._results)
        self.shell.in_background(lambda: _ask(control, known), asked, failed)

    def count(self) -> int:
        return len(self._jobs or ())

    def paint(self) -> None:
        options, width = self.shell.options, self.size.width
        style = Style(options.ascii, options.slow, self.shell.now())
        made: list[Text] = []
        words: list[Text] = []
        jobs = self._jobs
        if self._error is not None:
            made = error_lines(str(self._error), width)
        elif jobs is None:
            made = [Text(" asking the engine")]
        elif not jobs:
            made = [Text(" Nothing was asked for since the engine began.")]
        else:
            seen = self.scroll.keep(len(jobs), self.list_area.size.height)
            cursor = self.scroll.cursor
            made = [job_lines.line(jobs[number], number == cursor, width, style) for number in seen]
            words = error_lines(job_lines.words(jobs[cursor]), width, "red" if jobs[cursor].failure else "")
        self.query_one("#head", Lines).set_lines([rule("jobs of the engine", width, style), job_lines.head(width)])
        self.list_area.set_lines(made)
        self.query_one("#words", Lines).set_lines(words)

    def action_open_job(self) -> None:
        """Follow the restore under the cursor, or see what came of it."""
        jobs = self._jobs or []
        job = jobs[self.scroll.cursor] if self.scroll.cursor < len(jobs) else None
        if job is None or job.do not in ("restore", "restore-over"):
            self.shell.tell("What came of it is told below; a restore has a screen of its own", "warning")
            return
        # Loaded with what restores, when it is needed.
        from tui.restore.run.screen import ReopenedScreen

        self.app.push_screen(ReopenedScreen(job))

    def action_cancel_job(self) -> None:
        """Cancel the job under the cursor: what it wrote is removed."""
        jobs = self._jobs or []
        job = jobs[self.scroll.cursor] if self.scroll.cursor < len(jobs) else None
        if job is None or job.over:
            self.shell.tell("There is nothing under way here", "warning")
            return
        shell = self.shell
        shell.in_background(lambda: shell.control.cancel(job.id), lambda _: shell.poll())


def _ask(control: JobControl, known: dict[str, JobStatus]) -> list[JobStatus]:
    """The jobs worth a line, those that are over with their results."""
    found = job_lines.shown(control.jobs())
    return [known.get(job.id) or (control.job(job.id) if job.over else job) for job in found]
