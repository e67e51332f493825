"""Commands that block, made of jobs: the same for an engine here and for one that is asked over a socket.

Its promise: after `cancel` was set it waits for the job to end, so that nothing of it is under way any more when the
call returns.
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from replication.control import requests as ask
from replication.control.contract import JobControl
from replication.control.values import JobStatus, error_of
from replication.errors import RestoreCancelledError
from replication.status import BY_HAND, Progress, Verification, untold

WAIT_SECONDS = 20.0
"""How long one request for news of a job waits."""
_CANCEL_LOOK_SECONDS = 0.1


def carry_out(
    control: JobControl,
    request: ask.Request,
    told: Callable[[JobStatus], None] = lambda job: None,
    cancel: threading.Event | None = None,
    timeout: float = float("inf"),
) -> Any:
    """Begin a job, wait for its end, and return its result. Raises the job's error as the class that it had.

    It is cancelled after `timeout` seconds.

    `told` is called each time it has changed, and setting `cancel` cancels it, which raises RestoreCancelledError or
    whatever the job makes of that.
    """
    job = control.begin(request, secrets.token_hex(8))
    version, deadline, asked = job.version, time.monotonic() + timeout, False
    while not job.over:
        told(job)
        left = deadline - time.monotonic()
        if not asked and (left <= 0 or (cancel is not None and cancel.is_set())):
            job, asked = control.cancel(job.id), True
            continue
        seconds = WAIT_SECONDS if asked else min(left, WAIT_SECONDS if cancel is None else _CANCEL_LOOK_SECONDS)
        job = control.job(job.id, version, seconds)
        version = job.version
    told(job)
    if job.failure is not None:
        raise error_of(job.failure)
    if job.state != "done":
        raise RestoreCancelledError(f"{job.do} was cancelled")
    return job.result


class Commands:
    """The commands of Control, for a class that has jobs."""

    def sync_now(self: JobControl, database: str | None = None) -> None:
        carry_out(self, ask.Sync(database=database or ""))

    def pause(self: JobControl, database: str, holder: str = BY_HAND, lease_seconds: float | None = None) -> None:
        carry_out(self, ask.Pause(database=database, holder=holder, lease_seconds=lease_seconds or 0.0))

    def snapshot(
        self: JobControl,
        database: str,
        replica: str | None = None,
        cancel: threading.Event | None = None,
        progress: Progress = untold,
    ) -> list[str]:
        request = ask.WriteSnapshot(database=database, replica=replica or "")
        return list(carry_out(self, request, _telling(progress), cancel))

    def verify(
        self: JobControl, database: str, cancel: threading.Event, progress: Progress = untold
    ) -> list[Verification]:
        return list(carry_out(self, ask.Verify(database=database), _telling(progress), cancel))


def _telling(progress: Progress) -> Callable[[JobStatus], None]:
    """Tells how far a job is, whenever it has changed."""

    def told(job: JobStatus) -> None:
        if job.progress is not None:
            progress(job.progress)

    return told
