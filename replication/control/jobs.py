"""Jobs: what takes long, each on a thread of its own, known by an id, with progress, a result or an error, and cancel.

Its promise: a job that began ends, whether or not the client that asked for it is still there; and both those
under way and those that are kept are bounded. It leaves to the caller what a job does.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from replication.control.values import JobState, JobStatus, failure_of
from replication.errors import BusyError, NoJobError, PausedError, ReplicationError, RestoreCancelledError
from replication.restore.meter import RestoreProgress

JOBS_AT_ONCE_MAX = 16
JOBS_KEPT_MAX = 100
"""So many jobs that are over are still known, the newest."""
HELD_MAX = 8
"""Jobs that are over and keep something open, such as the temporary file of a look."""
HELD_SECONDS_MAX = 900.0
"""How long a job keeps something open that is not asked for."""
_MOVES: dict[JobState, frozenset[JobState]] = {
    "running": frozenset({"cancelling", "done", "failed"}),
    "cancelling": frozenset({"done", "failed", "cancelled"}),
    "done": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""The states that may follow each state of a job."""


class Closing(Protocol):
    """What a job keeps open."""

    def close(self) -> object:
        """Let go of it."""


class Run:
    """One job as its own thread sees it."""

    def __init__(self, jobs: "Jobs", id: str) -> None:
        self.cancel = threading.Event()
        self._breaks: list[Callable[[], object]] = []
        self._jobs = jobs
        self._id = id

    def when_cancelled(self, break_off: Callable[[], object]) -> None:
        """Call this when the job is cancelled, besides setting `cancel`: for work that does not look at that event."""
        self._breaks.append(break_off)
        if self.cancel.is_set():
            break_off()

    def cancelled(self) -> None:
        """Call what `when_cancelled` was given: the job was cancelled."""
        self.cancel.set()
        for break_off in self._breaks.copy():
            break_off()

    def progress(self, progress: RestoreProgress) -> None:
        """Report how far the job is."""
        self._jobs.change(self._id, progress=progress)

    def say(self, words: str) -> None:
        """Report in words what the job waits for."""
        self._jobs.change(self._id, words=words)

    def keep(self, held: Closing) -> None:
        """Keep this open after the job's end, for requests that name the job."""
        self._jobs.keep(self._id, held)


@dataclass(slots=True)
class _Job:
    """One job. What changes is a new value in `status`."""

    status: JobStatus
    key: str
    run: Run
    held: Closing | None = None
    asked: float = field(default_factory=time.monotonic)
    """When a client last asked for what it keeps."""
    busy: int = 0
    """How many requests use what it keeps just now."""


class Jobs:
    """All jobs of an engine. Safe from any thread."""

    def __init__(self) -> None:
        self.engine = secrets.token_hex(4)
        """A random id of this start of the engine. Ids of jobs begin with it, so that none means another job later."""
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._changed = threading.Condition()
        self._number = 0
        self._closed = False

    def begin(self, do: str, database: str, work: Callable[[Run], Any], key: str = "") -> JobStatus:
        """Do `work` on a thread of its own.

        With the key of a job that is known, nothing begins, and that job is returned.

        Raises BusyError if too many are under way.
        """
        with self._changed:
            for job in self._jobs.values():
                if key and job.key == key:
                    return job.status
            under_way = sum(not job.status.over for job in self._jobs.values())
            if under_way >= JOBS_AT_ONCE_MAX or self._closed:
                why = "the engine ends" if self._closed else f"{under_way} jobs are under way already"
                raise BusyError(f"{do} was not begun: {why}; ask again when one of them is over")
            self._number += 1
            id = f"{self.engine}-{self._number}"
            run = Run(self, id)
            job = _Job(JobStatus(id, do, database, "running", time.time()), key, run)
            self._jobs[id] = job
        try:
            threading.Thread(target=self._work, args=(job, work), name=f"job {id} {do}", daemon=True).start()
        except RuntimeError as error:
            self._end(job, "failed", failure=failure_of(BusyError(f"{do} was not begun: {error}")))
        return job.status

    def status(self, id: str, version: int = -1, seconds: float = 0.0) -> JobStatus:
        """How a job stands, once it is newer than `version`, or after so many seconds."""
        with self._changed:
            job = self._named(id)
            self._changed.wait_for(lambda: job.status.version > version or job.status.over, seconds)
            return job.status

    def all(self) -> tuple[JobStatus, ...]:
        """All jobs that are kept, oldest first, without results."""
        with self._changed:
            return tuple(replace(job.status, result=None) for job in self._jobs.values())

    def cancel(self, id: str) -> JobStatus:
        """Cancel a job, if it is under way."""
        with self._changed:
            job = self._named(id)
            first = job.status.state == "running"
            if first:
                self._move(job, "cancelling")
        if first:
            job.run.cancelled()
        return job.status

    def forget(self, id: str) -> None:
        """Cancel a job, and let go of what it keeps. One that is not known is forgotten already."""
        with suppress(NoJobError):
            self.cancel(id)
            with self._changed:
                job = self._named(id)
                held = self._take_held(job) if not job.busy else None
            if held is not None:
                held.close()

    def held(self, id: str, do: str) -> Any:
        """What a job of that kind keeps open. Raises NoJobError. `release` is called when it is used no more."""
        with self._changed:
            job = self._named(id)
            if job.status.do != do or job.held is None:
                raise NoJobError(f"job {id} is no {do} that is kept open; begin it again")
            job.busy += 1
            return job.held

    @contextmanager
    def using(self, id: str, do: str) -> Iterator[Any]:
        """A block that uses what a job keeps open, as `held` gives it."""
        held = self.held(id, do)
        try:
            yield held
        finally:
            self.release(id)

    def release(self, id: str) -> None:
        """Say that what `held` gave is used no more."""
        with self._changed:
            job = self._jobs.get(id)
            if job is not None:
                job.busy -= 1
                job.asked = time.monotonic()

    def keep(self, id: str, held: Closing) -> None:
        """Keep something open for a job, for as long as it is known and asked for."""
        with self._changed:
            self._named(id).held = held
            closing = self._to_let_go()
        for one in closing:
            one.close()

    def change(self, id: str, **changes: Any) -> None:
        """Change the status of a job that is under way."""
        with self._changed:
            job = self._jobs.get(id)
            if job is not None and not job.status.over:
                self._set(job, **changes)

    def close(self, seconds: float) -> list[str]:
        """Cancel all jobs and wait so long for them. Return the names of those that did not end."""
        with self._changed:
            self._closed = True
            ids = [id for id, job in self._jobs.items() if not job.status.over]
        for id in ids:
            self.cancel(id)
        with self._changed:
            self._changed.wait_for(lambda: all(job.status.over for job in self._jobs.values()), seconds)
            left = [f"job {job.status.do}" for job in self._jobs.values() if not job.status.over]
            held = [one for job in self._jobs.values() if (one := self._take_held(job)) is not None]
        for one in held:
            one.close()
        return left

    # -- inside -----------------------------------------------------------------------------------------------------

    def _work(self, job: _Job, work: Callable[[Run], Any]) -> None:
        cancelled = job.run.cancel
        try:
            result = work(job.run)
        except (RestoreCancelledError, PausedError) as error:
            self._end(job, "cancelled" if cancelled.is_set() else "failed", failure=failure_of(error))
        except BaseException as error:  # whatever it is: who asked is told, and the engine goes on
            was_cancelled = cancelled.is_set() and isinstance(error, ReplicationError)
            self._end(job, "cancelled" if was_cancelled else "failed", failure=failure_of(error))
        else:
            self._end(job, "done", result=result)

    def _end(self, job: _Job, state: JobState, **changes: Any) -> None:
        with self._changed:
            self._move(job, state, ended=time.time(), **changes)
            over = [id for id, one in self._jobs.items() if one.status.over]
            closing = [self._jobs.pop(id).held for id in over[: max(0, len(over) - JOBS_KEPT_MAX)]]
            closing += self._to_let_go()
        for one in closing:
            if one is not None:
                one.close()

    def _move(self, job: _Job, state: JobState, **changes: Any) -> None:
        assert state in _MOVES[job.status.state], (job.status.state, state)
        self._set(job, state=state, **changes)

    def _set(self, job: _Job, **changes: Any) -> None:
        job.status = replace(job.status, version=job.status.version + 1, **changes)
        self._changed.notify_all()

    def _named(self, id: str) -> _Job:
        job = self._jobs.get(id)
        if job is None:
            raise NoJobError(f"the engine has no job {id!r}: it has ended long ago, or the engine was started anew")
        return job

    def _to_let_go(self) -> list[Closing]:
        """What is to be closed: kept by too many jobs, or not asked for in time."""
        holding = [job for job in self._jobs.values() if job.held is not None and not job.busy]
        now = time.monotonic()
        old = [job for job in holding if now - job.asked > HELD_SECONDS_MAX]
        rest = [job for job in holding if job not in old]
        return [one for job in old + rest[: max(0, len(rest) - HELD_MAX)] if (one := self._take_held(job)) is not None]

    def _take_held(self, job: _Job) -> Closing | None:
        held, job.held = job.held, None
        return held
