"""Of which class the result of each job is. Loaded when one is needed: the classes bring all that restores."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from replication.control.recalling import Previewed
from replication.control.values import JobStatus, Reloaded, Synced
from replication.history.log import Entry
from replication.history.past import Answer
from replication.position import Position
from replication.recall.recall import Brought
from replication.restore.histories import HeldGeneration
from replication.restore.points import Fetch, Learned, Listed
from replication.restore.replace import Replaced
from replication.restore.restore import RestoreResult
from replication.sqlite.diff import Differences, TableCount
from replication.status import Verification
from replication.wire import Plain, value_of, values_of


@dataclass(frozen=True, slots=True)
class PointPlan:
    """What restoring a point would fetch. `by_itself` is true if it would take a snapshot of Litestream as it is."""

    fetch: Fetch
    by_itself: bool


@dataclass(frozen=True, slots=True)
class Discovery:
    """A change that was found: the commit with it and the last one before, and what changed in words.

    `tables` are those of which rows, or all, went with it.

    Times are those at which the commits were made or, where that is not known (`made` is false), stored. `is_sure` is
    false where other such changes may lie after it.
    """

    words: str
    before: Position
    after: Position
    before_time: datetime
    after_time: datetime
    made: bool
    was: str
    became: str
    is_sure: bool
    looks: int
    bytes_read: int
    tables: tuple[str, ...] = ()


_ONE: dict[str, type[Any]] = {
    "sync": Synced,
    "restore": RestoreResult,
    "restore-over": Replaced,
    "plan": Fetch,
    "rows": Differences,
    "points": Listed,
    "commits": Learned,
    "plan-point": PointPlan,
    "query": Answer,
    "find": Discovery,
    "preview-back": Previewed,
    "bring-back": Brought,
    "write-rows": str,
    "reload": Reloaded,
    "register": str,
    "unregister": str,
}
_SEVERAL: dict[str, type[Any]] = {
    "snapshot": str,
    "verify": Verification,
    "look": TableCount,
    "entries": Entry,
    "generations": HeldGeneration,
}


def job_of(data: Plain) -> JobStatus:
    """A job as its engine tells it, with the result of its class. Raises WireError."""
    from dataclasses import replace

    job = value_of(JobStatus, data)
    if job.result is None:
        return job
    if job.do in _SEVERAL:
        return replace(job, result=values_of(_SEVERAL[job.do], job.result))
    # What a newer engine can do, and this one cannot name, stays as it came.
    return replace(job, result=value_of(_ONE[job.do], job.result)) if job.do in _ONE else job
