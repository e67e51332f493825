"""The screen of uploads."""

from replication.status import EngineStatus, Upload
from tests.tui import fake, picture
from tests.tui.driving import LARGE, Drive, app_of, drive
from tui.uploads.screen import DONE_MAX, done, waiting

SEGMENT = f"generations/{fake.GENERATION}/wal/00000002_0000a7f0.wal.lz4"
SNAPSHOT = f"generations/{fake.GENERATION}/snapshots/00000003.snapshot.lz4"


def control() -> fake.FakeControl:
    """One in flight, one failing, one that waits, one in step."""
    finished = tuple(Upload(SEGMENT, 8272, 900, fake.NOW - 50 * n, 0.1) for n in range(3, 0, -1))
    flying = fake.replica(
        state="syncing",
        pending_bytes=8_300_000,
        uploading=SNAPSHOT,
        uploading_bytes=3_735_000,
        uploading_total_bytes=8_300_000,
        uploads=finished,
    )
    failing = fake.replica(
        state="error",
        pending_bytes=1_200_000,
        lag_seconds=14.0,
        errors_in_a_row=3,
        last_error="SlowDown: please reduce your request rate",
        next_try=fake.NOW + 4,
        uploading=SEGMENT,
    )
    return fake.FakeControl(
        fake.database("/srv/app.db", replicas=(flying,)),
        fake.database("/srv/long/way/down/analytics.db", replicas=(failing,)),
        fake.database("/srv/jobs.db", replicas=(fake.replica(state="behind", pending_bytes=500, lag_seconds=9.0),)),
        fake.database("/srv/auth.db"),
    )


def test_at_80_by_24() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("u")
        await picture.shows(pilot, "failing 1", "45%", "reduce your request rate")
        pilot.app.clear_notifications()
        await picture.until(pilot, lambda: "▌" not in picture.picture(app_of(pilot)))
        picture.same_as(app_of(pilot), "uploads-80x24")

    drive(steps, control())


def test_at_140_by_40() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("u")
        await picture.shows(pilot, "failing 1", "45%", "reduce your request rate")
        pilot.app.clear_notifications()
        await picture.until(pilot, lambda: "▌" not in picture.picture(app_of(pilot)))
        picture.same_as(app_of(pilot), "uploads-140x40")

    drive(steps, control(), LARGE)


def test_errors_first_then_what_is_in_flight_then_the_longest_lag() -> None:
    status = EngineStatus(fake.NOW, control().databases)
    assert [item.database.path.rpartition("/")[2] for item in waiting(status)] == ["analytics.db", "app.db", "jobs.db"]


def test_the_last_uploads_of_a_thousand_databases() -> None:
    databases = tuple(
        fake.database(
            f"/srv/{number}.db",
            replicas=(fake.replica(uploads=tuple(Upload("x", 1, 1, n + number / 1000, 0.1) for n in range(200))),),
        )
        for number in range(1000)
    )
    found = done(EngineStatus(fake.NOW, databases))
    assert len(found) == DONE_MAX
    assert [item.database for item in found] == [f"/srv/{number}.db" for number in range(999, 799, -1)]
    assert [item.upload.time for item in found] == [199 + number / 1000 for number in range(999, 799, -1)]


def test_x_tries_the_database_under_the_cursor() -> None:
    engine = control()

    async def steps(pilot: Drive) -> None:
        await pilot.press("u")
        await picture.shows(pilot, "failing 1")
        await pilot.press("x")
        await picture.until(pilot, lambda: engine.commands == [("sync_now", "/srv/long/way/down/analytics.db")])
        await pilot.press("end", "x")
        await picture.until(pilot, lambda: engine.commands[1:] == [("sync_now", "")])
        await picture.shows(pilot, "all that wait: trying now")

    drive(steps, engine)


def test_x_with_nothing_waiting() -> None:
    engine = fake.FakeControl(fake.database())

    async def steps(pilot: Drive) -> None:
        await pilot.press("u")
        await picture.shows(pilot, "nothing was uploaded yet")
        await pilot.press("x")
        await picture.shows(pilot, "Nothing waits")
        assert engine.commands == []

    drive(steps, engine)


def test_the_cursor_stays_on_its_row() -> None:
    engine = control()

    async def steps(pilot: Drive) -> None:
        await pilot.press("u", "down")
        await picture.shows(pilot, "/srv/app.db to s3://backup/app")
        engine.change("/srv/long/way/down/analytics.db", replicas=(fake.replica(),))
        app_of(pilot).poll()
        await picture.shows(pilot, "failing 0", "/srv/app.db to s3://backup/app")
        await pilot.press("j", "j")
        await picture.shows(pilot, f" {SEGMENT}")

    drive(steps, engine)


def test_names_that_look_like_markup() -> None:
    bad = fake.replica(state="error", errors_in_a_row=1, last_error="[/x] [b", uploading="[red]x")
    engine = fake.FakeControl(fake.database("/srv/[prod]/[/x].db", replicas=(bad,)))

    async def steps(pilot: Drive) -> None:
        await pilot.press("u")
        await picture.shows(pilot, "/srv/[prod]/[/x].db", "[/x] [b", "[red]x")

    drive(steps, engine)
