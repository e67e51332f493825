"""The databases of an engine, and how a new configuration takes effect while it runs.

Its promises: a database that is the same in both configurations is not touched; one that goes ends in order, with a
last sync and a last upload, as at the end of an engine; nobody begins where another has not ended; and a database that
hangs while it ends delays only those that need its files or its replica's location. One thread ends what is to end; it
is there from the first change on.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replication.config import DatabaseConfig
from replication.database.together import Exclusive, exclusive_to
from replication.engine.drain import Drain
from replication.engine.lifecycle import Phase
from replication.engine.making import change_worker, make_worker
from replication.engine.reload import Changes, compare
from replication.engine.shared import BREAK_OFF_SECONDS_MIN, Shared
from replication.engine.standby import Standby
from replication.engine.uploads import Uploads
from replication.engine.worker import Worker
from replication.errors import DatabaseLockedError, ReplicationError
from replication.local.files import VALIDATION_PREFIX
from replication.restore.kept import sweep_beside
from replication.restore.scratch import sweep

END_SECONDS_MAX = 6.0
"""How long the last uploads of databases that end may take."""
STUCK_LOOK_SECONDS = 0.5
"""How often what did not end within END_SECONDS_MAX is looked at again. As a rule a request hangs."""


@dataclass(slots=True)
class Batch:
    """One change of the configuration under way."""

    changes: Changes
    leaving: list[Worker] = field(default_factory=list)
    changing: list[Worker] = field(default_factory=list)
    later: list[tuple[Worker, Worker | None]] = field(default_factory=list)
    """Workers that begin once others have ended; each with the one it replaces, whose pauses it takes over, or None."""
    done: threading.Event = field(default_factory=threading.Event)


class Fleet:
    """The workers of an engine. Any thread may read `workers`, which is exchanged and never changed."""

    def __init__(self, shared: Shared, standby: Standby) -> None:
        self.workers: tuple[Worker, ...] = ()
        self.leaving: tuple[Worker, ...] = ()
        """Workers that are to end and have not yet."""
        self.waits = False
        """Whether a database that another engine has is waited for."""
        self._shared = shared
        self._standby = standby
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._stuck: list[Callable[[], bool]] = []
        """What has not ended in time: each gives True once it has."""
        self._freeing: frozenset[Exclusive] = frozenset()
        """The files and locations that databases which have not ended yet still have to themselves (`Exclusive`)."""
        self._drain: Drain | None = None
        self._thread: threading.Thread | None = None

    def add(self, configs: Sequence[DatabaseConfig]) -> None:
        """Add these databases, before anything begins."""
        self.workers += tuple(make_worker(config, self._shared) for config in configs)

    def begin(self, worker: Worker) -> None:
        """Begin to replicate a database. One that another engine has is waited for, or shows that as its error."""
        waited_for = False
        try:
            # While it is paused it is not ours to take.
            if not worker.lifecycle.state.leases:
                worker.database.lock()
        except DatabaseLockedError as error:
            if self.waits:
                worker.stand_by(error)
                waited_for = True
        except ReplicationError:
            pass  # the first sync meets it again, and shows it
        self.clean(worker)
        worker.begin()
        if waited_for:
            self._standby.add(worker)

    def clean(self, worker: Worker) -> None:
        """Remove what killed processes left of a database."""
        sweep(worker.config.meta_path, VALIDATION_PREFIX)
        sweep_beside(worker.database.path)

    def apply(self, wanted: Sequence[DatabaseConfig]) -> Batch:
        """Replicate these databases and no others. What is new and waits for nothing has begun when this returns.

        `done` of the result is set when all of it is done. Nothing is done once the fleet closes.
        """
        with self._lock:
            batch = Batch(compare([worker.wanted for worker in self.workers], wanted))
            if not batch.changes or self._closing.is_set():
                batch.done.set()
                return batch
            known = {worker.wanted.path: worker for worker in self.workers}
            now = self._plan(batch, known)
            self.workers = tuple(known[database.path] for database in wanted)
            self._tell(batch.changes)
            for worker in now:
                if self._closing.is_set():
                    break
                self.begin(worker)
            if batch.leaving or batch.changing or batch.later:
                self._hand_over(batch)
            else:
                batch.done.set()
            return batch

    def close(self, timeout_seconds: float) -> list[str]:
        """Change nothing any more, and leave what has not ended to the caller.

        Return the names of what did not end in time.
        """
        self._closing.set()
        if (drain := self._drain) is not None:
            drain.cut()
        self._batches.put(None)
        if not self._lock.acquire(timeout=timeout_seconds):
            return ["a change of the configuration"]
        self._lock.release()
        if (thread := self._thread) is None:
            return []
        thread.join(timeout_seconds)
        return [thread.name] if thread.is_alive() else []

    # -- the lock is held in what follows ---------------------------------------------------------------------------

    def _plan(self, batch: Batch, known: dict[Path, Worker]) -> list[Worker]:
        """Sort what is to be done into the batch, and `known` into what is wanted.

        Return the workers that may begin at once.
        """
        changes = batch.changes
        freed = set(self._freeing)
        for removed in changes.removed:
            freed |= exclusive_to(removed)
            batch.leaving.append(known.pop(removed.path))
        new: list[tuple[Worker, Worker | None]] = []
        for change in changes.changed:
            worker = known[change.after.path]
            freed |= exclusive_to(change.before) if change.is_anew else change.freed
            if change.is_anew:
                batch.leaving.append(worker)
                known[change.after.path] = make_worker(change.after, self._shared)
                new.append((known[change.after.path], worker))
            else:
                worker.wanted = change.after
                batch.changing.append(worker)
        for added in changes.added:
            known[added.path] = make_worker(added, self._shared)
            new.append((known[added.path], None))
        batch.later = [pair for pair in new if freed and freed & exclusive_to(pair[0].config)]
        self._freeing = frozenset(freed)
        self.leaving += tuple(batch.leaving)
        return [pair[0] for pair in new if pair not in batch.later]

    def _hand_over(self, batch: Batch) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="changes", daemon=True)
            self._thread.start()
        self._batches.put(batch)

    def _tell(self, changes: Changes) -> None:
        emit = self._shared.events.emit
        for database in changes.added:
            emit("info", "database added", database=str(database.path))
        for database in changes.removed:
            emit("info", "database removed", database=str(database.path))
        for change in changes.changed:
            emit("info", "database changed", database=str(change.after.path), what=change.words)

    # -- the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                batch = self._batches.get(timeout=STUCK_LOOK_SECONDS if self._stuck else None)
            except queue.Empty:
                batch = None
            if batch is not None:
                try:
                    self._end(batch)
                except Exception as error:  # a defect of ours: it shows, and the next change is made all the same
                    words = f"{type(error).__name__}: {error}"
                    self._shared.events.emit("error", "a change of the configuration failed", error=words)
                finally:
                    batch.done.set()
            self._stuck = [end for end in self._stuck if not end()]
            with self._lock:
                if self._batches.empty() and not self._stuck:
                    self._freeing = frozenset()

    def _end(self, batch: Batch) -> None:
        """End what is to end, then begin what waited for that."""
        deadline = time.monotonic() + END_SECONDS_MAX
        pauses = {worker: worker.lifecycle.state.leases for worker in batch.leaving}
        for worker in batch.leaving:
            self._standby.remove(worker)
            worker.database.announce_end()
        gone = {worker: worker.unwanted for worker in batch.changing}
        ends: list[tuple[Worker, Sequence[Uploads]]] = [
            (worker, worker.replicas.uploads) for worker in batch.leaving if worker.lifecycle.close() is Phase.CLOSING
        ]
        ends += [(worker, ending) for worker, ending in gone.items() if ending]
        self._drain = Drain(ends, self._shared, deadline)
        if ends:
            self._drain.run()
        if self._closing.is_set():
            return
        for worker in batch.leaving:
            worker.lifecycle.drained()
        for worker in batch.leaving:
            self._or_stuck(Leaving(self, worker), deadline)
        for worker, ending in gone.items():
            change_worker(worker, self._shared)
            if ending:
                self._or_stuck(Gone(self._shared, ending), deadline)
        for worker, before in batch.later:
            for holder, until in pauses[before].until if before is not None else ():
                lease = None if until == float("inf") else until - time.monotonic()
                worker.lifecycle.hold(holder, lease)
            self.begin(worker)

    def _or_stuck(self, end: "Leaving | Gone", deadline: float) -> None:
        if not end(max(BREAK_OFF_SECONDS_MIN, deadline - time.monotonic())):
            self._stuck.append(end)

    def forget(self, worker: Worker) -> None:
        """Forget a worker that has ended."""
        with self._lock:
            self.leaving = tuple(other for other in self.leaving if other is not worker)


class Leaving:
    """A database that is to end, as a call that ends it once nothing is under way."""

    def __init__(self, fleet: Fleet, worker: Worker) -> None:
        self._fleet = fleet
        self._worker = worker

    def __call__(self, timeout_seconds: float = 0.0) -> bool:
        """True once it was let go of, and nothing refers to it."""
        worker, shared = self._worker, self._fleet._shared
        if not worker.lifecycle.wait(lambda state: not state.at_work, timeout_seconds):
            return False
        status = worker.status(time.time())
        worker.end()
        self._fleet.forget(worker)
        worker.forget()
        for replica in status.replicas:
            if replica.pending_bytes or (replica.position is None and status.position is not None):
                words = "not all is uploaded; what is pending goes once it is in the configuration again"
                shared.events.emit("warning", words, database=status.path, replica=replica.name)
        return True


class Gone:
    """Replicas that a database has no longer, as a call that lets go of them once nothing is under way."""

    def __init__(self, shared: Shared, ending: Sequence[Uploads]) -> None:
        self._shared = shared
        self._ending = ending

    def __call__(self, timeout_seconds: float = 0.0) -> bool:
        """True once nothing of them is under way, and nothing refers to them."""
        jobs = [job for uploads in self._ending for job in uploads.jobs]
        if not self._shared.forget(jobs, timeout_seconds):
            return False
        for uploads in self._ending:
            self._shared.outages.forget(uploads)
            uploads.runner.replica.close()
        return True
