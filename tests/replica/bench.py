"""A database with replicas in memory, driven step by step: no threads, no clock but its own, no waiting.

Every state that the application ever committed is known by its hash and its number, so that whatever a replica
restores can be told to be right, late, or wrong.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.local.files import LOCK_NAME
from replication.position import Position
from replication.replica.wal03.replica import Replica
from replication.replica.wal03.send_state import SendState
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtPosition, Latest
from replication.restore.wal03.catalog import read_catalog
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.engine.running import restore_points
from tests.foreign import Shell

TRUE_BEGIN = datetime(2024, 5, 1, tzinfo=UTC)
NEVER = CheckpointPolicy(pages_min=10**6, pages_max=0, interval_seconds=0)
"""Checkpoints come only when they are asked for."""


def copy_volume(path: Path, meta: Path, to: Path, meta_to: Path) -> None:
    """Copy a database, its WAL and its local folder, and write down the inodes of the copies: those of a copied volume
    would be the same.
    """
    shutil.copy2(path, to)
    wal = shutil.copy2(f"{path}-wal", f"{to}-wal")
    shutil.copytree(meta, meta_to)
    found = to.stat()
    known = {"pid": 1, "inode": found.st_ino, "wal": Path(wal).stat().st_ino}
    known |= {"size": found.st_size, "written": found.st_mtime_ns}
    (meta_to / LOCK_NAME).write_text("".join(f"{name} {value}\n" for name, value in known.items()))


class Clock:
    """Time that goes on by a second whenever somebody looks."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Bench:
    """One application, one database under replication, and as many replicas as are asked for."""

    def __init__(self, folder: Path, page_size: int = 1024) -> None:
        self.path = folder / "app.db"
        self.folder = folder
        self.clock = Clock()
        self.app = Shell(self.path).open(autocheckpoint=False)
        self.app.execute(f"PRAGMA page_size={page_size}")
        self.app.execute("PRAGMA journal_mode=wal")
        self.app.execute("PRAGMA cache_size=8")
        self.app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        self.states = [self.app.sha256()]
        """The hash after every commit, in their order."""
        self.told: list[tuple[str, str, dict[str, object]]] = []
        self.database = self.open()
        self.storages: dict[str, MemoryStorage] = {}
        self.replicas: dict[str, Replica] = {}

    def emit(self, level: str, message: str, **values: object) -> None:
        self.told.append((level, message, values))

    def reasons(self) -> list[str]:
        """Why generations began, in their order."""
        return [str(values["reason"]) for _, message, values in self.told if message == "generation begins"]

    def open(self) -> Database:
        """A fresh Database, as at the start of a program; not synced yet."""
        return Database(self.path, self.folder / "meta", NEVER, self.emit)

    def clone(self, running: bool) -> "Bench":
        """A second machine with a copy of the volume, and the same stores. Its files have the inodes of the first, as
        far as the lock file tells. If `running`, its replicas stand where they stood: its memory was copied as well.
        """
        made = object.__new__(Bench)
        made.__dict__.update(self.__dict__)
        made.folder = self.folder / "clone"
        made.folder.mkdir()
        made.path = made.folder / "app.db"
        copy_volume(self.path, self.folder / "meta", made.path, made.folder / "meta")
        made.app = Shell(made.path).open(autocheckpoint=False)
        made.app.execute("PRAGMA cache_size=8")
        made.states, made.told, made.replicas = [*self.states], [], {}
        made.database = made.open()
        made.database.sync()
        for name, replica in self.replicas.items():
            made.replica(name)._state = SendState(replica.position if running else None)
        return made

    def replica(self, name: str = "a") -> Replica:
        """The replica of that name, made when first asked for."""
        if name not in self.replicas:
            self.storages.setdefault(name, MemoryStorage(f"memory://{name}", self.clock))
            self.replicas[name] = Replica(
                name, ReplicaClient(self.storages[name]), self.database, self.emit, restored_digest
            )
        return self.replicas[name]

    def restart(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """End the program, let something happen, and start it again with the same replicas."""
        self.database.close()
        meanwhile()
        names = list(self.replicas)
        self.replicas.clear()
        self.database = self.open()
        self.database.sync()
        for name in names:
            self.replica(name)

    def commit(self, size: int = 100, sync: bool = True) -> Position | None:
        """One commit of the application; where it ends, if it was copied."""
        self.write(f"INSERT INTO t(b) VALUES(randomblob({size}))")
        if sync:
            self.database.sync()
        return self.database.position

    def write(self, sql: str) -> None:
        """One statement that commits."""
        self.app.execute(sql)
        self.states.append(self.app.sha256())

    def settle(self) -> None:
        """Sync database and replicas until nothing is left to do; faults are over."""
        for storage in self.storages.values():
            storage.clear_faults()
        for _ in range(10):
            self.database.sync()
            wrote = [replica.sync() for replica in self.replicas.values()]
            if not any(wrote) and all(item.position == self.database.position for item in self.replicas.values()):
                return
        raise AssertionError(f"the replicas do not settle: {[str(item.position) for item in self.replicas.values()]}")

    def clean(self) -> None:
        """Remove shadow WAL that nobody needs, as the engine does after uploads."""
        self.database.clean([replica.position for replica in self.replicas.values()])

    def restored(self, name: str = "a", position: Position | None = None) -> str:
        """What a replica restores: its hash."""
        output = self.folder / "restored.db"
        target = AtPosition(position) if position else Latest()
        client = ReplicaClient(self.storages[name])
        restore([OpenReplica(name, client.storage)], output, RestoreOptions(target=target, integrity_check="none"))
        found = hashlib.sha256(output.read_bytes()).hexdigest()
        output.unlink()
        return found

    def points(self, name: str = "a") -> list[Position]:
        """All restore points of a replica."""
        client = ReplicaClient(self.storages[name])
        return [point for generation in client.generations() for point in restore_points(client, generation)]

    def numbers(self, name: str, generation: str, only_last: int = 0) -> list[int]:
        """Which states the restore points of a generation are; fails the test for one that never was."""
        points = restore_points(ReplicaClient(self.storages[name]), generation)
        order = {sha: number for number, sha in enumerate(self.states)}
        found = [order.get(self.restored(name, position), -1) for position in points[-only_last:]]
        assert -1 not in found, f"{name}: {points[found.index(-1)]} restores to a state that never was"
        return found

    def check(self, name: str = "a") -> None:
        """Everything that a replica can restore is right, in its order and without a gap; the latest is the newest."""
        client = ReplicaClient(self.storages[name])
        for generation in client.generations():
            if read_catalog(client, generation).snapshots:
                found = self.numbers(name, generation)
                assert found == sorted(found)
                assert sorted({*found}) == list(range(found[0], found[-1] + 1)), f"{name}: commits are missing"
        assert self.restored(name) == self.app.sha256()

    def close(self) -> None:
        self.database.close()
        self.app.close()


class Timed:
    """Times of a bench that a test sets: the true one, of which the monotonic clock is right, and how far host and
    store are off. What was committed when is remembered, so that a window can be asked for.
    """

    def __init__(self, bench: Bench, whole_seconds: bool = False) -> None:
        self.bench = bench
        self.now = 0.0
        self.off = self.store_off = timedelta()
        self.committed: list[tuple[float, str]] = []
        """When each state was the newest in the replica first, by the true time, and its hash."""
        bench.replica()
        storage = bench.storages["a"]
        self.removed: list[str] = []
        self._whole_seconds = whole_seconds
        delete = storage.delete
        storage.clock = self.store_time

        def deleting(names: Iterable[str]) -> None:
            listed = list(names)
            self.removed += listed
            delete(listed)

        storage.delete = deleting  # type: ignore[method-assign]

    def module(self) -> SimpleNamespace:
        """What takes the place of the module `time`."""
        return SimpleNamespace(time=lambda: self.host_time().timestamp(), monotonic=lambda: self.now)

    def host_time(self) -> datetime:
        return TRUE_BEGIN + timedelta(seconds=self.now) + self.off

    def store_time(self) -> datetime:
        time = TRUE_BEGIN + timedelta(seconds=self.now) + self.store_off
        return time.replace(microsecond=0) if self._whole_seconds else time

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def remember(self) -> None:
        self.committed.append((self.now, self.bench.app.sha256()))

    def check_window(self, seconds: float) -> None:
        """Every state that was in the replica within the last `seconds`, and the one before them, is restored."""
        begin = self.now - seconds
        before = [number for number, (at, _) in enumerate(self.committed) if at <= begin]
        wanted = {sha for _, sha in self.committed[before[-1] if before else 0 :]}
        client = ReplicaClient(self.bench.storages["a"])
        found = set()
        for generation in client.generations():
            if client.snapshots(generation):
                found |= {self.bench.restored("a", at) for at in restore_points(client, generation)}
        assert wanted <= found, f"{len(wanted - found)} of {len(wanted)} states of the window are gone"
