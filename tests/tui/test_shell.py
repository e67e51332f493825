"""The shell of the screen: it opens, polls, runs jobs, and survives what an engine can do to it."""

from replication.errors import StorageError
from tests.tui import fake, picture
from tests.tui.driving import Drive, app_of, drive


def test_an_engine_that_raises_is_told_once_and_the_screen_stays() -> None:
    control = fake.FakeControl(fake.database())

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "/srv/app.db", "q Quit")
        control.fails["status"] = StorageError("no answer")
        app_of(pilot).poll()
        app_of(pilot).poll()
        await picture.shows(pilot, "no answer")
        assert picture.picture(pilot.app).count("no answer") == 1
        await pilot.press("q")

    assert drive(steps, control).return_value == 0
