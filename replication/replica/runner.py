"""When a replica is written to: the gap between uploads, the waits after errors, and how it stands.

It turns the plain calls of a destination into jobs of a pool: each run does what is due and says when to run next.
An error is a value here, shown by the status until a run succeeds. What no commit waits for is in duties.py.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from replication.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    LocalFileError,
    NotListedError,
    StorageError,
    without_frames,
    words_of,
)
from replication.events import Emit
from replication.position import Position
from replication.replica.backoff import RETRY_SECONDS_MIN, delay
from replication.replica.destination import Destination
from replication.replica.duties import ERROR_REPEAT_SECONDS, Duties, Failure, Intervals
from replication.replica.lag import is_behind
from replication.replica.pace import Pace
from replication.replica.source import SourceDatabase
from replication.status import Progress, ReplicaState, ReplicaStatus, Verification, untold


class ReplicaRunner:
    """Runs one replica. Runs take a lock, and come one after another; `status` never waits."""

    def __init__(
        self,
        replica: Destination,
        database: SourceDatabase,
        intervals: Intervals,
        emit: Emit,
        crowd: Callable[[], int] = lambda: 1,
    ) -> None:
        self.replica = replica
        self.duties = Duties(replica, intervals, emit, str(database.path))
        self._lock = threading.Lock()
        self._crowd = crowd
        self.failure = Failure()
        self._database = database
        self._intervals = intervals
        self._emit = emit
        self._pace = Pace(intervals.sync, at=time.monotonic())
        self._not_before = 0.0
        """When the wait after an error ends, of time.monotonic."""
        self._hurried = False
        self._seen: Position | None = None
        self._changed = 0.0
        """When the database was first seen at its position, of time.monotonic."""
        self._last_reported: tuple[str, float] = ("", 0.0)

    def run(self) -> float | None:
        """Send what is committed, if it is time. Return when to run again, in the time of time.monotonic."""
        with self._lock:
            return self._run()

    def run_if_free(self) -> None:
        """The same for a caller that must not wait: nothing, if a run is under way."""
        if self._lock.acquire(blocking=False):
            try:
                self._run()
            finally:
                self._lock.release()

    def _run(self) -> float | None:
        began = time.monotonic()
        wait_until = max(self._not_before, began if self._hurried else self._upload_time(began))
        if began < wait_until:
            return wait_until
        self._hurried = False
        try:
            wrote = self.replica.send()
        except Exception as error:  # whatever it is: it shows, and the next try comes
            return self._failed(error)
        if self.replica.begins:
            # The first snapshot comes before, and wakes us when it is written.
            return None
        self._succeeded()
        if wrote:
            self._pace = self._pace.upload_made(began)
        return self._next_time()

    def begin(self) -> float | None:
        """Write the large first snapshot that sending waits for.

        Return when to try again, or None if there is none to write.
        """
        if not self.replica.begins:
            return None
        if time.monotonic() < self._not_before:
            return self._not_before
        try:
            begun = self.replica.begin()
        except Exception as error:  # as above
            with self._lock:
                return self._failed(error)
        if begun:
            with self._lock:
                self._succeeded()
        return None

    def verify(self, cancel: threading.Event, progress: Progress = untold) -> Verification:
        """Compare the replica with the source now."""
        return self.duties.verify(cancel, progress)

    def hurry(self) -> None:
        """Let the next run wait for no gap and no back-off."""
        self._not_before, self._hurried = 0.0, True
        self.duties.hurry()

    def caught_up(self) -> bool:
        """True when the replica has everything that was copied, its first snapshot included."""
        here, position = self._database.position, self.replica.position
        return here is None or (position is not None and self.replica.pending(here, position) == 0)

    def status(self, now: float) -> ReplicaStatus:
        """The status of the replica at `now`, in seconds since the epoch."""
        replica, database, failure, duties = self.replica, self._database, self.failure, self.duties
        progress, position, here = replica.progress, replica.position, database.position
        pending = replica.pending(here, position) if here is not None else 0
        lag = self._lag(position, now) if pending else 0.0
        state: ReplicaState = "ok"
        standing = replica.standing
        failure = failure if failure.count else duties.loss
        if not failure.count and standing.broken:
            failure = Failure(1, NotListedError(standing.broken))
        if failure.count:
            state = "error"
        elif here is None or position is None:
            state = "starting"
        elif pending:
            state = "behind" if is_behind(lag, self._intervals.sync) else "syncing"
        return ReplicaStatus(
            name=replica.name,
            type=replica.kind,
            address=replica.address,
            state=state,
            position=position,
            pending_bytes=pending,
            lag_seconds=lag,
            uploading=progress.object_name,
            uploading_bytes=progress.object_bytes,
            uploading_total_bytes=progress.object_total_bytes,
            objects_written=progress.objects_written,
            bytes_written=progress.bytes_written,
            last_upload=progress.last_upload,
            errors_in_a_row=failure.count,
            last_error=f"{replica.lost}; {failure.message}" if replica.lost and failure.message else failure.message,
            next_try=failure.next_try,
            snapshot_time=replica.snapshot_time,
            next_snapshot=duties.next_snapshot,
            proven=standing.proven,
            lost=replica.lost or standing.lost,
            verified=replica.verified,
            uploads=replica.uploads,
            warning=replica.warning,
            uploading_also=replica.sending,
            duty_warning=duties.warning,
            error_code=failure.exit_code,
            totals=replace(replica.totals, errors=duties.errors.all()),
        )

    def _upload_time(self, now: float) -> float:
        """When to upload what is pending. Returns `now` if nothing is pending, or that is not known."""
        here, position = self._database.position, self.replica.position
        if here != self._seen:
            self._seen, self._changed = here, now
        pending = self.replica.pending(here, position) if here is not None and position is not None else 0
        return self._pace.next_time(now, self._changed, pending) if pending else now

    def _next_time(self) -> float | None:
        if self.caught_up():
            return None
        now = time.monotonic()
        # Without a position it waits for the database to begin a generation, which wakes it.
        return self._upload_time(now) if self.replica.position is not None else now + RETRY_SECONDS_MIN

    def _failed(self, error: Exception) -> float:
        self.failure, self._not_before = self._after(error, self.failure.count + 1)
        return self._not_before

    def _after(self, error: Exception, count: int) -> tuple[Failure, float]:
        """The failure after an error that is the last of so many in a row, and when the next try comes, of
        time.monotonic."""
        throttled = isinstance(error, StorageError) and error.throttled
        refused = isinstance(error, AccessDeniedError | BucketNotFoundError | LocalFileError)
        wait = delay(count, random.random(), throttled, refused, self._crowd())
        message = words_of(error)
        self.duties.errors.add(type(error).__name__)
        now = time.monotonic()
        said, when = self._last_reported
        if message != said or now >= when + ERROR_REPEAT_SECONDS:
            self._last_reported = (message, now)
            self._emit("error", "sync failed", error=message, tries=count, next_try_in=f"{wait:.1f}s")
        return Failure(count, without_frames(error), time.time() + wait), now + wait

    def _succeeded(self) -> None:
        if self.failure.count:
            self._emit(
                "info",
                "replica is reached again, all that was pending is uploaded",
                after_tries=self.failure.count,
                position=str(self.replica.position or ""),
            )
            self.failure = Failure()
            self._last_reported = ("", 0.0)

    def _lag(self, position: Position | None, now: float) -> float:
        missing = self._database.arrivals.first_missing(position)
        return 0.0 if missing is None else max(0.0, now - missing)
