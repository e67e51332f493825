"""When a replica runs: the gap between uploads, the waits after errors, and its timed duties.

It turns the plain calls of Replica into a job of a pool: each run does what is due and says when to run next.
An error is a value here, shown by the status until a run succeeds. What fails of the duties keeps no commit from being
uploaded: they have waits of their own. All intervals are of the monotonic clock, which is never set.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from replication.database.database import Database, Emit
from replication.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    LocalFileError,
    PausedError,
    ReplicationError,
    StorageError,
)
from replication.position import Position
from replication.replica.backoff import RETRY_SECONDS_MIN, delay
from replication.replica.pace import Pace
from replication.replica.replica import Replica
from replication.status import ReplicaStatus, Verification

ERROR_REPEAT_SECONDS = 30.0
"""An error that stays the same is told again no more often than this."""

LATE_SECONDS = 10.0
"""So long a listing that does not show the first snapshot of a generation is waited for."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """In seconds; 0 turns snapshots, retention and validation off. The check of what is there goes on without them."""

    sync: float
    snapshot: float
    retention: float
    retention_check: float
    validation: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Errors in a row: how many, the last one's words, and when the next try comes (seconds since the epoch)."""

    count: int = 0
    message: str = ""
    next_try: float = 0.0


class ReplicaRunner:
    """One replica under way. Its runs take a lock, and come one after another; `status` never waits."""

    def __init__(
        self,
        replica: Replica,
        database: Database,
        intervals: Intervals,
        emit: Emit,
        crowd: Callable[[], int] = lambda: 1,
    ) -> None:
        self.replica = replica
        self._lock = threading.Lock()
        self._crowd = crowd
        self.failure = Failure()
        self.duty_failure = Failure()
        """The same of the duties: snapshots, proof, retention."""
        self._duties_not_before = 0.0
        self._database = database
        self._intervals = intervals
        self._emit = emit
        self._pace = Pace(intervals.sync, at=time.monotonic())
        self._not_before = 0.0
        """The wait after an error ends then."""
        self._hurried = False
        self._seen: Position | None = None
        self._changed = 0.0
        """When the database was first seen at its position, of time.monotonic."""
        self._told: tuple[str, float] = ("", 0.0)
        self._snapshot_tried = float("-inf")
        self._cancel = threading.Event()
        self._check_at = time.monotonic() + intervals.retention_check

    def run(self) -> float | None:
        """Do what is due; the time of time.monotonic to run again."""
        with self._lock:
            return self._run()

    def _run(self) -> float | None:
        began = time.monotonic()
        wait_until = max(self._not_before, began if self._hurried else self._upload_time(began))
        if began < wait_until:
            return wait_until
        self._hurried = False
        try:
            wrote = self.replica.sync()
        except Exception as error:  # whatever it is: it shows, and the next try comes
            return self._failed(error)
        self._succeeded()
        if wrote:
            self._pace = self._pace.upload_made(began)
        self._timed_duties()
        return self._next_time()

    def verify(self, cancel: threading.Event) -> Verification:
        """Compare the replica with the source now."""
        return self.replica.verify(cancel)

    def validate(self) -> float | None:
        """Compare the replica with the source; the time of time.monotonic to do it again, None if never."""
        interval = self._intervals.validation
        if self._cancel.is_set() or interval <= 0:
            return None
        if self.replica.position is not None:
            self.verify(self._cancel)
        return time.monotonic() + interval

    def cancel(self) -> None:
        """End a validation that is under way: the engine closes."""
        self._cancel.set()

    def hurry(self) -> None:
        """Let the next run wait for no gap and no back-off."""
        self._not_before, self._hurried = 0.0, True

    def caught_up(self) -> bool:
        """True when the replica has everything that was copied, its first snapshot included."""
        here, position = self._database.position, self.replica.position
        return here is None or (position is not None and self._pending(here, position) == 0)

    def status(self, now: float) -> ReplicaStatus:
        """How it stands at `now`, in seconds since the epoch."""
        replica, database, failure = self.replica, self._database, self.failure
        progress, position, here = replica.progress, replica.position, database.position
        pending = self._pending(here, position) if here is not None else 0
        lag = self._lag(position, now) if pending else 0.0
        state = "ok"
        standing = replica.standing
        if not failure.count:
            failure = self.duty_failure
        if not failure.count and standing.broken:
            failure = Failure(1, standing.broken, 0.0)
        if failure.count:
            state = "error"
        elif here is None or position is None:
            state = "starting"
        elif pending:
            state = "syncing" if lag < max(5.0, 5 * self._intervals.sync) else "behind"
        return ReplicaStatus(
            name=replica.name,
            type=replica.client.storage.type,
            address=replica.client.address,
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
            snapshot_time=progress.snapshot_time,
            next_snapshot=self._next_snapshot(),
            proven=standing.proven,
            lost=replica.lost or standing.lost,
            verified=replica.verified,
            uploads=tuple(replica.uploads),
            warning=replica.warning,
        )

    def _upload_time(self, now: float) -> float:
        """When what is pending is to be uploaded; `now` if nothing is, or if it is not known."""
        here, position = self._database.position, self.replica.position
        if here != self._seen:
            self._seen, self._changed = here, now
        pending = self._pending(here, position) if here is not None and position is not None else 0
        return self._pace.next_time(now, self._changed, pending) if pending else now

    def _timed_duties(self) -> None:
        now = time.monotonic()
        if now < self._duties_not_before:
            return
        try:
            if self.replica.unproven:
                self.replica.prove()
                if self.replica.unproven:
                    # Its listings are late, and are waited for.
                    self._duties_not_before = now + LATE_SECONDS
                    return
            if now >= self._snapshot_due():
                self._snapshot_tried = now
                self.replica.snapshot()
            if now >= self._check_at:
                self.replica.enforce_retention(self._intervals.retention, datetime.now(UTC))
                self._check_at = time.monotonic() + self._intervals.retention_check
        except PausedError:
            # No failure: they go on when the database does.
            return
        except Exception as error:  # whatever it is: it shows, and the next try comes
            self.duty_failure, self._duties_not_before = self._after(error, self.duty_failure.count + 1)
            return
        if self.duty_failure.count:
            self._emit("info", "snapshots and retention go on", after_tries=self.duty_failure.count)
            self.duty_failure = Failure()

    def _snapshot_due(self) -> float:
        """When the next snapshot is to be tried, of time.monotonic."""
        if self._intervals.snapshot <= 0 or not self.replica.progress.snapshot_time:
            return float("inf")
        # An idle database has nothing new to snapshot, and is asked again only an interval later.
        return max(self.replica.snapshot_at, self._snapshot_tried) + self._intervals.snapshot

    def _next_snapshot(self) -> float:
        """The same in seconds since the epoch; 0 if none is planned."""
        due = self._snapshot_due()
        return 0.0 if due == float("inf") else time.time() + due - time.monotonic()

    def _next_time(self) -> float | None:
        now = time.monotonic()
        duties = min(self._check_at, self._snapshot_due(), now if self.replica.unproven else float("inf"))
        times = [max(duties, self._duties_not_before)]
        if not self.caught_up():
            # Without a position it waits for the database to begin a generation, which wakes it.
            times.append(self._upload_time(now) if self.replica.position is not None else now + RETRY_SECONDS_MIN)
        earliest = min(times)
        return None if earliest == float("inf") else earliest

    def _failed(self, error: Exception) -> float:
        self.failure, self._not_before = self._after(error, self.failure.count + 1)
        return self._not_before

    def _after(self, error: Exception, count: int) -> tuple[Failure, float]:
        """What is to be known of an error, the last of so many in a row, and when the next try comes."""
        throttled = isinstance(error, StorageError) and error.throttled
        refused = isinstance(error, AccessDeniedError | BucketNotFoundError | LocalFileError)
        wait = delay(count, random.random(), throttled, refused, self._crowd())
        message = _words(error)
        now = time.monotonic()
        said, when = self._told
        if message != said or now >= when + ERROR_REPEAT_SECONDS:
            self._told = (message, now)
            self._emit("error", "sync failed", error=message, tries=count, next_try_in=f"{wait:.1f}s")
        return Failure(count, message, time.time() + wait), now + wait

    def _succeeded(self) -> None:
        if self.failure.count:
            self._emit(
                "info",
                "replica is reached again, all that was pending is uploaded",
                after_tries=self.failure.count,
                position=str(self.replica.position or ""),
            )
            self.failure = Failure()
            self._told = ("", 0.0)

    def _pending(self, here: Position, position: Position | None) -> int:
        """Bytes of WAL that the replica lacks; of older generations only what is certain to be sent."""
        if position is None:
            return here.offset
        if self.replica.left is not None:
            return max(1, here.offset)  # what it lacks is gone: a snapshot goes in its place
        database = self._database
        if position.generation != here.generation:
            return max(1, here.offset)
        pending = -position.offset
        try:
            for index in range(position.index, here.index):
                pending += database.shadow.size(here.generation, index)
        except OSError:
            return max(1, here.offset)  # a status is told whatever may not be read just now
        return pending + here.offset

    def _lag(self, position: Position | None, now: float) -> float:
        missing = self._database.arrivals.first_missing(position)
        return 0.0 if missing is None else max(0.0, now - missing)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, ReplicationError) else f"{type(error).__name__}: {error}"
