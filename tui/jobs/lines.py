"""Jobs of the engine as lines of text. Pure."""

from collections.abc import Iterable

from rich.text import Text

from replication.control.values import JobState, JobStatus
from replication.restore.replace import Replaced
from replication.restore.restore import RestoreResult
from tui.session.under_way import JOBS, how_far
from tui.text.cells import cut_end, cut_start
from tui.text.format import clock_time, plain
from tui.text.naming import short_name
from tui.text.style import Style

_MARKS: dict[JobState, tuple[str, str, str]] = {
    "running": ("◐", "~", "cyan"),
    "cancelling": ("◐", "~", "yellow"),
    "done": ("✔", "+", "green"),
    "failed": ("✖", "x", "red"),
    "cancelled": ("◌", "-", "yellow"),
}


def shown(jobs: Iterable[JobStatus]) -> list[JobStatus]:
    """The jobs that are worth a line, newest first."""
    return sorted((job for job in jobs if job.do in JOBS), key=lambda job: -job.began)


def head(width: int) -> Text:
    """The titles above the list."""
    return Text(cut_end(f"   {'JOB':<12}  {'DATABASE':<18}  {'BEGAN':<9}  WHAT CAME OF IT", width), style="bold")


def line(job: JobStatus, chosen: bool, width: int, style: Style) -> Text:
    """The line of one job."""
    mark, letter, colour = _MARKS[job.state]
    text = Text(f"{'>' if chosen else ' '}")
    text.append(style.mark(mark, letter), style=colour)
    name = cut_start(short_name(job.database), 18)
    text.append(f" {JOBS[job.do]:<12}  {name:<18}  {clock_time(job.began)}Z  ")
    text.append(cut_start(words(job), max(0, width - text.cell_len)))
    return text


def words(job: JobStatus) -> str:
    """What came of a job, or how far it is."""
    if job.failure is not None:
        return plain(job.failure.words)
    if job.state == "done":
        return _result(job)
    if job.state != "running":
        return job.state
    return how_far(job).removeprefix(", ") or plain(job.words) or "running"


def attach_news(jobs: Iterable[JobStatus]) -> str:
    """What a screen should say when it attaches: what is under way, or else the last restore that ended."""
    found = shown(jobs)
    under_way = [job for job in found if not job.over]
    job = next(iter(under_way or [job for job in found if job.do.startswith("restore")]), None)
    if job is None:
        return ""
    name = short_name(job.database)
    when = f"at {clock_time(job.ended)}Z" if job.over else f"since {clock_time(job.began)}Z"
    return f"{JOBS[job.do]} of {name}: {job.state} {when}. J shows the jobs"


def _result(job: JobStatus) -> str:
    if isinstance(job.result, RestoreResult):
        return plain(str(job.result.output))
    if isinstance(job.result, Replaced):
        return f"done, old content in {plain(job.result.kept.name)}"
    return "done"
