"""Replicas in memory with real histories, for the screens that restore: what is shown was written by SQLite."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from replication.config import Config, DatabaseConfig, ReplicaConfig
from replication.position import Position
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from replication.storage.memory import MemoryStorage
from tests.restore.history import History, ReplicaBuilder, note_of, write_history
from tests.tui import fake
from tui.restore.picker.cursor import Picker
from tui.restore.picker.picking import PickingScreen
from tui.restore.picker.screen import RestoreScreen

OLD, NEW = "15f8733500000000", fake.GENERATION
PAGE_SIZE = 4096
SCRIPTS = [
    [
        "BEGIN; CREATE TABLE fruit(name TEXT PRIMARY KEY, n INTEGER); CREATE TABLE lost(x); COMMIT;",
        "INSERT INTO fruit VALUES('apple', 1);",
        "INSERT INTO fruit VALUES('pear', 2);",
        "INSERT INTO lost VALUES(1);",
    ],
    [
        "INSERT INTO fruit VALUES('plum', 3);",
        "INSERT INTO fruit VALUES('fig', 4);",
        "UPDATE fruit SET n = 20 WHERE name = 'pear';",
        "DROP TABLE lost;",
    ],
]


def write(folder: Path) -> History:
    """Two indexes of four commits each."""
    return write_history(folder, PAGE_SIZE, SCRIPTS)


class Store:
    """One database with replicas in memory, opened in place of the configured ones."""

    def __init__(self, history: History, path: Path, *names: str) -> None:
        self.history = history
        self.path = path
        self.names = names or ("s3",)
        self.storages = {name: MemoryStorage() for name in self.names}
        for name, storage in self.storages.items():
            storage.address = f"{name}://backup/app"

    @property
    def storage(self) -> MemoryStorage:
        return self.storages[self.names[0]]

    @property
    def config(self) -> Config:
        replicas = tuple(ReplicaConfig(name, FileLocation(Path("/nowhere") / name)) for name in self.names)
        return Config(None, (DatabaseConfig(self.path, Path("/nowhere/meta"), replicas),))

    def open(self, location: Location, permissions: object = None) -> MemoryStorage:
        assert isinstance(location, FileLocation)
        return self.storages[location.path.name]

    def publish(self, generation: str, ago: float, gap: float = 300.0, reason: str = "test", name: str = "") -> None:
        """The whole history as one generation that began `ago` seconds before the still clock.

        Each index is two segments of two commits, the second written `gap` seconds after the first.
        """
        builder = ReplicaBuilder(self.storages[name or self.names[0]], generation)
        base = self.history.bases[0]

        def at(seconds: float) -> None:
            # The builder adds a second of its own.
            builder.now = datetime.fromtimestamp(fake.NOW - ago + seconds - 1, UTC)

        at(0)
        note = note_of(Position(generation, 0, 0), len(base) // PAGE_SIZE, PAGE_SIZE, reason=reason)
        builder.snapshot(0, base, note)
        time = 0.0
        for index, wal in enumerate(self.history.wals):
            ends = self.history.ends(index)
            for begin, end in ((0, ends[1]), (ends[1], len(wal))):
                time += gap
                at(time)
                previous = str(Position(generation, index - 1, len(self.history.wals[index - 1]))) if index else ""
                builder.put(
                    f"generations/{generation}/wal/{index:08x}_{begin:08x}.wal.lz4",
                    wal[begin:end],
                    {"v": 1, "previous": previous} if index and begin == 0 else None,
                )

    def snapshot(self, generation: str, commit: int, ago: float) -> None:
        """A snapshot of one commit of the history, written `ago` seconds before the still clock."""
        moment = datetime.fromtimestamp(fake.NOW - ago, UTC) - timedelta(seconds=1)
        ReplicaBuilder(self.storage, generation, moment).noted_snapshot(self.history.commits[commit], PAGE_SIZE)


def store_of(history: History, path: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> Store:
    """A store whose replicas the screens open."""
    store = Store(history, path, *names)
    monkeypatch.setattr("replication.restore.open_replicas.open_storage", store.open)
    return store


def picking(screen: object) -> PickingScreen:
    assert isinstance(screen, RestoreScreen)
    return screen


def picker_of(screen: object) -> Picker:
    found = picking(screen).picker
    assert found is not None
    return found
