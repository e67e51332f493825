"""The end of databases or replicas: a last sync of each database, and the last uploads, while there is time.

Nobody waits for another's trouble: the uploads of a database follow its own last sync. A replica that fails again and
again is given up; nothing is lost by it, as the shadow WAL keeps what is pending for the next start.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import partial

from replication.engine.lifecycle import ENDS
from replication.engine.shared import Shared
from replication.engine.uploads import Uploads
from replication.engine.worker import Worker
from replication.errors import PausedError
from replication.pool import Job
from replication.work import Work

TRIES = 2
"""A replica that fails this often is given up."""
AGAIN_SECONDS = 0.1
"""How often it is looked whether a replica has all, while another thread sends."""


class Drain:
    """Ends some databases or replicas. Used once, by one thread."""

    def __init__(self, ends: Sequence[tuple[Worker, Sequence[Uploads]]], shared: Shared, deadline: float) -> None:
        """`ends` are databases with those of their replicas that end."""
        self._ends = ends
        self._shared = shared
        self._deadline = deadline
        """When all must have ended, by time.monotonic."""
        self._changed = threading.Condition()
        self._left = len(ends)
        """Last syncs and last uploads that have not ended."""

    def run(self) -> None:
        """Return when all is done, or at the deadline; what is under way then goes on."""
        for worker, ending in self._ends:
            for uploads in ending:
                uploads.runner.duties.end()
                uploads.runner.hurry()
            last_sync = partial(self._sync, worker, ending)
            self._shared.wake_sync(Job(f"last sync {worker.database.path}", last_sync, worker.disks.lane))
        with self._changed:
            self._changed.wait_for(lambda: not self._left, max(0.0, self._deadline - time.monotonic()))

    def cut(self) -> None:
        """There is no more time. The caller sees to what is left."""
        with self._changed:
            self._deadline = self._left = 0
            self._changed.notify_all()

    def _sync(self, worker: Worker, ending: Sequence[Uploads]) -> None:
        try:
            worker.last_sync()
        finally:
            behind = [uploads for uploads in ending if not uploads.runner.caught_up()]
            self._count(len(behind) - 1)
            for uploads in behind:
                name = f"last upload {worker.database.path} {uploads.runner.replica.name}"
                self._shared.wake_upload(Job(name, partial(self._upload, worker, uploads), uploads.lane(Work.COMMITS)))

    def _upload(self, worker: Worker, uploads: Uploads) -> float | None:
        runner = uploads.runner
        paused = True
        try:
            # Where only a replica ends, its database goes on and may be paused meanwhile, which waits for this work.
            # A database that ends itself waits for nothing: whatever hangs here is left.
            with suppress(PausedError), nullcontext() if worker.lifecycle.phase in ENDS else uploads.working():
                # If a thread is at this replica already, even one that hangs, none is added. A large first snapshot is
                # written by a job of its own.
                uploads.hurry()
                runner.run_if_free()
                paused = False
        finally:
            late = time.monotonic() >= self._deadline
            done = paused or late or runner.caught_up() or runner.failure.count >= TRIES
            if done:
                self._count(-1)
        return None if done else time.monotonic() + AGAIN_SECONDS

    def _count(self, change: int) -> None:
        with self._changed:
            self._left = max(0, self._left + change)
            self._changed.notify_all()
