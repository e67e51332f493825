"""The end of an engine: a last sync of every database, and the last uploads of its replicas, while there is time.

Nobody waits for another's trouble: the uploads of a database follow its own last sync. A replica that fails again and
again is given up; nothing is lost by it, as the shadow WAL keeps what is pending for the next start.
"""

import threading
import time
from collections.abc import Sequence
from functools import partial

from replication.engine.shared import Shared
from replication.engine.worker import Worker
from replication.pool import Job
from replication.replica.runner import ReplicaRunner

TRIES = 2
"""A replica that fails this often is given up."""
AGAIN_SECONDS_MAX = 0.25


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
                runner.cancel()
                runner.hurry()
            self._shared.wake_sync(Job(f"last sync {worker.database.path}", partial(self._sync, worker)))
        with self._changed:
            self._changed.wait_for(lambda: not self._left, max(0.0, self._deadline - time.monotonic()))

    def _sync(self, worker: Worker) -> None:
        try:
            worker.last_sync()
        finally:
            behind = [runner for runner in worker.runners if not runner.caught_up()]
            self._count(len(behind) - 1)
            for runner in behind:
                job = Job(f"last upload {worker.database.path} {runner.replica.name}", partial(self._upload, runner))
                self._shared.wake_upload(job)

    def _upload(self, runner: ReplicaRunner) -> float | None:
        again = None
        try:
            runner.hurry()
            again = runner.run()
        finally:
            late = time.monotonic() >= self._deadline
            done = runner.caught_up() or runner.failure.count >= TRIES or late
            if done:
                self._count(-1)
        return None if done else min(again or 0.0, time.monotonic() + AGAIN_SECONDS_MAX)

    def _count(self, change: int) -> None:
        with self._changed:
            self._left += change
            self._changed.notify_all()
