"""The job that syncs, and waits until the replicas have what was committed when it was asked for."""

import time

from replication.control import requests as ask
from replication.control.contract import Control
from replication.control.jobs import Run
from replication.control.values import Synced
from replication.errors import PausedError, RestoreCancelledError, StorageError, UsageError
from replication.status import DatabaseStatus

_LOOK_AGAIN_SECONDS = 0.01


def sync(engine: Control, request: ask.Sync, run: Run) -> Synced:
    """Sync, and wait as `request` asks. Raises what keeps a database from being replicated."""
    began, deadline = time.time(), time.monotonic() + request.timeout
    engine.sync_now(request.database or None)
    while True:
        found = [item for item in engine.status().databases if request.database in ("", item.path)]
        if request.database and not found:
            raise UsageError(f"{request.database} is not replicated by this engine")
        lacking = [name for item in found for name in _lacking(item, began)]
        if not request.wait or not lacking:
            break
        for item in found:
            _check_goes_on(item)
        if time.monotonic() >= deadline:
            raise StorageError(
                f"not all was replicated within {request.timeout:g} seconds: {', '.join(lacking)} lack what was "
                "copied; it goes on, see status"
            )
        if run.cancel.wait(_LOOK_AGAIN_SECONDS):
            raise RestoreCancelledError("The sync was waited for no longer; it goes on.")
    names = [item.name for one in found for item in one.replicas]
    position = str(found[0].position or "") if len(found) == 1 else ""
    return Synced(position, tuple(name for name in names if name not in lacking), tuple(lacking))


def _lacking(database: DatabaseStatus, since: float) -> list[str]:
    """The replicas that lack what is copied now: all of them if the database was not synced since that time."""
    looked = database.last_sync >= since
    return [
        item.name
        for item in database.replicas
        if not looked or item.pending_bytes or item.position is None or item.errors_in_a_row
    ]


def _check_goes_on(database: DatabaseStatus) -> None:
    """Raise what keeps the database from being replicated, so that nothing waits for it in vain."""
    if database.state in ("paused", "pausing"):
        raise PausedError(f"{database.path} is paused: nothing is copied or uploaded until it is resumed")
    for item in database.replicas:
        if item.errors_in_a_row > 1:
            raise StorageError(f"replica {item.name} fails: {item.last_error}")
