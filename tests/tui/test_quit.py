"""The question at the end: it offers what can be done, and says where things stand as they change."""

from tests.tui import fake, picture
from tests.tui.driving import Drive, drive


def test_what_cannot_be_done_is_not_offered_and_all_uploaded_is_said() -> None:
    waiting = fake.replica(state="behind", pending_bytes=45_000, lag_seconds=9.0)
    control = fake.FakeControl(fake.database(replicas=(waiting,)))

    async def steps(pilot: Drive) -> None:
        await pilot.press("q")
        await picture.shows(pilot, " not uploaded", "w waits for it and quits", "Wait and quit")
        # The engine of a test, as that of the demo, cannot go on without its screen.
        assert "Background" not in picture.picture(pilot.app)
        control.databases = (fake.database(),)
        await picture.shows(pilot, "All is uploaded: n quits now, esc stays")
        await pilot.press("n")

    drive(steps, control)
