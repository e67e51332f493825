"""Each replica at its own pace: one that hangs or fails delays nobody, and what is pending goes by itself.

The stores are in memory, with faults to order; everything else is the real engine.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from replication.engine import Engine, making
from replication.errors import DatabaseError, StorageError
from replication.replica.pace import BURST_UPLOADS
from replication.sqlite.pin import Pin
from replication.status import ReplicaStatus
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from replication.storage.memory import MemoryStorage
from tests.engine.running import begun, config_of, in_step, only, running, until
from tests.foreign import ForeignConnection, Shell

DOWN = StorageError("the store is down")
GAP_SECONDS = 0.8


class TimedStorage(MemoryStorage):
    """Remembers when each object was stored."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[float, str]] = []

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        self.times.append((time.monotonic(), name))
        return super().put(name, chunks, create=create)

    @property
    def segments(self) -> list[float]:
        """When segments were stored."""
        return [at for at, name in self.times if "/wal/" in name]


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[str, TimedStorage]:
    """The store of each replica, by its name."""
    found: dict[str, TimedStorage] = {}

    def open_memory(location: Location, permissions: object = None) -> TimedStorage:
        assert isinstance(location, FileLocation)
        return found.setdefault(location.path.name, TimedStorage())

    monkeypatch.setattr(making, "open_storage", open_memory)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def app(path: Path) -> Iterator[ForeignConnection]:
    with Shell(path).open() as app:
        app.execute("PRAGMA journal_mode=wal")
        app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        yield app


def commit(app: ForeignConnection, engine: Engine) -> None:
    """One commit, which the engine has copied."""
    before = only(engine).position
    app.execute("INSERT INTO t(b) VALUES(randomblob(300))")
    until(lambda: only(engine).position != before)


def of(engine: Engine, name: str) -> ReplicaStatus:
    return next(item for item in only(engine).replicas if item.name == name)


def has_all(engine: Engine, name: str) -> bool:
    return of(engine, name).position == only(engine).position


def test_a_store_that_hangs_delays_nobody_else(
    path: Path, app: ForeignConnection, stores: dict[str, TimedStorage]
) -> None:
    release = threading.Event()
    with running(config_of(path, Path("slow"), Path("good"))) as engine:
        until(lambda: in_step(engine))
        stores["slow"].hang("put", release)
        for _ in range(5):
            commit(app, engine)
            until(lambda: has_all(engine, "good"))
        assert of(engine, "slow").uploading
        assert not has_all(engine, "slow")
        assert of(engine, "slow").pending_bytes > 0
        release.set()
        until(lambda: in_step(engine))


def test_a_store_that_fails_delays_nobody_and_gets_all_without_another_commit(
    path: Path, app: ForeignConnection, stores: dict[str, TimedStorage]
) -> None:
    with running(config_of(path, Path("bad"), Path("good"))) as engine:
        until(lambda: in_step(engine))
        stores["bad"].fail("put", DOWN, times=10_000)
        for _ in range(5):
            commit(app, engine)
            until(lambda: has_all(engine, "good"))
        until(lambda: of(engine, "bad").state == "error")
        status = of(engine, "bad")
        assert status.last_error == str(DOWN)
        assert status.next_try > 0
        assert status.lag_seconds > 0
        stores["bad"].clear_faults()
        until(lambda: in_step(engine))
        assert of(engine, "bad").lag_seconds == 0
    assert "replica is reached again, all that was pending is uploaded" in [
        event.message for event in engine.events_since(0)
    ]
    assert begun(engine) == ["no generation exists"]


def test_a_lost_answer_is_made_good(path: Path, app: ForeignConnection, stores: dict[str, TimedStorage]) -> None:
    with running(config_of(path, Path("lossy"))) as engine:
        until(lambda: in_step(engine))
        stores["lossy"].lose_acknowledgement(times=2)
        commit(app, engine)
        until(lambda: of(engine, "lossy").state == "error")
        commit(app, engine)
        until(lambda: in_step(engine))


def test_the_first_commit_after_a_quiet_spell_goes_at_once_and_many_cost_no_more_than_the_interval_allows(
    path: Path, app: ForeignConnection, stores: dict[str, TimedStorage]
) -> None:
    with running(config_of(path, Path("r"), sync_seconds=GAP_SECONDS)) as engine:
        until(lambda: in_step(engine))
        storage = stores["r"]
        before = len(storage.segments)
        began = time.monotonic()
        commit(app, engine)
        until(lambda: len(storage.segments) == before + 1)
        assert storage.segments[-1] - began < GAP_SECONDS / 2
        for _ in range(60):
            commit(app, engine)
        until(lambda: in_step(engine))
        allowed = (time.monotonic() - began) / GAP_SECONDS + BURST_UPLOADS + 2
        assert len(storage.segments) - before <= allowed


def test_an_idle_database_asks_nothing_of_its_store(
    path: Path, app: ForeignConnection, stores: dict[str, TimedStorage]
) -> None:
    with running(config_of(path, Path("r"), monitor_seconds=0.02)) as engine:
        commit(app, engine)
        # What is there is listed once after the first snapshot.
        until(lambda: in_step(engine) and bool(only(engine).replicas[0].proven))
        calls = stores["r"].calls.copy()
        looked = only(engine).last_sync
        until(lambda: only(engine).last_sync > looked + 0.5)
        assert stores["r"].calls == calls


def test_without_replicas_the_shadow_wal_stays_short(
    path: Path, app: ForeignConnection, stores: dict[str, TimedStorage]
) -> None:
    config = config_of(path, pages_min=1)
    with running(config) as engine:
        until(lambda: commit_and_index(app, engine) >= 5)
        until(lambda: len(list(config.databases[0].meta_path.rglob("*.wal"))) <= 2)


def commit_and_index(app: ForeignConnection, engine: Engine) -> int:
    """The WAL index after one more commit."""
    commit(app, engine)
    position = only(engine).position
    assert position is not None
    return position.index


def test_what_was_copied_is_uploaded_although_no_checkpoint_succeeds(
    path: Path, app: ForeignConnection, stores: dict[str, TimedStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Pin, *given: object, **named: object) -> None:
        raise DatabaseError("disk I/O error")

    with running(config_of(path, Path("r"), pages_min=1)) as engine:
        until(lambda: in_step(engine))
        monkeypatch.setattr(Pin, "checkpoint", fails)
        commit(app, engine)
        until(lambda: only(engine).state == "error" and has_all(engine, "r"), seconds=5)


def test_a_close_does_not_wait_for_ever_and_says_who_hangs(
    path: Path, app: ForeignConnection, stores: dict[str, TimedStorage]
) -> None:
    release = threading.Event()
    engine = Engine(config_of(path, Path("slow")))
    engine.start()
    engine.check()
    until(lambda: in_step(engine))
    stores["slow"].hang("put", release)
    commit(app, engine)
    until(lambda: bool(of(engine, "slow").uploading))
    began = time.monotonic()
    left = engine.close(0.5)
    assert time.monotonic() - began < 5
    [name] = left
    assert name.startswith("upload-")
    release.set()
