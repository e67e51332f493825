"""The job that syncs, and waits until the replicas have what was committed when it was asked for.

Its promise: what an application commits meanwhile is not waited for, so that it ends though commits never do; and what
keeps a database from being replicated is raised once it was met, and not when the time is over.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from replication.control import requests as ask
from replication.control.contract import Control
from replication.control.jobs import Run
from replication.control.values import Synced
from replication.errors import DatabaseError, PausedError, RestoreCancelledError, StorageError, UsageError
from replication.position import Position
from replication.status import DatabaseStatus, ReplicaStatus

_LOOK_AGAIN_SECONDS = 0.01
_FAILURES_MAX = 1
"""After more errors in a row nothing is waited for: fewer may be over by the next try."""


def sync(engine: Control, request: ask.Sync, run: Run) -> Synced:
    """Sync, and wait as `request` asks. Raises what keeps a database from being replicated."""
    syncs = {item.path: item.totals.syncs for item in engine.status().databases}
    deadline, goals = time.monotonic() + request.timeout, _Goals(time.time(), syncs)
    engine.sync_now(request.database or None)
    while True:
        found = [item for item in engine.status().databases if request.database in ("", item.path)]
        if request.database and not found:
            raise UsageError(f"{request.database} is not replicated by this engine")
        lacking = [name for item in found for name in goals.lacking(item)]
        if not request.wait or not lacking:
            break
        for item in found:
            goals.check(item)
        if time.monotonic() >= deadline:
            why = next((item.error for item in found if item.error), "")
            raise StorageError(
                f"not all was replicated within {request.timeout:g} seconds: {', '.join(lacking)} lack what was "
                f"committed; {f'{why}; ' if why else ''}it goes on, see status"
            )
        if run.cancel.wait(_LOOK_AGAIN_SECONDS):
            raise RestoreCancelledError("The sync was waited for no longer; it goes on.")
    names = [item.name for one in found for item in one.replicas]
    position = str(found[0].position or "") if len(found) == 1 else ""
    return Synced(position, tuple(name for name in names if name not in lacking), tuple(lacking))


@dataclass(slots=True)
class _Goals:
    """What the replicas of each database are to reach: where it stood at its first sync since `began`."""

    began: float
    syncs: Mapping[str, int]
    """How many syncs each database had by then: a clock that was set back makes an old one look new."""
    _positions: dict[str, Position] = field(default_factory=dict)
    _errors: dict[str, float] = field(default_factory=dict)
    """How many errors of its syncs there were when it was first asked."""

    def lacking(self, database: DatabaseStatus) -> list[str]:
        """The replicas that lack it: all of them if the database was not synced since."""
        has_synced = database.last_sync >= self.began and database.totals.syncs > self.syncs.get(database.path, 0)
        if has_synced and database.position is not None:
            self._positions.setdefault(database.path, database.position)
        goal = self._positions.get(database.path)
        return [item.name for item in database.replicas if goal is None or not _has(item, database, goal)]

    def check(self, database: DatabaseStatus) -> None:
        """Raise what keeps the database from being replicated, so that nothing waits for it in vain."""
        if database.state in ("paused", "pausing"):
            raise PausedError(f"{database.path} is paused: nothing is copied or uploaded until it is resumed")
        errors = sum(count for _, count in database.totals.errors)
        before = self._errors.setdefault(database.path, errors)
        # One that is busy is waited for.
        if database.path not in self._positions and database.state == "error" and errors - before > _FAILURES_MAX:
            raise DatabaseError(f"{database.path} cannot be synced: {database.error}")
        for item in database.replicas:
            if item.errors_in_a_row > _FAILURES_MAX:
                raise StorageError(f"replica {item.name} fails: {item.last_error}")


def _has(replica: ReplicaStatus, database: DatabaseStatus, goal: Position) -> bool:
    """True if what the database had at `goal` can be restored from the replica."""
    here = replica.position
    if here is None or replica.errors_in_a_row:
        return False
    if here.generation == goal.generation and here >= goal:
        return True
    # A generation that began since then has all of it in its first snapshot.
    current = database.position is not None and here.generation == database.position.generation
    return current and (here.generation != goal.generation or not replica.pending_bytes)
