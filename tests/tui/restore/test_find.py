"""The search from the picker: the dialog, and where it puts the cursor."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replication.errors import UsageError
from replication.position import Position
from tests.restore.history import History
from tests.tui import fake, picture
from tests.tui.driving import NORMAL, Drive, app_of, drive, instead
from tests.tui.restore.restorable import NEW, OLD, Store, picker_of, store_of, write
from tui.restore.find.wanted import KINDS, request
from tui.restore.picker.screen import RestoreScreen

Steps = Callable[[Drive], Awaitable[None]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write(tmp_path_factory.mktemp("history"))


@pytest.fixture
def store(history: History, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = store_of(history, Path("/srv/app.db"), monkeypatch)
    store.publish(NEW, ago=3600)
    return store


def picked(store: Store, steps: Steps, size: tuple[int, int] = NORMAL) -> None:
    async def opened(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "commit 2 of 2")
        await steps(pilot)

    drive(opened, fake.FakeControl(fake.database(str(store.path))), size, config=store.config)


async def at(pilot: Drive, position: Position) -> None:
    await picture.until(
        pilot,
        lambda: isinstance(pilot.app.screen, RestoreScreen) and picker_of(pilot.app.screen).position == position,
    )


@pytest.mark.parametrize("size", [NORMAL, (60, 15)])
def test_the_cursor_goes_to_the_commit_before_a_table_went(store: Store, size: tuple[int, int]) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("F", *"lost", "enter")
        await picture.shows(pilot, "found", "lost went with the next commit")
        await at(pilot, store.history.commits[6].at(NEW))
        await picture.shows(pilot, "lost gone −1", "commit 1 of 2")
        if size == NORMAL:
            picture.same_as(app_of(pilot), "found-80x24")
        # What was found is told as long as the cursor is there.
        await pilot.press("right")
        await picture.until(pilot, lambda: "found " not in picture.picture(pilot.app))

    picked(store, steps, size)


def test_each_kind_is_chosen_and_asked_for(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("F")
        await picture.shows(pilot, "> a table went", "nothing for any table")
        picture.same_as(app_of(pilot), "find-80x24")
        await pilot.press("down", "down", "down")
        await picture.shows(pilot, "> a row came, changed or went")
        await pilot.press("enter")
        await picture.shows(pilot, "Type its table and key, such as: orders 7")
        await pilot.press(*"fruit pear", "enter")
        await picture.shows(pilot, "row pear of fruit changed with", "from pear, 2 to pear, 20")
        await at(pilot, store.history.commits[5].at(NEW))
        # From there back it is the commit that made the row.
        await pilot.press("F", "tab", "down", "down", "down", *"fruit pear", "enter")
        await at(pilot, store.history.commits[1].at(NEW))
        await pilot.press("F", "end", "down", "down", "down", "down")
        await instead(pilot, "SELECT sum(n) FROM fruit")
        await pilot.press("enter")
        await at(pilot, store.history.commits[5].at(NEW))

    picked(store, steps)


def test_what_is_not_found_is_said_and_another_try_is_made(store: Store) -> None:
    store.publish(OLD, ago=2 * 86400)

    async def steps(pilot: Drive) -> None:
        before = picker_of(pilot.app.screen).position
        await pilot.press("F", *"nowhere", "enter")
        await picture.shows(pilot, "No commit that was looked at has a table", "nowhere")
        await pilot.press("escape")
        assert picker_of(pilot.app.screen).position == before
        # From the cursor back it is its generation.
        await pilot.press("right_curly_bracket", "F", "tab", "enter")
        await at(pilot, store.history.commits[6].at(OLD))

    picked(store, steps)


def test_a_search_is_cancelled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()
    get = store.storage.get

    def slow_get(name: str, offset: int = 0, length: int | None = None) -> object:
        reading.set()
        go_on.wait(fake.HANG_SECONDS_MAX)
        return get(name, offset, length)

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "lost gone", "fetch    snapshot")
        monkeypatch.setattr(store.storage, "get", slow_get)
        await pilot.press("F", "enter")
        await picture.until(pilot, reading.is_set)
        await picture.shows(pilot, "searching", "esc cancels")
        await pilot.press("escape")
        await picture.until(pilot, lambda: "cancelling" in [job.state for job in app_of(pilot).control.jobs()])
        go_on.set()
        await picture.shows(pilot, "cancelled", "> a table went")
        await pilot.press("escape")
        await picture.shows(pilot, "commit 2 of 2")

    picked(store, steps)


@pytest.mark.parametrize(
    ("what", "typed"),
    [
        ("appeared", " "),
        ("fell", "orders"),
        ("fell", "orders many"),
        ("fell", "orders 0"),
        ("row", "orders"),
        ("sql", ""),
    ],
)
def test_what_is_not_enough_is_said(what: str, typed: str) -> None:
    kind = next(kind for kind in KINDS if kind.what == what)
    with pytest.raises(UsageError, match="Type "):
        request(kind, typed, "/srv/app.db", "s3", NEW, None)


def test_names_with_spaces_and_numbers_with_commas() -> None:
    kind = next(kind for kind in KINDS if kind.what == "fell")
    found = request(kind, " order lines 18,000 ", "/srv/app.db", "s3", NEW, None)
    assert (found.table, found.rows) == ("order lines", 18000)
