"""Nobody waits for another's trouble: each trouble hangs until it is let go, and the neighbours' commits arrive.

Shown on counted steps: whatever is in trouble is in the middle of a request while the commits are made, and stays there
until they are stored. The stores are in memory; everything else is the real engine.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from replication.config import Config
from replication.engine import making
from replication.engine.engine import Engine
from replication.errors import AccessDeniedError, StorageError
from replication.position import Position
from replication.replica.wal03 import snapshots
from replication.status import ReplicaStatus
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from replication.storage.memory import MemoryStorage
from replication.storage.s3.location import S3Location
from replication.work import COMMITS_AT_ONCE, DUTIES_AT_ONCE, FIRST_SNAPSHOTS_AT_ONCE, RETRIES_AT_ONCE
from tests.engine.running import config_of, running, until
from tests.foreign import ForeignConnection, Shell

COMMITS = 3


class Trouble:
    """Calls that wait until the trouble is over; how many do so is counted."""

    def __init__(self) -> None:
        self.applies: Callable[[str, str], bool] = lambda verb, name: False
        self.over = threading.Event()
        self.waiting = 0
        self._lock = threading.Lock()

    def meet(self, verb: str, name: str) -> None:
        if self.applies(verb, name) and not self.over.is_set():
            with self._lock:
                self.waiting += 1
            self.over.wait()


class TroubledStorage(MemoryStorage):
    """A store in memory, with a trouble that many may share."""

    trouble = Trouble()

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        self.trouble.meet("put", name)
        return super().put(name, chunks, create=create)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.trouble.meet("get", name)
        return super().get(name, offset, length)

    def delete(self, names: Iterable[str]) -> None:
        self.trouble.meet("delete", "")
        super().delete(names)


Stores = dict[str, TroubledStorage]


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    """The store of each replica, by the last part of its path; s3 replicas are at another server than folders."""
    found: Stores = {}

    def open_memory(location: Location, permissions: object = None) -> TroubledStorage:
        assert isinstance(location, FileLocation | S3Location)
        name = Path(location.path).name
        store = found.setdefault(name, TroubledStorage())
        return store

    monkeypatch.setattr(making, "open_storage", open_memory)
    return found


class Household:
    """Databases of one engine, each with an application."""

    def __init__(self, folder: Path, names: Sequence[str], stack: ExitStack) -> None:
        self.paths = {name: folder / f"{name}.db" for name in names}
        self.apps: dict[str, ForeignConnection] = {}
        for name, path in self.paths.items():
            app = self.apps[name] = stack.enter_context(Shell(path).open(autocheckpoint=False))
            app.execute("PRAGMA journal_mode=wal")
            app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")

    def config(self, **changes: object) -> Config:
        """A folder replica for each, called as the database is; `changes` are of all replicas."""
        made = []
        for name, path in self.paths.items():
            database = config_of(path, Path("/replicas") / name).databases[0]
            replicas = tuple(replace(item, **changes) for item in database.replicas)  # type: ignore[arg-type]
            made.append(replace(database, replicas=replicas))
        return Config(path=None, databases=tuple(made))

    def commit(self, name: str) -> None:
        self.apps[name].execute("INSERT INTO t(b) VALUES(randomblob(300))")


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Callable[..., Household]]:
    with ExitStack() as stack:
        yield lambda *names: Household(tmp_path, names, stack)


def of(engine: Engine, household: Household, database: str, replica: str = "") -> tuple[Position | None, ReplicaStatus]:
    path = str(household.paths[database])
    status = next(item for item in engine.status().databases if item.path == path)
    return status.position, next(item for item in status.replicas if item.name == (replica or database))


def has_all(engine: Engine, household: Household, database: str, replica: str = "") -> bool:
    position, status = of(engine, household, database, replica)
    return position is not None and status.position == position


def arrive(engine: Engine, household: Household, names: Iterable[str]) -> None:
    """Commits to these databases are stored one after the other, each before the next is made."""
    for _ in range(COMMITS):
        for name in names:
            before = of(engine, household, name)[0]
            household.commit(name)
            until(lambda name=name, before=before: of(engine, household, name)[0] != before)  # type: ignore[misc]
            until(lambda name=name: has_all(engine, household, name))  # type: ignore[misc]


@contextmanager
def trouble(stores: Stores, names: Iterable[str], verb: str, part: str = "") -> Iterator[Trouble]:
    """Calls of `verb` on such objects hang in these stores while the block runs."""
    made = Trouble()
    made.applies = lambda its_verb, name: its_verb == verb and part in name
    for name in names:
        stores.setdefault(name, TroubledStorage()).trouble = made
    try:
        yield made
    finally:
        made.over.set()


def test_promise_6_a_snapshot_that_hangs_holds_up_no_commit_of_its_own_replica(
    household: Callable[..., Household], stores: Stores
) -> None:
    home = household("a")
    with running(home.config()) as engine, trouble(stores, ["a"], "put", "/snapshots/00000001") as hanging:
        arrive(engine, home, ["a"])
        # Of the index that has a snapshot there is none to be written: the next one begins.
        assert "next commit" in engine.snapshot(str(home.paths["a"]))[0]
        home.commit("a")
        until(lambda: hanging.waiting == 1)
        arrive(engine, home, ["a"])
        status = of(engine, home, "a")[1]
        assert (status.state, status.uploading[-21:]) == ("ok", "00000001.snapshot.lz4")
        assert hanging.waiting == 1


def test_promise_6_validations_that_hang_hold_up_no_commit(household: Callable[..., Household], stores: Stores) -> None:
    names = [f"v{number}" for number in range(8)]
    home = household(*names, "busy")
    with running(home.config(validation_interval=0.5)) as engine:
        # At the start each replica reads what is there, before it sends anything and once after: no validation yet.
        for name in names:
            until(lambda name=name: has_all(engine, home, name) and of(engine, home, name)[1].proven > 0)  # type: ignore[misc]
        with trouble(stores, names, "get") as hanging:
            until(lambda: hanging.waiting == DUTIES_AT_ONCE)
            arrive(engine, home, ["busy", *names])
            assert hanging.waiting == DUTIES_AT_ONCE


def test_promise_6_a_silent_server_holds_up_no_replica_elsewhere(
    household: Callable[..., Household], stores: Stores
) -> None:
    names = [f"d{number}" for number in range(10)]
    home = household(*names)
    config = home.config()
    silent = [f"s3-{name}" for name in names]
    databases = []
    for database, name in zip(config.databases, silent, strict=True):
        [good] = database.replicas
        location = S3Location("bucket", name, "http://silent:9000")
        databases.append(replace(database, replicas=(replace(good, name=name, location=location), good)))
    with (
        trouble(stores, silent, "put") as hanging,
        running(replace(config, databases=tuple(databases))) as engine,
    ):
        until(lambda: hanging.waiting == COMMITS_AT_ONCE)
        arrive(engine, home, names)
        assert hanging.waiting == COMMITS_AT_ONCE
        assert not any(has_all(engine, home, name, f"s3-{name}") for name in names)
        hanging.over.set()
        until(lambda: all(has_all(engine, home, name, f"s3-{name}") for name in names))


def test_promise_6_replicas_that_failed_and_then_hang_hold_up_none_of_the_same_store(
    household: Callable[..., Household], stores: Stores
) -> None:
    """One bucket of a server may be in trouble, one folder of a disk: its replicas fail, and hang from then on."""
    bad, good = [f"b{number}" for number in range(12)], [f"g{number}" for number in range(2)]
    home = household(*bad, *good)
    with running(home.config()) as engine:
        until(lambda: all(has_all(engine, home, name) for name in (*bad, *good)))
        for name in bad:
            stores[name].fail("put", StorageError("the bucket is in trouble"), times=10_000)
            home.commit(name)
        until(lambda: all(of(engine, home, name)[1].errors_in_a_row for name in bad))
        with trouble(stores, bad, "put") as hanging:
            for name in bad:
                home.commit(name)
            until(lambda: hanging.waiting == RETRIES_AT_ONCE)
            arrive(engine, home, good)
            assert hanging.waiting == RETRIES_AT_ONCE
        for name in bad:
            stores[name].clear_faults()
        until(lambda: all(has_all(engine, home, name) for name in bad))


@pytest.mark.parametrize("how", ["refused", "hanging"])
def test_promise_6_deletes_that_are_refused_or_hang_hold_up_no_commit_and_are_a_warning(
    household: Callable[..., Household], stores: Stores, how: str
) -> None:
    home = household("a")
    store = stores.setdefault("a", TroubledStorage())
    store.fail("delete", AccessDeniedError("the key may not delete"), times=1000 if how == "refused" else 0)
    config = home.config(retention=0.001, retention_check_interval=0.05, snapshot_interval=0.05)
    with running(config) as engine, trouble(stores, ["a"] if how == "hanging" else [], "delete") as hanging:

        def met() -> bool:
            return hanging.waiting > 0 or bool(of(engine, home, "a")[1].duty_warning)

        until(lambda: met() or advance(home))
        arrive(engine, home, ["a"])
        status = of(engine, home, "a")[1]
        assert (status.state, status.last_error) == ("ok", "")
        if how == "refused":
            assert status.duty_warning == "retention failed, commits go on: the key may not delete"
            told = [(event.level, event.message) for event in engine.events_since(0)]
            assert ("warning", "retention failed") in told
            assert not [event for event in told if event[0] == "error"]
        store.clear_faults()


def advance(home: Household) -> bool:
    """A commit, so that snapshots and what they make needless come; never the end of what is waited for."""
    home.commit("a")
    return False


def test_promise_6_large_first_snapshots_that_hang_hold_up_no_small_database(
    household: Callable[..., Household], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "FIRST_BYTES_MAX", 100_000)
    large, small = [f"l{number}" for number in range(8)], [f"s{number}" for number in range(4)]
    home = household(*large, *small)
    for name in large:
        home.apps[name].execute("INSERT INTO t(b) VALUES(randomblob(200000))")
    with trouble(stores, large, "put", "/snapshots/") as hanging, running(home.config()) as engine:
        until(lambda: hanging.waiting == FIRST_SNAPSHOTS_AT_ONCE)
        arrive(engine, home, small)
        assert hanging.waiting == FIRST_SNAPSHOTS_AT_ONCE
        assert [of(engine, home, name)[1].state for name in large] == ["starting"] * 8
        hanging.over.set()
        until(lambda: all(has_all(engine, home, name) for name in large))
        arrive(engine, home, large)
