"""The run: to a new file, over the live database, cancelled, failed; and the tables of another moment."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replication.control import BY_HAND
from replication.errors import StorageError
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.restore.history import History
from tests.tui import fake, picture
from tests.tui.driving import LARGE, NORMAL, STILL, Drive, app_of, drive, instead
from tests.tui.restore.restorable import NEW, Store, store_of, write
from tui.restore.run.over_live import OverScreen
from tui.view import Options

Steps = Callable[[Drive], Awaitable[None]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write(tmp_path_factory.mktemp("history"))


@pytest.fixture
def store(history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A live database that went on after what the replica holds, in nobody's use."""
    store = store_of(history, tmp_path / "app.db", monkeypatch)
    store.publish(NEW, ago=3600)
    Shell(store.path).run(
        "PRAGMA journal_mode=wal; CREATE TABLE fruit(name TEXT PRIMARY KEY, n INTEGER);"
        "INSERT INTO fruit VALUES('apple', 1), ('kiwi', 7), ('pear', 20);"
    )
    return store


def picked(store: Store, steps: Steps, size: tuple[int, int] = LARGE, options: Options = STILL) -> fake.FakeControl:
    control = fake.FakeControl(fake.database(str(store.path)))

    async def opened(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "commit 2 of 2")
        await steps(pilot)

    drive(opened, control, size, options, store.config)
    return control


def names(store: Store) -> list[str]:
    return sorted(item.name for item in store.path.parent.iterdir())


def test_to_a_new_file_at_once(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("left", "enter")
        await picture.shows(pilot, "✔ ok, in", "app.db.restore-20261020T112431Z", "quick: ok", "00000001:20632")
        await pilot.press("enter")
        await picture.shows(pilot, "commit 1 of 2")

    control = picked(store, steps)
    assert not control.commands
    [made] = [name for name in names(store) if "restore-" in name]
    restored = Shell(store.path.with_name(made))
    assert restored.rows("SELECT name FROM fruit ORDER BY n") == [["apple"], ["plum"], ["fig"], ["pear"]]
    assert restored.rows("SELECT count(*) FROM lost") == [[1]]


def test_cancelled_leaves_nothing(store: Store) -> None:
    go_on = threading.Event()
    before = names(store)

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "fetch", "segments")
        store.storage.hang("get", go_on)
        await pilot.press("enter")
        await picture.shows(pilot, "◐ list the replica", "esc cancels")
        await pilot.press("enter", "escape")
        await picture.shows(pilot, "cancelling")
        go_on.set()
        await picture.shows(pilot, "cancelled", "Nothing was left behind")
        await pilot.press("escape")
        await picture.shows(pilot, "Restore ")

    picked(store, steps)
    assert names(store) == before


def test_a_failure_says_why_and_that_nothing_was_left(store: Store) -> None:
    before = names(store)

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "fetch", "segments")
        segment = next(name for name in store.storage.names() if "/wal/00000001_00000000" in name)
        store.storage.delete([segment])
        await pilot.press("enter")
        await picture.shows(pilot, "✖ failed", "00000001_00000000.wal.lz4 is not in the replica", "Nothing was left")

    picked(store, steps)
    assert names(store) == before


def test_leaving_the_program_ends_a_restore_and_leaves_nothing(store: Store) -> None:
    go_on = threading.Event()
    before = names(store)
    control = fake.FakeControl(fake.database(str(store.path)))

    async def steps(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "fetch", "segments")
        store.storage.hang("get", go_on)
        await pilot.press("enter")
        await picture.shows(pilot, "◐ list the replica")
        await pilot.press("q")
        await picture.shows(pilot, "Under way: restore of app.db", "what it wrote is removed")
        await pilot.press("n")

    try:
        app = drive(steps, control, LARGE, config=store.config)
    finally:
        go_on.set()
    assert app.wait_for_jobs(20)
    wait_until("what it wrote is removed", lambda: names(store) == before)


def test_over_the_live_database_after_its_name_was_typed(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("W")
        await picture.shows(pilot, "IN PLACE OF THE LIVE DATABASE")
        await pilot.press("enter")
        await picture.shows(pilot, "Stop the application first", "app.db.before-restore-20261020T120431Z")
        # Letters are those of the name at once, and without them enter does nothing but say so.
        await pilot.press("enter")
        await picture.shows(pilot, "That is not app.db. Nothing was done")
        await pilot.press("tab", "enter")
        await picture.shows(pilot, "IN PLACE OF THE LIVE DATABASE", "Cancelled: nothing was done")
        await pilot.press("enter", *"app", "enter")
        await picture.shows(pilot, "That is not app.db")
        assert Shell(store.path).rows("SELECT count(*) FROM fruit") == [[3]]
        await pilot.press(*".db", "enter")
        await picture.shows(pilot, "✔ ok, in", "old file", "a new generation begins")

    control = picked(store, steps)
    assert control.commands == [("pause", str(store.path)), ("resume", str(store.path))]
    assert names(store) == ["app.db", "app.db.before-restore-20261020T120431Z"]
    assert Shell(store.path).rows("SELECT count(*) FROM fruit") == [[4]]
    kept = Shell(store.path.with_name("app.db.before-restore-20261020T120431Z"))
    assert kept.rows("SELECT name FROM fruit ORDER BY n") == [["apple"], ["kiwi"], ["pear"]]


def test_the_kept_file_has_the_name_that_the_question_said_and_later_commits_are_told(store: Store) -> None:
    """Time passes while the question is read, and the application commits."""
    now = [fake.NOW]

    async def steps(pilot: Drive) -> None:
        await pilot.press("W", "enter")
        await picture.shows(pilot, "app.db.before-restore-20261020T120431Z")
        now[0] += 75
        Shell(store.path).run("INSERT INTO fruit VALUES('late', 9)")
        await pilot.press(*"app.db", "enter")
        await picture.shows(pilot, "✔ ok, in", "app.db.before-restore-20261020T120431Z", "may have got commits")

    picked(store, steps, options=Options(clock=lambda: now[0]))
    assert names(store) == ["app.db", "app.db.before-restore-20261020T120431Z"]
    kept = Shell(store.path.with_name("app.db.before-restore-20261020T120431Z"))
    assert kept.rows("SELECT count(*) FROM fruit") == [[4]]


def test_a_name_that_leaves_no_room_is_told_before_anything_is_asked(
    history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = store_of(history, tmp_path / ("n" * 240), monkeypatch)
    store.publish(NEW, ago=3600)
    Shell(store.path).run("CREATE TABLE fruit(name TEXT PRIMARY KEY, n INTEGER)")

    async def steps(pilot: Drive) -> None:
        await pilot.press("W", "enter")
        await picture.shows(pilot, "too long by 25 bytes", "a shorter name instead")
        await instead(pilot, "n" * 240)
        await pilot.press("enter")
        await picture.shows(pilot, "Nothing was done")

    control = picked(store, steps)
    assert not control.commands
    assert names(store) == ["n" * 240]


def test_what_is_typed_before_the_question_was_painted_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    paint = OverScreen.show

    async def steps(pilot: Drive) -> None:
        # The dialog is there, and nothing of it was shown yet: the machine is busy.
        monkeypatch.setattr(OverScreen, "show", lambda self, view: None)
        await pilot.press("W", "enter", *"app", "enter")
        monkeypatch.setattr(OverScreen, "show", paint)
        await picture.shows(pilot, "That is not app.db. Nothing was done", "Type its name, app.db")
        monkeypatch.setattr(OverScreen, "show", lambda self, view: None)
        await pilot.press(*".db", "enter")
        await picture.shows(pilot, "✔ ok, in", "app.db.before-restore-20261020T120431Z")

    picked(store, steps)


def test_over_a_database_in_use_is_refused_and_replication_goes_on(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("W", "enter")
        await picture.shows(pilot, "Type its name")
        await pilot.press(*"app.db", "enter")
        await picture.shows(pilot, "✖ failed", "is open in another program", "Stop it", "replication goes on")

    with Shell(store.path).open() as app:
        app.execute("SELECT * FROM fruit")
        control = picked(store, steps)
        assert control.commands[-1] == ("resume", str(store.path))
        assert app.execute("SELECT count(*) FROM fruit") == [[3]]


def test_what_the_user_has_paused_stays_paused(store: Store) -> None:
    control = fake.FakeControl(fake.database(str(store.path), state="paused"))
    control.holders = [BY_HAND]

    async def steps(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "commit 2 of 2")
        await pilot.press("W", "enter")
        await picture.shows(pilot, "Type its name")
        await pilot.press(*"app.db", "enter")
        await picture.shows(pilot, "✔ ok, in", "when P resumes it")

    drive(steps, control, LARGE, config=store.config)
    assert control.holders == [BY_HAND]
    assert control.databases[0].state == "paused"


def test_read_only_does_not_restore_over_the_live_database(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("W")
        await picture.shows(pilot, "(new file)")
        await pilot.press("e")
        await instead(pilot, str(store.path))
        await pilot.press("enter")
        await picture.shows(pilot, "which -read-only leaves alone")
        await pilot.press("enter")
        await picture.shows(pilot, "Restore ")
        assert "Stop the application first" not in picture.picture(pilot.app)

    picked(store, steps, options=Options(clock=fake.clock, read_only=True))
    assert Shell(store.path).rows("SELECT count(*) FROM fruit") == [[3]]


@pytest.mark.parametrize(("size", "name"), [(NORMAL, "over-80x24"), (LARGE, "over-140x40")])
def test_how_the_question_looks(
    history: History, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], name: str
) -> None:
    store = store_of(history, Path("/etc/hostname"), monkeypatch)
    store.publish(NEW, ago=3600)

    async def steps(pilot: Drive) -> None:
        await pilot.press("W", "enter")
        await picture.shows(pilot, "Type its name, hostname")
        picture.same_as(app_of(pilot), name)
        await pilot.press("escape")
        await picture.shows(pilot, "IN PLACE OF")

    picked(store, steps, size)


def test_a_look_at_the_tables_and_the_rows_that_differ(store: Store, tmp_path: Path) -> None:
    before = names(store)

    async def steps(pilot: Drive) -> None:
        await pilot.press("left", "space")
        await picture.shows(pilot, "ROWS THEN", "fruit", "lost", "gone today")
        picture.same_as(app_of(pilot), "preview-140x40")
        await pilot.press("down", "enter")
        await picture.shows(pilot, "plum", "kiwi", "compared by name")
        picture.same_as(app_of(pilot), "differences-140x40")
        await pilot.press("down", "escape", "up", "enter")
        await picture.shows(pilot, "The table is gone today: these are its rows", "- ", "1")
        await pilot.press("escape", "escape")
        await picture.shows(pilot, "commit 1 of 2")

    control = picked(store, steps)
    assert not control.commands
    assert [name for name in names(store) if not name.startswith("app.db-")] == before


def test_a_look_is_cancelled_and_can_fail(store: Store) -> None:
    go_on = threading.Event()

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "fetch", "segments")
        store.storage.hang("get", go_on)
        await pilot.press("space")
        await picture.shows(pilot, "listing the replica")
        await pilot.press("escape")
        go_on.set()
        await picture.shows(pilot, "commit 2 of 2")
        store.storage.fail("folders", StorageError("no answer from [/x]"), 9)
        await pilot.press("space")
        await picture.shows(pilot, "no answer from [/x]")

    picked(store, steps)
