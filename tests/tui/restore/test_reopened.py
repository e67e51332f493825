"""A restore that was left, opened again from the jobs of the engine: followed, left again, cancelled, or over."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replication.control import requests as ask
from replication.control.values import JobStatus
from replication.errors import PausedError, RestoreCancelledError
from tests.restore.history import History
from tests.tui import fake, picture
from tests.tui.driving import LARGE, STILL, Drive, app_of, drive
from tests.tui.restore.restorable import NEW, Store, store_of, write
from tui.restore.run.screen import ReopenedScreen
from tui.view import Options

Steps = Callable[[Drive, JobStatus], Awaitable[None]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write(tmp_path_factory.mktemp("history"))


@pytest.fixture
def store(history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    store = store_of(history, tmp_path / "app.db", monkeypatch)
    store.publish(NEW, ago=3600)
    return store


def begun(store: Store, steps: Steps, options: Options = STILL, output: str = "out.db") -> None:
    """Steps on the screen of the jobs, of which one is a restore that somebody else has begun."""

    async def opened(pilot: Drive) -> None:
        path = store.path.with_name(output)
        job = app_of(pilot).control.begin(ask.Restore(database=str(store.path), output=str(path)))
        await pilot.press("J")
        await picture.shows(pilot, "restore", "app.db")
        await steps(pilot, job)

    drive(opened, fake.FakeControl(fake.database(str(store.path))), LARGE, options, store.config)


def state(pilot: Drive, job: JobStatus) -> str:
    return app_of(pilot).control.job(job.id).state


def test_it_is_followed_left_and_followed_again(store: Store) -> None:
    go_on = threading.Event()
    store.storage.hang("get", go_on)

    async def steps(pilot: Drive, job: JobStatus) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "begun at", "◐ list the replica", "esc goes back, and it goes on; c cancels it")
        # It has not ended, so there is nothing to close.
        await pilot.press("enter", "escape")
        await picture.shows(pilot, "jobs of the engine")
        assert state(pilot, job) == "running"
        await pilot.press("enter")
        await picture.shows(pilot, "begun at")
        go_on.set()
        await picture.shows(pilot, "✔ ok, in", "out.db", "ok")
        await pilot.press("enter")
        await picture.shows(pilot, "jobs of the engine", "out.db")
        # One that is over says what came of it.
        await pilot.press("enter")
        await picture.shows(pilot, "begun at", "✔ ok, in", "out.db")

    begun(store, steps)
    assert store.path.with_name("out.db").exists()


def test_it_is_cancelled_by_c_and_says_so_whoever_did(store: Store) -> None:
    go_on = threading.Event()
    store.storage.hang("get", go_on)

    async def steps(pilot: Drive, job: JobStatus) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "begun at", "◐ list the replica")
        await pilot.press("c")
        await picture.shows(pilot, "cancelling")
        go_on.set()
        await picture.shows(pilot, "cancelled", "Nothing was left behind")
        assert state(pilot, job) == "cancelled"
        await pilot.press("escape", "enter")
        await picture.shows(pilot, "begun at", "cancelled", "Nothing was left behind")

    begun(store, steps)
    assert not store.path.with_name("out.db").exists()


def test_one_that_failed_says_why(store: Store) -> None:
    store.path.with_name("taken.db").write_text("mine")

    async def steps(pilot: Drive, job: JobStatus) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "begun at", "✖ failed", "exists already and is not overwritten")

    begun(store, steps, output="taken.db")


def test_who_may_only_read_follows_and_cancels_nothing(store: Store) -> None:
    go_on = threading.Event()
    store.storage.hang("get", go_on)

    async def steps(pilot: Drive, job: JobStatus) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "begun at", "esc goes back, and it goes on")
        assert "c cancels" not in picture.picture(pilot.app)
        await pilot.press("c")
        await pilot.pause()
        assert state(pilot, job) == "running"
        go_on.set()
        await picture.shows(pilot, "✔ ok, in")

    begun(store, steps, Options(read_only=True, clock=fake.clock))


def test_what_is_no_restore_has_no_screen_of_its_own(store: Store) -> None:
    async def steps(pilot: Drive, job: JobStatus) -> None:
        await picture.shows(pilot, "out.db")
        app_of(pilot).control.begin(ask.Verify(database=str(store.path)))
        await picture.shows(pilot, "verify")
        await pilot.press("home", "enter")
        await picture.shows(pilot, "told below", "jobs of the engine")

    begun(store, steps)


def test_one_whose_pause_ended_too_soon_failed_and_was_not_cancelled(store: Store) -> None:
    """The lease of a pause ran out, say while the machine slept: nobody cancelled that restore."""

    async def steps(pilot: Drive, job: JobStatus) -> None:
        screen = ReopenedScreen(job)
        assert screen.was_cancelled(RestoreCancelledError("cancelled"))
        assert not screen.was_cancelled(PausedError("the pause has ended"))
        screen._cancel.set()
        assert screen.was_cancelled(PausedError("the pause has ended"))

    begun(store, steps)
