"""An engine without threads of its own: a test says which job runs next, and which of them hangs where.

All else is real: database, replica, engine and SQLite, and an application in a process of its own.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from replication import steps
from replication.control import BY_HAND
from replication.engine import Engine, making
from replication.engine import engine as engine_module
from replication.engine import worker as worker_module
from replication.engine.monitor import Resting
from replication.engine.shared import Shared
from replication.errors import StorageError
from replication.pool import Job
from replication.replica import runner as runner_module
from replication.storage.memory import MemoryStorage
from tests.engine.running import config_of, only
from tests.foreign import Shell

CLIENT = "a client"
JOBS = ("sync", "upload", "let go", "leases")
RUNS_MAX = 120
HANG_SECONDS_MAX = 30.0
BLOCKED_SECONDS = 0.03
"""A job that has neither ended nor come to a gate by then waits for one that hangs."""
COPYING, LETTING_GO = "shadow: frames written", "shadow: durable at the end"


def waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would wait for a time does not: orders are counted, and no seconds."""
    monkeypatch.setattr(worker_module, "SYNC_GAP_SECONDS_MIN", 0.0)
    monkeypatch.setattr(worker_module, "SYNC_GAP_SECONDS_MAX", 0.0)
    monkeypatch.setattr(runner_module, "delay", lambda *_: 0.0)


class Gate(threading.Event):
    """Whoever waits here hangs, and says so."""

    def __init__(self, hangs: Callable[[], None]) -> None:
        super().__init__()
        self._hangs = hangs

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            self._hangs()
        return super().wait(HANG_SECONDS_MAX if timeout is None else timeout)


class ByHand(Shared):
    """Jobs that are awake wait for the test to run them; times mean nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.awake: dict[Job, None] = {}
        self.running: dict[Job, threading.Thread] = {}
        self.crashes: list[BaseException] = []
        self._lock = threading.Lock()
        self._closed = False
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()

    @property
    def runs(self) -> bool:
        return True

    def start(self) -> None:
        pass

    def wake_sync(self, job: Job, at: float = 0.0) -> None:
        with self._lock:
            if not self._closed:
                self.awake.setdefault(job)

    def wake_upload(self, job: Job, at: float = 0.0) -> None:
        self.wake_sync(job)

    def watch(self, database: Path, changed: Callable[[], None]) -> bool:
        return False

    def rest(self, worker: Resting) -> bool:
        return False

    def disturb(self, worker: Resting) -> None:
        pass

    def stop_watching(self, timeout_seconds: float) -> list[str]:
        return []

    def close(self, deadline: float) -> list[str]:
        with self._lock:
            self.awake.clear()
            self._closed, running = True, dict(self.running)
        for thread in running.values():
            thread.join(HANG_SECONDS_MAX)
        return [job.name for job, thread in running.items() if thread.is_alive()]

    def gate(self) -> Gate:
        return Gate(lambda: self._told.put("hangs"))

    def find(self, what: str) -> Job | None:
        """The first job of that kind that is awake and not running."""
        with self._lock:
            found = (job for job in self.awake if job.name.startswith(what) and job not in self.running)
            return next(found, None)

    def run(self, job: Job) -> None:
        """Run a job that is awake until it has ended, or hangs."""
        while not self._told.empty():
            self._told.get()
        with self._lock:
            if self._closed:
                return
            del self.awake[job]
            others = bool(self.running)
            self.running[job] = threading.Thread(target=self._run, args=(job,), daemon=True)
            self.running[job].start()
        with suppress(queue.Empty):
            self._told.get(timeout=BLOCKED_SECONDS if others else HANG_SECONDS_MAX)

    def _run(self, job: Job) -> None:
        again = None
        try:
            again = job.run()
        except BaseException as error:
            self.crashes.append(error)
        with self._lock:
            del self.running[job]
            if again is not None and not self._closed:
                self.awake.setdefault(job)
        self._told.put("ended")


class World:
    """One database under an engine by hand, its application, and its store."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.path = folder / "app.db"
        self.store = MemoryStorage()
        patch.setattr(making, "open_storage", lambda *_: self.store)
        patch.setattr(engine_module, "Shared", ByHand)
        shell = Shell(self.path)
        shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a);")
        self.app = shell.open()
        self.engine = Engine(config_of(self.path, Path("a"), pages_min=20, sync_seconds=1e-9, monitor_seconds=1e-9))
        self.engine.start()
        self.worker = self.engine._workers[0]
        shared = self.worker._shared
        assert isinstance(shared, ByHand)
        self.shared = shared
        self.gate = self.shared.gate()
        self.gate.set()
        self._away = folder / "away"

    # -- what may come next; False where it would change nothing ----------------------------------------------------

    def commit(self) -> bool:
        self.app.execute("INSERT INTO t VALUES(1)")
        return True

    def hold(self) -> bool:
        return self._hold(BY_HAND, None)

    def lease(self) -> bool:
        # One that is over as soon as somebody looks.
        return self._hold(CLIENT, 0.0)

    def resume(self) -> bool:
        held = BY_HAND in self.worker.lifecycle.state.leases
        self.worker.resume(BY_HAND)
        return held

    def run(self, what: str) -> bool:
        job = self.shared.find(what)
        if job is not None:
            self.shared.run(job)
        return job is not None

    def release(self) -> bool:
        hung = not self.gate.is_set()
        self.gate.set()
        for thread in tuple(self.shared.running.values()):
            thread.join(HANG_SECONDS_MAX)
        return hung

    def generation(self) -> bool:
        self.worker.database.request_generation("test")
        return True

    def remove(self) -> bool:
        """The files go away, or come back."""
        there, here = (self._away, self.path.parent) if self.is_away else (self.path.parent, self._away)
        here.mkdir(exist_ok=True)
        for suffix in ("", "-wal", "-shm"):
            (there / f"app.db{suffix}").rename(here / f"app.db{suffix}")
        if here != self._away:
            self._away.rmdir()
        return True

    def store_fails(self) -> bool:
        self.store.fail("put", StorageError("no answer"))
        return True

    def letting_go_fails(self) -> bool:
        self._at(LETTING_GO, self._fail)
        return True

    def _hold(self, holder: str, lease_seconds: float | None) -> bool:
        held = holder in self.worker.lifecycle.state.leases
        self.worker.hold(holder, lease_seconds)
        return not held

    # -- what hangs -------------------------------------------------------------------------------------------------

    def hang(self, what: str) -> None:
        """Let a job of that kind hang, in the middle of its work."""
        self.try_to_hang(what)
        assert self.shared.running, f"{what} does not hang"

    def try_to_hang(self, what: str) -> None:
        """The next job of that kind that does its work hangs."""
        self.gate = self.shared.gate()
        if what == "upload":
            self.commit()
            self.run("sync")
            self.store.hang("put", self.gate)
        elif what == "sync":
            self.commit()
            self._at(COPYING, self.gate.wait)
        elif what == "let go":
            self.hold()
            self._at(LETTING_GO, self.gate.wait)
        self.run(what)

    def _at(self, step: str, call: Callable[[], object]) -> None:
        """Do that once, as soon as a step is reached."""

        def hook(name: str) -> None:
            if name == step:
                steps.hook = None
                call()

        steps.hook = hook

    def _fail(self) -> None:
        raise OSError(5, "Input/output error")

    @property
    def is_away(self) -> bool:
        return self._away.exists()

    # -- how it ends ------------------------------------------------------------------------------------------------

    @property
    def is_in_step(self) -> bool:
        status = only(self.engine)
        return status.state == "ok" and all(
            item.state == "ok" and item.position == status.position for item in status.replicas
        )

    @property
    def words(self) -> str:
        status = only(self.engine)
        replicas = ", ".join(f"{item.state} at {item.position} {item.last_error}" for item in status.replicas)
        return f"{status.state} at {status.position} {status.error}; {replicas}; {self.worker.lifecycle.state}"

    def settle(self) -> None:
        """Nothing hangs and fails any more, and nobody holds it: then it is replicated, by what is awake already."""
        self.release()
        steps.hook = None
        self.store.clear_faults()
        if self.is_away:
            self.remove()
        for holder in (BY_HAND, CLIENT):
            self.worker.resume(holder)
        before = self.worker.database.position
        self.commit()
        for _ in range(RUNS_MAX):
            if self.is_in_step and self.worker.database.position != before:
                break
            with self.shared._lock:
                job = next(iter(self.shared.awake), None)
            assert job is not None, f"nothing is awake, and it stands like this: {self.words}"
            self.shared.run(job)
        else:
            raise AssertionError(f"it is not replicated: {self.words}")
        assert self.shared.crashes == []
        state = self.worker.lifecycle.state
        assert (state.at_work, state.leases.holders) == (0, ())

    def end(self) -> None:
        """Close the engine while jobs run as they come."""
        closing = threading.Thread(target=self.engine.close, args=(HANG_SECONDS_MAX,), daemon=True)
        closing.start()
        while closing.is_alive():
            self.release()
            job = next((job for job in tuple(self.shared.awake) if job not in self.shared.running), None)
            if job is None:
                closing.join(BLOCKED_SECONDS)
            else:
                self.shared.run(job)
        steps.hook = None
        self.app.close()
