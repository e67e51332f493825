"""The end of an engine: a last sync of every database, and the last uploads of its replicas, while there is time.

Nobody waits for another's trouble: the uploads of a database follow its own last sync. A replica that fails again and
again is given up; nothing is lost by it, as the shadow WAL keeps what is pending for the next start.
"""

import threading
import time
from collections.abc import Sequence
from functools import partial

from replication.engine.shared import Shared
from replication.engine.uploads import Uploads
from replication.engine.worker import Worker
from replication.pool import Job
from replication.work import Work

TRIES = 2
"""A replica that fails this often is given up."""
AGAIN_SECONDS = 0.1
"""How often it is looked whether a replica has all, while somebody else is at it."""


class Drain:
    """Used once, by the thread that closes."""

    def __init__(self, workers: Sequence[Worker], shared: Shared, deadline: float) -> None:
        self._workers = workers
        self._shared = shared
        self._deadline = deadline
        """Of time.monotonic."""
        self._changed = threading.Condition()
        self._left = len(workers)
        """Last syncs and last uploads that have not ended."""

    def run(self) -> None:
        """Return when all is done, or at the deadline; what is under way then goes on."""
        for worker in self._workers:
            for runner in worker.runners:
                runner.duties.end()
                runner.hurry()
            self._shared.wake_sync(Job(f"last sync {worker.database.path}", partial(self._sync, worker)))
        with self._changed:
            self._changed.wait_for(lambda: not self._left, max(0.0, self._deadline - time.monotonic()))

    def _sync(self, worker: Worker) -> None:
        try:
            worker.last_sync()
        finally:
            behind = [uploads for uploads in worker.uploads if not uploads.runner.caught_up()]
            self._count(len(behind) - 1)
            for uploads in behind:
                name = f"last upload {worker.database.path} {uploads.runner.replica.name}"
                self._shared.wake_upload(Job(name, partial(self._upload, uploads), uploads.lane(Work.COMMITS)))

    def _upload(self, uploads: Uploads) -> float | None:
        runner = uploads.runner
        try:
            # One that hangs holds no second thread, and a large first snapshot is written by a job of its own.
            uploads.hurry()
            runner.run_if_free()
        finally:
            late = time.monotonic() >= self._deadline
            done = runner.caught_up() or runner.failure.count >= TRIES or late
            if done:
                self._count(-1)
        return None if done else time.monotonic() + AGAIN_SECONDS

    def _count(self, change: int) -> None:
        with self._changed:
            self._left += change
            self._changed.notify_all()
