"""What would be broken off or left undone if the program ended now: jobs, uploads, and databases that are paused. Pure.

Before the screen ends its engine, the user is asked about any of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from replication.control.values import JobStatus
from replication.status import EngineStatus
from tui.text.format import plain, size
from tui.text.states import left_to_upload, stopped

JOBS = {
    "restore": "restore",
    "restore-over": "restore over",
    "verify": "verify",
    "snapshot": "snapshot",
    "bring-back": "bring back",
}
"""The jobs that a person begins and waits for, by the name of their request, and what they are called."""
ENDED = {
    "restore": "it is cancelled, and what it wrote is removed",
    "restore-over": "it is cancelled, and the database stays as it is",
    "verify": "it is cancelled, and says nothing of the replica",
    "snapshot": "it is not finished",
    "bring-back": "it is cancelled, and the database stays as it is",
}
"""What becomes of each of these jobs at the end of the engine."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """`left` is bytes that are not uploaded, `paused` the paths of databases."""

    jobs: tuple[JobStatus, ...]
    left: int
    paused: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.jobs or self.left or self.paused)


def under_way(status: EngineStatus, jobs: Iterable[JobStatus]) -> UnderWay:
    """What is under way now."""
    begun = tuple(job for job in jobs if job.do in JOBS and not job.over)
    return UnderWay(begun, left_to_upload(status), tuple(stopped(status)))


def job_words(job: JobStatus) -> str:
    """One job, and how far it is."""
    name = plain(job.database).rpartition("/")[2]
    return f"{JOBS[job.do]} of {name}{how_far(job)}"


def how_far(job: JobStatus) -> str:
    """How far a job is, as the end of a sentence; nothing if it does not say."""
    progress = job.progress
    if progress is None or not progress.bytes_total:
        return ""
    return f", {100 * progress.bytes_done // progress.bytes_total}% of {size(progress.bytes_total)}"
