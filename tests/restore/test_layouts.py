"""Layouts beside each other: what a replica holds says which of them reads it, and whoever restores does not ask."""

import sqlite3
import threading
from pathlib import Path

import pytest

from replication.archive import Reader
from replication.config import Config, DatabaseConfig, ReplicaConfig
from replication.errors import RestoreError, StorageError, UsageError
from replication.position import Position
from replication.restore.layouts import LAYOUTS, layout_of
from replication.restore.open_replica import OpenReplica
from replication.restore.picked import restore_picked
from replication.restore.preview import open_preview
from replication.restore.restore import RestoreOptions, prepare, restore
from replication.restore.target import AtPosition
from replication.storage.file.location import FileLocation
from replication.storage.memory import MemoryStorage
from replication.survey import reach
from tests.restore.dump_layout import FOLDER, GENERATION, Dumps


@pytest.fixture(autouse=True)
def _two_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.restore.layouts.LAYOUTS", (*LAYOUTS, Dumps()))


def database(path: Path, rows: int) -> bytes:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES(?)", [(number,) for number in range(rows)])
    connection.close()
    return path.read_bytes()


@pytest.fixture
def dumps(tmp_path: Path) -> list[bytes]:
    return [database(tmp_path / f"{rows}.db", rows) for rows in (1, 2)]


@pytest.fixture
def replica(dumps: list[bytes]) -> OpenReplica:
    storage = MemoryStorage()
    for number, dump in enumerate(dumps):
        storage.put(f"{FOLDER}{number}.db", [dump])
    return OpenReplica("dumped", storage)


def test_what_it_holds_is_restored(replica: OpenReplica, dumps: list[bytes], tmp_path: Path) -> None:
    assert prepare([replica], RestoreOptions()).plan.objects == 1
    result = restore([replica], tmp_path / "newest.db", RestoreOptions())
    assert (result.position, result.check) == (Position(GENERATION, 1, 0), "ok")
    older = RestoreOptions(AtPosition(Position(GENERATION, 0, 0)))
    restore_picked([replica], "dumped", tmp_path / "older.db", older)
    assert [(tmp_path / name).read_bytes() for name in ("older.db", "newest.db")] == dumps


def test_it_is_listed_and_looked_at(replica: OpenReplica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.restore.open_replicas.open_storage", lambda location: replica.storage)
    live = tmp_path / "2.db"
    config = Config(None, (DatabaseConfig(live, tmp_path / "m", (ReplicaConfig("dumped", FileLocation(tmp_path)),)),))
    reader = Reader(config, str(live))
    [points] = reader.list().point_maps
    assert [position.index for stop in points.stops for position in stop.held] == [0, 1]
    older = points.stops[0].held[0]
    assert reader.plan(older).words == f"{FOLDER}0.db"
    assert reach(replica, None).position == Position(GENERATION, 1, 0)
    preview = open_preview([replica], "dumped", live, RestoreOptions(AtPosition(older)))
    assert [(table.name, table.then, table.today) for table in preview.tables(threading.Event())] == [("t", 1, 2)]
    preview.close()


def test_a_store_that_fails_is_left_out_as_long_as_another_answers(replica: OpenReplica) -> None:
    down = MemoryStorage()
    down.fail("folders", StorageError("down"), 2)
    assert layout_of([OpenReplica("down", down), replica]).name == "dumps"
    with pytest.raises(StorageError, match="down"):
        layout_of([OpenReplica("down", down)])


def test_replicas_of_two_layouts_are_refused(replica: OpenReplica, tmp_path: Path) -> None:
    other = MemoryStorage()
    other.put("generations/0000000000000001/snapshots/00000000.snapshot.lz4", [b"x"])
    with pytest.raises(UsageError, match="layouts wal03 and dumps"):
        restore([replica, OpenReplica("other", other)], tmp_path / "out.db")
    # One alone is read, and refused for what it is.
    with pytest.raises(RestoreError, match="snapshot"):
        restore([OpenReplica("other", other)], tmp_path / "out.db")


def test_with_one_layout_no_store_is_asked_which_it_has(replica: OpenReplica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.restore.layouts.LAYOUTS", LAYOUTS)
    assert layout_of([replica]) is LAYOUTS[0]
    assert isinstance(replica.storage, MemoryStorage)
    assert not replica.storage.calls["folders"]
