"""The restore picker: every key of it, on replicas that hold a real history."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replication.errors import StorageError
from replication.position import Position
from tests.restore.history import History
from tests.tui import fake, picture
from tests.tui.driving import LARGE, NORMAL, STILL, Drive, app_of, drive, instead
from tests.tui.restore.restorable import NEW, OLD, Store, picker_of, picking, store_of, write
from tui.view import Options

PATH = Path("/srv/app.db")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write(tmp_path_factory.mktemp("history"))


@pytest.fixture
def store(history: History, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two generations: an old one of two days ago, and one of the last hour with a second snapshot."""
    store = store_of(history, PATH, monkeypatch)
    store.publish(OLD, ago=2 * 86400, reason="no generation exists")
    store.publish(NEW, ago=3600, reason="wal overwritten by another process")
    store.snapshot(NEW, 5, ago=2000)
    return store


Steps = Callable[[Drive], Awaitable[None]]


def picked(
    store: Store,
    steps: Steps,
    size: tuple[int, int] = NORMAL,
    options: Options = STILL,
    replicas: tuple[str, ...] = ("s3",),
) -> fake.FakeControl:
    """Take the steps in the picker, opened on the newest point."""
    control = fake.FakeControl(fake.database(str(store.path), replicas=tuple(map(fake.replica, replicas))))

    async def opened(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "commit 2 of 2")
        await steps(pilot)

    drive(opened, control, size, options, store.config)
    return control


def position(pilot: Drive) -> Position | None:
    return picker_of(pilot.app.screen).position


async def known(pilot: Drive) -> Position:
    """The point under the cursor, once it is known."""
    await picture.until(pilot, lambda: position(pilot) is not None)
    found = position(pilot)
    assert found is not None
    return found


def at(store: Store, number: int, generation: str = NEW) -> Position:
    return store.history.commits[number].at(generation)


@pytest.mark.parametrize(("size", "name"), [(NORMAL, "restore-80x24"), (LARGE, "restore-140x40")])
def test_how_it_looks(store: Store, size: tuple[int, int], name: str) -> None:
    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "fetch", "segment")
        picture.same_as(app_of(pilot), name)

    picked(store, steps, size)


def test_left_and_right_reach_every_commit(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        seen = [await known(pilot)]
        for _ in range(8):
            await pilot.press("left")
            seen.append(await known(pilot))
        assert seen == [*(at(store, number) for number in range(7, -1, -1)), Position(NEW, 0, 0)]
        await pilot.press("h")
        await picture.shows(pilot, "as far as it goes")
        for key in ("right", "l"):
            await pilot.press(key)
        assert await known(pilot) == at(store, 1)

    picked(store, steps)


def test_snapshots_ends_and_generations(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("[")
        assert await known(pilot) == at(store, 5)
        await picture.shows(pilot, "a snapshot")
        await pilot.press("[")
        assert await known(pilot) == Position(NEW, 0, 0)
        await pilot.press("]")
        assert await known(pilot) == at(store, 5)
        await pilot.press("right_curly_bracket")
        assert await known(pilot) == at(store, 7, OLD)
        await picture.shows(pilot, OLD, "no generation exists")
        await pilot.press("home")
        assert await known(pilot) == Position(OLD, 0, 0)
        await pilot.press("end")
        assert await known(pilot) == at(store, 7, OLD)
        await pilot.press("left_curly_bracket")
        assert (await known(pilot)).generation == NEW
        await pilot.press("right_curly_bracket", "left_curly_bracket")
        assert (await known(pilot)).generation == NEW

    picked(store, steps)


def test_minutes_hours_and_days(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        picker = picker_of(pilot.app.screen)
        for key, seconds in (("m", -60), ("o", -3600), ("d", -86400), ("D", 86400), ("O", 3600), ("M", 60)):
            before = picker.cursor.asked if picker.cursor.asked is not None else picker.time
            await pilot.press(key)
            picker = picker_of(pilot.app.screen)
            assert picker.cursor.asked == pytest.approx(before + seconds)
        await pilot.press("d")
        assert (await known(pilot)).generation == OLD
        await picture.shows(pilot, "not covered")

    picked(store, steps)


def test_a_time_is_typed(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("t", *"soon", "enter")
        await picture.shows(pilot, "'soon' is not a time", "12:04, 3am, -15m")
        await pilot.press(*["backspace"] * 4, *"-50m", "enter")
        assert await known(pilot) == at(store, 3)
        await picture.shows(pilot, "asked    2026-10-20 11:14:31Z", "the newest commit then")
        await pilot.press("t", "x", "escape")
        assert await known(pilot) == at(store, 3)
        await pilot.press("t", *"10-19 12:00", "enter")
        await picture.shows(pilot, "nearest earlier point", "not covered", OLD)

    picked(store, steps)


def test_zoom_check_and_plan(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "fetch", "segment")
        screen = picking(pilot.app.screen)
        assert screen.window is not None
        seconds = screen.window.seconds
        await pilot.press("+")
        assert screen.window.seconds < seconds
        await pilot.press("-", "-")
        assert screen.window.seconds > seconds
        for check in ("full", "none", "quick"):
            await pilot.press("i")
            await picture.shows(pilot, f"check  {check}")
        await pilot.press("p")
        await picture.shows(pilot, "plan from s3://backup/app", "00000001.snapshot.lz4", "stop at")
        await pilot.press("down", "end", "escape")
        await picture.shows(pilot, "Restore /srv/app.db")

    picked(store, steps)


def test_the_output_is_chosen_and_what_exists_is_refused(store: Store, tmp_path: Path) -> None:
    taken = tmp_path / "taken.db"
    taken.write_text("")

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "/srv/app.db.restore-20261020T1124", "(new file)")
        await pilot.press("e")
        await instead(pilot, str(taken))
        await pilot.press("enter")
        await picture.shows(pilot, "exists, and is never overwritten")
        await pilot.press("enter")
        await picture.shows(pilot, "e names another")
        await pilot.press("e", "home", "ctrl+k", "enter")
        await picture.shows(pilot, "(new file)")

    picked(store, steps, LARGE)
    assert taken.read_text() == ""


def test_a_missing_segment_is_shown_and_named(store: Store) -> None:
    lost = f"generations/{NEW}/wal/00000001_00000000.wal.lz4"
    store.storage.delete([lost, *(item for item in store.storage.names() if OLD in item)])
    control = fake.FakeControl(fake.database(str(store.path)))

    async def steps(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "×", "point")
        await pilot.press("t", *"-34m", "enter")
        assert await known(pilot) == at(store, 3)
        await picture.shows(pilot, "nearest earlier point, 16 min not covered", "00000001_00000000.wal.lz4 is missing")

    drive(steps, control, config=store.config)


def test_a_store_that_is_down_says_so_and_g_tries_again(store: Store) -> None:
    control = fake.FakeControl(fake.database(str(store.path)))
    down = True

    def folders(prefix: str) -> list[str]:
        if down:
            raise StorageError("the store at [/x] does not answer")
        return real(prefix)

    real = store.storage.folders
    store.storage.folders = folders  # type: ignore[method-assign]

    async def steps(pilot: Drive) -> None:
        nonlocal down
        await pilot.press("r")
        await picture.shows(pilot, "the store at [/x] does not answer", "g tries again")
        await pilot.press("left", "enter", "space", "p")
        down = False
        await pilot.press("g")
        await picture.shows(pilot, "commit 2 of 2")
        await pilot.press("escape")
        await picture.shows(pilot, "POSITION")

    drive(steps, control, config=store.config)


def test_tab_goes_to_the_next_replica(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(history, PATH, monkeypatch, "s3", "disk")
    store.publish(NEW, ago=3600)
    store.publish(OLD, ago=7200, name="disk")

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "s3://backup/app", NEW)
        await pilot.press("tab")
        await picture.shows(pilot, "disk://backup/app", OLD)
        await pilot.press("tab")
        await picture.shows(pilot, "s3://backup/app", NEW)

    picked(store, steps, replicas=("s3", "disk"))


def test_promise_3_the_picker_takes_the_replica_that_answers_best(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that restoring the latest state takes, and it says what the other has."""
    store = store_of(history, PATH, monkeypatch, "s3", "disk")
    store.publish(NEW, ago=3600)
    store.publish(NEW, ago=3600, name="disk")
    last = max(name for name in store.storages["s3"].names() if "/wal/" in name)
    store.storages["s3"].delete([last])

    async def steps(pilot: Drive) -> None:
        assert await known(pilot) == at(store, 7)
        await picture.shows(pilot, "disk://backup/app", "disk, which answers best", f"also s3 up to {at(store, 5)}")

    picked(store, steps, LARGE)


def test_promise_3_a_time_typed_while_the_points_are_read_is_kept(
    store: Store, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest point is never restored in place of the one that was asked for."""
    control = fake.FakeControl(fake.database(str(store.path)))
    there = threading.Event()
    store.storage.hang("folders", there)

    async def steps(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "reading what the replica holds")
        await pilot.press("t", *"10-18 12:04", "enter")
        await picture.shows(pilot, "is looked for")
        await pilot.press("enter")
        await picture.shows(pilot, "no point to restore yet")
        there.set()
        await picture.shows(pilot, "asked")
        found = await known(pilot)
        assert found.generation == OLD
        assert picker_of(pilot.app.screen).cursor.asked == fake.NOW // 60 * 60 - 2 * 86400

    drive(steps, control, config=store.config)


def test_a_replica_with_nothing_says_what_to_do(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(history, PATH, monkeypatch)
    control = fake.FakeControl(fake.database(str(store.path)))

    async def steps(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "Nothing has been replicated to s3://backup/app yet")
        await pilot.press("enter", "e", "W", "t", "escape", "+", "i")
        await pilot.press("escape")
        await picture.shows(pilot, "POSITION")

    drive(steps, control, config=store.config)


def test_in_ascii_and_on_a_small_terminal(store: Store) -> None:
    async def ascii_only(pilot: Drive) -> None:
        await picture.shows(pilot, "fetch", "segment")
        assert picture.picture(pilot.app).replace("⏎", "").isascii()

    picked(store, ascii_only, options=Options(clock=fake.clock, ascii=True))

    async def small(pilot: Drive) -> None:
        await pilot.press("left", "left")
        assert await known(pilot) == at(store, 5)

    picked(store, small, (60, 16))
