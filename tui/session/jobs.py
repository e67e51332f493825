"""A job of the engine as a screen follows it: begun, looked at until it is over, cancelled if the user wants that.

Its promise: leaving the screen, by whichever way, ends the following and not the job; only `cancel` does that.
"""

import secrets
import threading
from collections.abc import Callable

from replication.control import JobControl
from replication.control.requests import Request
from replication.control.values import JobStatus, error_of
from replication.errors import EngineError, NoEngineError, NoJobError, ReplicationError, RestoreCancelledError

LOOK_SECONDS = 0.25
"""How long one request for news of a job waits, and by how much a cancel is late at most."""


class LeftError(ReplicationError):
    """The screen has ended; the job may go on."""


def followed(
    control: JobControl,
    request: Request,
    leaving: threading.Event,
    cancel: threading.Event | None = None,
    told: Callable[[JobStatus], None] = lambda job: None,
) -> JobStatus:
    """Begin a job and follow it to its end, as `follow` does."""
    return follow(control, control.begin(request, secrets.token_hex(8)), leaving, cancel, told)


def follow(
    control: JobControl,
    job: JobStatus,
    leaving: threading.Event,
    cancel: threading.Event | None = None,
    told: Callable[[JobStatus], None] = lambda job: None,
) -> JobStatus:
    """Follow a job to its end, wherever it was begun. Return the job that is done, with its result.

    Raises the error of one that failed, RestoreCancelledError for one that was cancelled, EngineError if the engine
    ended before it, and LeftError once `leaving` is set.
    """
    asked = False
    while not job.over:
        told(job)
        if leaving.is_set():
            raise LeftError("the screen was left")
        try:
            if cancel is not None and cancel.is_set() and not asked:
                job, asked = control.cancel(job.id), True
            else:
                job = control.job(job.id, job.version, LOOK_SECONDS)
        except NoEngineError:
            # The engine may be back in a moment, and then says whether it still knows the job.
            leaving.wait(LOOK_SECONDS)
        except NoJobError:
            raise EngineError(
                f"the engine ended while it did this ({job.do}), and another one does not know of it. What a restore "
                "had not finished is not at its output; begin it again"
            ) from None
    told(job)
    if job.failure is not None:
        raise error_of(job.failure)
    if job.state != "done":
        raise RestoreCancelledError(f"{job.do} was cancelled")
    return job
