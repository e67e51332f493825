"""What a replica does at intervals: proof, later snapshots, retention, validation. No commit waits for any of it.

Each has a timer and failures of its own: a store that refuses to remove stops neither proofs nor snapshots, and what
fails here is a warning as long as commits arrive. All intervals are of the monotonic clock, which is never set; those
of many databases are spread by their names, so that they do not all fall due at once.
It leaves to the caller the thread, and the waking: `next_time` says when.
"""

import random
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from replication.counts import Counts
from replication.errors import NotListedError, PausedError, ReplicationError, without_frames, words_of
from replication.events import Emit
from replication.replica.backoff import duty_delay
from replication.replica.destination import Destination
from replication.status import Progress, Verification, untold

ERROR_REPEAT_SECONDS = 30.0
"""An error that stays the same is reported again no more often than this."""
LATE_SECONDS = 10.0
"""How long to wait for a listing that shows the first snapshot of a generation."""
SNAPSHOTS_SPREAD = 0.125
"""Share of the snapshot interval by which the snapshots of some databases come earlier than those of others."""
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Intervals:
    """All in seconds. 0 turns snapshots, retention and validation off; proofs go on without them."""

    sync: float
    snapshot: float
    retention: float
    retention_check: float
    validation: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Errors in a row: how many, the last one, and when the next try comes (seconds since the epoch)."""

    count: int = 0
    error: Exception | None = None
    next_try: float = 0.0

    @property
    def message(self) -> str:
        """The last error for people, or ""."""
        return words_of(self.error) if self.error is not None else ""

    @property
    def exit_code(self) -> int:
        """The exit code of a command that ends with the last error, or 0."""
        if self.error is None:
            return 0
        return self.error.exit_code if isinstance(self.error, ReplicationError) else ReplicationError.exit_code

    @property
    def shows_a_loss(self) -> bool:
        """True if the last error says that what has arrived cannot be restored (promise 9)."""
        return isinstance(self.error, NotListedError)


class _Duty:
    """One duty. `due` says when it is to be done, of time.monotonic, and `do` does it."""

    def __init__(self, name: str, interval: float, due: Callable[[], float], do: Callable[[float], None]) -> None:
        self.name = name
        self.interval = interval
        self.due = due
        self.do = do
        self.failure = Failure()
        self.not_before = 0.0
        """The duty waits until then, of time.monotonic, after an error or for something that must come first."""
        self._last_reported: tuple[str, float] = ("", NEVER)

    @property
    def time(self) -> float:
        return max(self.due(), self.not_before)

    def failed(self, error: Exception, emit: Emit) -> None:
        count = self.failure.count + 1
        wait = duty_delay(count, random.random(), self.interval)
        message, now = words_of(error), time.monotonic()
        self.failure, self.not_before = Failure(count, without_frames(error), time.time() + wait), now + wait
        said, when = self._last_reported
        if message != said or now >= when + ERROR_REPEAT_SECONDS:
            self._last_reported = (message, now)
            level = "error" if self.failure.shows_a_loss else "warning"
            emit(level, f"{self.name} failed", error=message, tries=count, next_try_in=f"{wait:.1f}s")

    def succeeded(self, emit: Emit) -> None:
        if self.failure.count:
            emit("info", f"{self.name} goes on", after_tries=self.failure.count)
            self.failure, self._last_reported = Failure(), ("", NEVER)


class Duties:
    """The duties of one replica. `run` and `validate` are called by one thread each; any thread may ask the rest."""

    def __init__(self, replica: Destination, intervals: Intervals, emit: Emit, name: str) -> None:
        """`name` is that of the database.

        With the replica's it decides at which part of each interval its turn comes.
        """
        self.errors = Counts()
        """How many errors of each class there were since the program began, in duties and in sending."""
        self._replica = replica
        self._intervals = intervals
        self._emit = emit
        self._share = spread(f"{name} {replica.name}")
        now = time.monotonic()
        self._check_at = now + intervals.retention_check * self._share
        self._validate_at = now + intervals.validation * self._share if intervals.validation > 0 else NEVER
        self._snapshot_tried = float("-inf")
        self._cancel = threading.Event()
        self._duties = (
            _Duty("proof", LATE_SECONDS, lambda: 0.0 if replica.unproven else NEVER, self._prove),
            _Duty("snapshot", intervals.snapshot, self._snapshot_time, self._snapshot),
            _Duty("retention", intervals.retention_check, lambda: self._check_at, self._enforce_retention),
        )

    def run(self) -> float | None:
        """Do what is due. Return when to run again, in the time of time.monotonic, or None if nothing is planned."""
        for duty in self._duties:
            now = time.monotonic()
            if self._may_run() and now >= duty.time:
                try:
                    duty.do(now)
                except PausedError:
                    # A pause is no failure: the duties go on when the database does.
                    return None
                except Exception as error:  # whatever it is: it shows, and the next try comes
                    self.errors.add(type(error).__name__)
                    duty.failed(error, self._emit)
                else:
                    duty.succeeded(self._emit)
        return self.next_time()

    def next_time(self) -> float | None:
        """When the next duty is due, of time.monotonic; None before it is known where the replica stands."""
        if not self._may_run():
            return None
        earliest = min(duty.time for duty in self._duties)
        return None if earliest == NEVER else earliest

    def hurry(self) -> None:
        """Let the next run wait for no back-off."""
        for duty in self._duties:
            duty.not_before = 0.0

    def validate(self) -> float | None:
        """Compare the replica with the source, if it is time. Return when to do it again, or None if never."""
        interval = self._intervals.validation
        if self._cancel.is_set() or interval <= 0:
            return None
        now = time.monotonic()
        if now < self._validate_at:
            return self._validate_at
        # A replica that has nothing yet cannot be compared, and it is not this duty that sends.
        if self._replica.position is None:
            return now + min(LATE_SECONDS, interval)
        self.verify(self._cancel)
        self._validate_at = time.monotonic() + interval
        return self._validate_at

    def verify(self, cancel: threading.Event, progress: Progress = untold) -> Verification:
        """Compare the replica with the source now."""
        return self._replica.verify(cancel, progress)

    def end(self) -> None:
        """Begin no duty any more, and break off what nothing waits for: the engine closes."""
        self._cancel.set()
        self._replica.end()

    @property
    def warning(self) -> str:
        """Which duties could not be done, in words; "" while all goes well."""
        failing = [duty for duty in self._duties if duty.failure.count and not duty.failure.shows_a_loss]
        return "; ".join(f"{duty.name} failed, commits go on: {duty.failure.message}" for duty in failing)

    @property
    def loss(self) -> Failure:
        """The failure that says that what has arrived cannot be restored (promise 9), or one without errors."""
        return next((duty.failure for duty in self._duties if duty.failure.shows_a_loss), Failure())

    @property
    def next_snapshot(self) -> float:
        """When the next snapshot is due, in seconds since the epoch; 0 if none is planned."""
        due = self._snapshot_due()
        return 0.0 if due == NEVER else time.time() + due - time.monotonic()

    # -- each of them ---------------------------------------------------------------------------------------------

    def _may_run(self) -> bool:
        return self._replica.position is not None and not self._cancel.is_set()

    def _prove(self, now: float) -> None:
        self._replica.prove()
        if self._replica.unproven:
            # The listings of the store are late, and are waited for.
            self._duties[0].not_before = now + LATE_SECONDS

    def _snapshot(self, now: float) -> None:
        self._snapshot_tried = now
        self._replica.snapshot()

    def _enforce_retention(self, _: float) -> None:
        self._replica.enforce_retention(self._intervals.retention, datetime.now(UTC))
        self._check_at = time.monotonic() + self._intervals.retention_check

    def _snapshot_time(self) -> float:
        return 0.0 if self._replica.snapshot_wanted else self._snapshot_due()

    def _snapshot_due(self) -> float:
        """When the next snapshot is to be tried, of time.monotonic."""
        if self._intervals.snapshot <= 0 or not self._replica.snapshot_time:
            return NEVER
        # An idle database has nothing new to snapshot, and is asked again only an interval later.
        interval = self._intervals.snapshot * (1.0 - SNAPSHOTS_SPREAD * self._share)
        return max(self._replica.snapshot_at, self._snapshot_tried) + interval


def spread(name: str) -> float:
    """A share of an interval, above 0 and up to 1, that is always the same for a name."""
    return (1 + zlib.crc32(name.encode(errors="surrogateescape"))) / (1 << 32)
