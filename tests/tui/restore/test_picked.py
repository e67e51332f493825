"""Between picking a point and restoring it its replica is lost, or loses the point: another gives that very commit.

Or it is refused in words. Nothing else stands in for what was picked.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replication.errors import StorageError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.picked import restore_picked
from replication.restore.restore import RestoreOptions
from replication.restore.target import AtPosition
from tests.foreign import Shell
from tests.restore.history import History, ReplicaBuilder
from tests.tui import fake, picture
from tests.tui.driving import LARGE, Drive, drive
from tests.tui.restore.restorable import NEW, Store, picker_of, store_of, write

Steps = Callable[[Drive], Awaitable[None]]
OFTEN = 99


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write(tmp_path_factory.mktemp("history"))


@pytest.fixture
def store(history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """Two replicas, the first of which answers, for both have the same."""
    store = store_of(history, tmp_path / "app.db", monkeypatch, "s3", "disk")
    store.publish(NEW, ago=3600)
    store.publish(NEW, ago=3600, name="disk")
    Shell(store.path).run("PRAGMA journal_mode=wal; CREATE TABLE fruit(name TEXT PRIMARY KEY, n INTEGER)")
    return store


def goes_away(store: Store) -> None:
    for verb in ("folders", "list", "get"):
        store.storages["s3"].fail(verb, StorageError("s3 does not answer"), OFTEN)


def loses_the_point(store: Store) -> None:
    name = next(name for name in store.storages["s3"].names() if "/wal/00000001_00000000" in name)
    store.storages["s3"].delete([name])


def is_emptied(store: Store) -> None:
    store.storages["s3"].delete(store.storages["s3"].names())


def is_damaged(store: Store) -> None:
    name = next(name for name in store.storages["s3"].names() if "/wal/00000001_00000000" in name)
    data = b"".join(store.storages["s3"].get(name))
    store.storages["s3"].put(name, [data[:-9]])


def picked(store: Store, steps: Steps) -> None:
    async def opened(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "commit 2 of 2", "s3, which answers best", "also disk up to")
        await pilot.press("left")
        await picture.shows(pilot, "commit 1 of 2", "fetch", "segment")
        await steps(pilot)

    drive(opened, fake.FakeControl(fake.database(str(store.path))), LARGE, config=store.config)


def made(store: Store) -> list[str]:
    return [item.name for item in store.path.parent.iterdir() if "restore-" in item.name]


WAYS = [goes_away, loses_the_point, is_emptied, is_damaged]


@pytest.mark.parametrize("happens", WAYS)
def test_promise_3_another_replica_gives_the_very_commit_that_was_picked(
    store: Store, happens: Callable[[Store], None]
) -> None:
    async def steps(pilot: Drive) -> None:
        happens(store)
        await pilot.press("enter")
        await picture.shows(pilot, "ok, in", "disk, 5 objects", "Replica s3, where this point was picked", "instead")

    picked(store, steps)
    [name] = made(store)
    assert Shell(store.path.with_name(name)).rows("SELECT name FROM fruit WHERE n = 20") == [["pear"]]


@pytest.mark.parametrize("happens", WAYS)
def test_promise_3_where_no_other_has_it_nothing_else_stands_in(store: Store, happens: Callable[[Store], None]) -> None:
    async def steps(pilot: Drive) -> None:
        happens(store)
        disk = store.storages["disk"]
        disk.delete([name for name in disk.names() if "/wal/00000001_" in name])
        await pilot.press("enter")
        await picture.shows(pilot, "failed", "No other replica can stand", "Replica disk: ")

    picked(store, steps)
    assert made(store) == []


def test_promise_3_a_look_comes_from_another_replica_as_well(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        goes_away(store)
        await pilot.press("space")
        await picture.shows(pilot, "ROWS THEN", "fruit")

    picked(store, steps)


def test_promise_3_over_the_live_database_another_replica_is_told_as_well(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("W", "enter")
        await picture.shows(pilot, "Type its name")
        goes_away(store)
        await pilot.press(*"app.db", "enter")
        await picture.shows(pilot, "ok, in", "Replica s3, where this point was picked", "a new generation begins")

    picked(store, steps)
    assert Shell(store.path).rows("SELECT name FROM fruit WHERE n = 20") == [["pear"]]


def test_promise_3_a_replica_that_is_behind_does_not_stand_in_for_the_start_of_an_index(
    store: Store, tmp_path: Path
) -> None:
    """It has nothing of that index, and lacks the end of the one before it: what it would give is another commit."""
    disk = store.storages["disk"]
    last = max(name for name in disk.names() if "/wal/00000000_" in name)
    disk.delete([last, *(name for name in disk.names() if "/wal/00000001_" in name)])
    start = RestoreOptions(AtPosition(Position(NEW, 1, 0)), NEW)
    output = tmp_path / "out.db"

    def sources() -> list[OpenReplica]:
        return [OpenReplica(name, storage) for name, storage in store.storages.items()]

    assert restore_picked(sources(), "s3", output, start).replica == "s3"
    output.unlink()
    goes_away(store)
    with pytest.raises(StorageError, match=r"s3 does not answer.* nothing proves .* is the same state"):
        restore_picked(sources(), "s3", output, start)
    assert not output.exists()


def test_promise_3_a_snapshot_of_litestream_by_itself_is_that_of_its_replica(store: Store) -> None:
    """Which commit it holds nothing tells, so that another replica's may hold another."""
    for storage in store.storages.values():
        storage.delete(storage.names())
        builder = ReplicaBuilder(storage, NEW)
        builder.snapshot(0, store.history.bases[0], None)

    async def steps(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.until(pilot, lambda: picker_of(pilot.app.screen).position == Position(NEW, 0, 0))
        goes_away(store)
        await pilot.press("enter")
        await picture.shows(pilot, "failed", "s3 does not answer", "Nothing was left behind")

    drive(steps, fake.FakeControl(fake.database(str(store.path))), LARGE, config=store.config)
    assert made(store) == []


def test_promise_3_the_key_for_the_latest_takes_the_replica_that_the_picker_opens_on(store: Store) -> None:
    """The second, where the first lacks the last commits; and with the first away as well."""
    last = max(name for name in store.storages["s3"].names() if "/wal/" in name)
    store.storages["s3"].delete([last])
    control = fake.FakeControl(fake.database(str(store.path)))

    async def steps(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "disk, which answers best", "also s3 up to")
        await pilot.press("escape")
        await pilot.press("R")
        await picture.shows(pilot, "ok, in", "disk, 5 objects", "00000001:")

    drive(steps, control, LARGE, config=store.config)
