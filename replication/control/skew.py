"""The times of an engine on another host, as the clock of this one has them.

An age is a difference between two readings of one clock. Who shows an engine reads the clock of its own machine, which
may be another by minutes or, where nobody sets it, by years. Its promise: a time is as long ago here as it is there,
within CLOSE_SECONDS. Moments of a history are no ages and stay as they are: they name what is restored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from replication.control.values import Info, JobStatus
from replication.events import Event
from replication.status import DatabaseStatus, EngineStatus, ReplicaStatus

CLOSE_SECONDS = 5.0
"""Clocks that are so close are taken to be the same: a status is as old as its way here takes."""
_TIME_MAX = 1e11
"""Some thousand years after the epoch, in seconds."""


@dataclass(slots=True)
class Skew:
    """How many seconds our clock is before that of the other host."""

    seconds: float = 0.0

    def compare(self, theirs: float, ours: float) -> None:
        """Take two readings of both clocks at about the same moment.

        A difference that is close to the one before stays what it was: it is only the time that the answer took.
        """
        if not 0.0 < theirs < _TIME_MAX:
            # It is none of a clock's.
            return
        if abs(ours - theirs - self.seconds) > CLOSE_SECONDS:
            self.seconds = ours - theirs if abs(ours - theirs) > CLOSE_SECONDS else 0.0

    def status(self, status: EngineStatus) -> EngineStatus:
        """The same status, by our clock."""
        if not self.seconds:
            return status
        databases = tuple(self._database(item) for item in status.databases)
        return EngineStatus(self._time(status.time), databases)

    def events(self, events: Iterable[Event]) -> list[Event]:
        """The same events, by our clock."""
        return [replace(item, time=self._time(item.time)) if self.seconds else item for item in events]

    def info(self, info: Info) -> Info:
        """The same engine, by our clock."""
        return replace(info, started=self._time(info.started))

    def job(self, job: JobStatus) -> JobStatus:
        """The same job, by our clock."""
        if not self.seconds:
            return job
        return replace(job, began=self._time(job.began), ended=self._time(job.ended))

    def _database(self, item: DatabaseStatus) -> DatabaseStatus:
        return replace(
            item,
            last_sync=self._time(item.last_sync),
            last_checkpoint=self._time(item.last_checkpoint),
            paused_at=self._time(item.paused_at),
            replicas=tuple(self._replica(one) for one in item.replicas),
        )

    def _replica(self, item: ReplicaStatus) -> ReplicaStatus:
        verified = item.verified
        return replace(
            item,
            last_upload=self._time(item.last_upload),
            next_try=self._time(item.next_try),
            snapshot_time=self._time(item.snapshot_time),
            next_snapshot=self._time(item.next_snapshot),
            proven=self._time(item.proven),
            verified=replace(verified, time=self._time(verified.time)) if verified is not None else None,
            uploads=tuple(replace(one, time=self._time(one.time)) for one in item.uploads),
        )

    def _time(self, time: float) -> float:
        # 0 is no time: it never was, or is not known.
        return time + self.seconds if time else 0.0
