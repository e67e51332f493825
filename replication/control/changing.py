"""The jobs that change what is replicated: reload, register, unregister.

Its promise: nothing is taken away before its replicas have what was committed, and one that is registered is told from
one in the configuration: it is replicated until it is unregistered or the engine ends.
"""

import time
from pathlib import Path

from replication.config.registering import registered
from replication.control import requests as ask
from replication.control.jobs import Run
from replication.control.rereading import Rereading
from replication.control.syncing import sync
from replication.control.values import Reloaded
from replication.engine import CLOSE_SECONDS_MAX, Engine
from replication.errors import EngineError, UsageError
from replication.status import DatabaseStatus

REGISTERED, ALREADY_REGISTERED = "registered", "already_registered"
UNREGISTERED, ALREADY_UNREGISTERED = "unregistered", "already_unregistered"
"""The results of unregistering, in the words of Litestream 0.5."""
_NOTHING_TO_SYNC = ("paused", "waiting")


class Changing:
    """`rereading` is None for an engine whose configuration cannot be read again."""

    def __init__(self, engine: Engine, rereading: Rereading | None) -> None:
        self._engine = engine
        self._rereading = rereading

    def reload(self, request: ask.Reload, run: Run) -> Reloaded:
        """Read the configuration anew."""
        if self._rereading is None:
            raise UsageError("there is no configuration file to read anew")
        return self._rereading.again()

    def register(self, request: ask.Register, run: Run) -> str:
        """Replicate a database as well."""
        database = registered(self._engine.config, request.database, request.replica_url, run.say)
        if self._status(request.database) is None:
            self._engine.register(database)
            return REGISTERED
        own = self._engine.config.named(database.path)
        places = {replica.location.identity: replica.location.address for replica in own.replicas} if own else {}
        if database.replicas[0].location.identity in places:
            return ALREADY_REGISTERED
        raise UsageError(
            f"{request.database} is replicated already, to {', '.join(places.values()) or 'no place'}; unregister it "
            "first, and what it has there stays"
        )

    def unregister(self, request: ask.Unregister, run: Run) -> str:
        """Replicate a database no longer."""
        deadline = time.monotonic() + request.timeout
        found = self._status(request.database)
        if found is None:
            return ALREADY_UNREGISTERED
        if found.state not in _NOTHING_TO_SYNC:
            # The user may remove the database after that, for all of it is in the store.
            sync(self._engine, ask.Sync(database=request.database, wait=True, timeout=request.timeout), run)
        left = max(CLOSE_SECONDS_MAX, deadline - time.monotonic())
        if not self._engine.unregister(Path(request.database), left):
            raise EngineError(
                f"{request.database} is to be replicated no longer, and has not ended within {left:.0f} seconds: a "
                "request to its store hangs. It ends once that does"
            )
        return UNREGISTERED

    def _status(self, path: str) -> DatabaseStatus | None:
        return next((item for item in self._engine.status().databases if item.path == path), None)
