"""The shell of the screen: it opens, polls, runs jobs, and survives what an engine can do to it."""

from replication.control.values import JobStatus
from replication.errors import EngineError, StorageError
from tests.tui import fake, picture
from tests.tui.driving import Drive, app_of, drive
from tui.session.place import Place


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


def test_an_attached_screen_asks_for_the_jobs_until_the_engine_has_told_them() -> None:
    """On a busy machine the first question may find no answer in time, and the restore would never be told of."""
    control = fake.FakeControl(fake.database())
    restore = JobStatus("1", "restore", "/srv/app.db", "done", fake.NOW - 9, ended=fake.NOW)
    asked = 0

    def jobs() -> tuple[JobStatus, ...]:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise EngineError("no answer in time")
        return (restore,)

    async def steps(pilot: Drive) -> None:
        app = app_of(pilot)
        app.control.jobs = jobs  # type: ignore[method-assign]
        app._place = lambda: Place("service", pid=812)
        for number in (1, 2, 3):
            app.poll()
            await picture.until(pilot, lambda number=number: asked >= number and not app.jobs)  # type: ignore[misc]
        await picture.shows(pilot, "restore of app.db: done at")
        app.poll()
        await pilot.pause()
        assert asked == 3

    drive(steps, control)
