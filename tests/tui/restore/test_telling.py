"""What commits did, told beside them: asked for a few at a time, and much reading of the replica only on request."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from replication.errors import QueryError
from replication.history.past import Past
from replication.position import Position
from tests.restore.history import History
from tests.tui import fake, picture
from tests.tui.driving import NORMAL, Drive, app_of, drive
from tests.tui.restore.restorable import NEW, Store, picker_of, picking, store_of, write
from tui.restore.picker import telling

Steps = Callable[[Drive], Awaitable[None]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write(tmp_path_factory.mktemp("history"))


@pytest.fixture
def store(history: History, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A generation with a second snapshot in its middle."""
    store = store_of(history, Path("/srv/app.db"), monkeypatch)
    store.publish(NEW, ago=3600)
    store.snapshot(NEW, 5, ago=2000)
    return store


def picked(store: Store, steps: Steps, size: tuple[int, int] = NORMAL) -> None:
    async def opened(pilot: Drive) -> None:
        await pilot.press("r")
        await picture.shows(pilot, "commit 2 of 2")
        await steps(pilot)

    drive(opened, fake.FakeControl(fake.database(str(store.path))), size, config=store.config)


def test_all_in_sight_is_told_over_a_snapshot_too(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "lost gone −1", "fruit made, lost made")
        known = picking(pilot.app.screen).telling
        assert known is not None
        # All eight, and the snapshot before them, of which nothing is told.
        await picture.until(pilot, lambda: len(known.entries) == 9)
        assert [position for position, entry in known.entries.items() if entry is None] == [min(known.entries)]

    picked(store, steps)


def test_much_reading_is_asked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "READ_BYTES_MAX", 100)

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "T reads what they did")
        assert "lost gone" not in picture.picture(pilot.app)
        assert "entries" not in [job.do for job in app_of(pilot).control.jobs()]
        # Where they are and how large is known all the same.
        await picture.shows(pilot, "00000001:20632      1    4.1 KB", "00000000:24752      2")
        await pilot.press("T")
        await picture.shows(pilot, "lost gone −1", "fruit made, lost made")

    picked(store, steps)


def test_what_cannot_be_read_is_said_and_the_points_are_there_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Past, *arguments: object) -> None:
        raise QueryError("it is [/b]roken")

    monkeypatch.setattr(Past, "entries", refused)

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "what commits did cannot be read: it is [/b]roken")
        await picture.shows(pilot, "00000001:20632      1    4.1 KB")
        await pilot.press("left")
        await picture.shows(pilot, "commit 1 of 2")

    picked(store, steps)


def test_pages_of_commits_and_ends(store: Store) -> None:
    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "fruit made, lost made")
        await pilot.press("pageup")
        assert picker_of(pilot.app.screen).position == Position(NEW, 0, 0)
        await pilot.press("pagedown")
        assert picker_of(pilot.app.screen).position == store.history.commits[7].at(NEW)
        await pilot.press("up", "k", "down", "j")
        assert picker_of(pilot.app.screen).position == store.history.commits[7].at(NEW)

    picked(store, steps)
