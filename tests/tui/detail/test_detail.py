"""The screen of one database."""

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from replication.config import Config, DatabaseConfig, ReplicaConfig
from replication.position import Position
from replication.restore.points import PointMap, Stop
from replication.restore.wal03.listing import ends_of_runs
from replication.status import Verification
from replication.storage.file.location import FileLocation
from replication.storage.file.storage import FileStorage
from replication.storage.location import FilePermissions
from replication.storage.note_fields import NoteFields
from replication.storage.wal03.names import snapshot_name
from replication.storage.wal03.replica_client import ReplicaClient
from tests.tui import fake, picture
from tests.tui.driving import LARGE, Drive, app_of, drive
from tui.detail.generations import Listing
from tui.text.timeline import runs
from tui.view import Options

OLDER = "15f8733500000000"
PATH = "/srv/app.db"


def put(folder: Path, generation: str, index: int, offset: int | None, time: float, reason: str = "") -> None:
    """A snapshot (no offset) or a segment that was written at `time`."""
    client = ReplicaClient(FileStorage(folder, FilePermissions()))
    before = set(folder.rglob("*.lz4"))
    if offset is None:
        written = datetime.fromtimestamp(time, UTC).isoformat()
        position = str(Position(generation, index, 0))
        note: NoteFields = {
            "v": 1,
            "position": position,
            "pages": 2,
            "page_size": 4096,
            "time": written,
            "reason": reason,
        }
        client.storage.put(snapshot_name(generation, index), client.codec.seal([b"x" * 8192], note))
    else:
        client.write_segment(Position(generation, index, offset), [b"y" * 4152])
    [made] = set(folder.rglob("*.lz4")) - before
    os.utime(made, (time, time))


def two_generations(folder: Path) -> Config:
    """A configuration whose one replica, in `folder`, holds two generations."""
    put(folder, OLDER, 0, None, fake.NOW - 90000, "no generation exists")
    put(folder, OLDER, 0, 0, fake.NOW - 89000)
    put(folder, fake.GENERATION, 0, None, fake.NOW - 7200, "wal overwritten by another process")
    for number in range(3):
        put(folder, fake.GENERATION, number, 0, fake.NOW - 7000 + 1000 * number)
    return config_at(folder)


def config_at(*folders: Path) -> Config:
    replicas = tuple(
        ReplicaConfig("s3" if number == 0 else f"s3-{number}", FileLocation(folder))
        for number, folder in enumerate(folders)
    )
    return Config(None, (DatabaseConfig(Path(PATH), Path("/srv/.app.db-litestream"), replicas),))


def shown_at(size: tuple[int, int], name: str, folder: Path) -> None:
    verified = Verification("s3", "ok", "equal", Position(fake.GENERATION, 3, 32), 1.9, fake.NOW - 7200)
    control = fake.FakeControl(fake.database(replicas=(fake.replica(verified=verified),)))

    async def steps(pilot: Drive) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "2 generations", "no generation exists", "wal overwritten")
        picture.same_as(app_of(pilot), name)

    drive(steps, control, size, config=two_generations(folder))


def test_at_80_by_24(tmp_path: Path) -> None:
    shown_at((80, 24), "detail-80x24", tmp_path)


def test_at_140_by_40(tmp_path: Path) -> None:
    shown_at(LARGE, "detail-140x40", tmp_path)


def with_detail(steps: Callable[[Drive], Awaitable[None]], control: fake.FakeControl, config: Config) -> None:
    async def all_steps(pilot: Drive) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "WAL")
        await steps(pilot)

    drive(all_steps, control, config=config)


def test_errors_are_shown_with_their_count_and_the_next_try(tmp_path: Path) -> None:
    control = fake.FakeControl(fake.failing(PATH, "SlowDown: [b]please[/] wait \x1b[31m[/x]"))

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "3 errors in a row, next try in 4.0s: SlowDown: [b]please[/] wait", "[31m[/x]")
        assert "\x1b" not in picture.picture(pilot.app)

    with_detail(steps, control, config_at(tmp_path))


def test_a_verification_that_failed_and_a_blocked_checkpoint_say_why(tmp_path: Path) -> None:
    verified = Verification("s3", "failed", "what was restored differs", None, 1.9, fake.NOW - 60)
    control = fake.FakeControl(fake.database(checkpoint_blocked=3, replicas=(fake.replica(verified=verified),)))

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "verified failed 1m ago", "what was restored differs", "blocked 3 times in a row")

    with_detail(steps, control, config_at(tmp_path))


def test_a_replica_that_cannot_be_read_says_so_and_keeps_what_was_read(tmp_path: Path) -> None:
    replica = tmp_path / "replica"
    config = two_generations(replica)
    control = fake.FakeControl(fake.database())

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "2 generations")
        replica.rename(tmp_path / "away")
        replica.write_text("in its way")
        await pilot.press("g")
        await picture.shows(pilot, "cannot be read", "no generation exists")
        replica.unlink()
        (tmp_path / "away").rename(replica)
        await pilot.press("g")
        await picture.until(pilot, lambda: "cannot be read" not in picture.picture(pilot.app))

    with_detail(steps, control, config)


def test_the_cursor_shows_a_generation_in_full(tmp_path: Path) -> None:
    control = fake.FakeControl(fake.database())

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, f"{fake.GENERATION}  wal overwritten")
        for down, up in (("j", "k"), ("down", "up"), ("end", "home"), ("pagedown", "pageup")):
            await pilot.press(down)
            await picture.shows(pilot, f"{OLDER}  no generation exists")
            await pilot.press(up)
            await picture.shows(pilot, f"{fake.GENERATION}  wal overwritten")

    with_detail(steps, control, two_generations(tmp_path))


def test_tab_goes_to_the_next_replica(tmp_path: Path) -> None:
    two_generations(tmp_path / "one")
    put(tmp_path / "two", OLDER, 0, None, fake.NOW - 90000, "no generation exists")
    control = fake.FakeControl(fake.database(replicas=(fake.replica("s3"), fake.replica("s3-1"))))

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "2 generations in s3")
        await pilot.press("tab")
        await picture.shows(pilot, "1 generation in s3-1")
        await pilot.press("tab")
        await picture.shows(pilot, "2 generations in s3")

    with_detail(steps, control, config_at(tmp_path / "one", tmp_path / "two"))


def test_the_keys_of_a_database(tmp_path: Path) -> None:
    control = fake.FakeControl(fake.database())

    async def steps(pilot: Drive) -> None:
        for key, command in (("s", "snapshot"), ("v", "verify"), ("y", "sync_now"), ("P", "pause")):
            await pilot.press(key)
            await picture.until(pilot, lambda command=command: (command, PATH) in control.commands)  # type: ignore[misc]
        await pilot.press("escape")
        await picture.shows(pilot, "DATABASE")

    with_detail(steps, control, config_at(tmp_path))


def test_a_low_terminal_keeps_the_generations(tmp_path: Path) -> None:
    config = two_generations(tmp_path)

    async def steps(pilot: Drive) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "2 generations", "no generation exists")
        assert max(map(len, picture.rows(app_of(pilot)))) <= 60

    drive(steps, fake.FakeControl(fake.database()), (60, 14), config=config)


def test_a_listing_is_old_after_a_minute_or_many_times_its_own_time() -> None:
    quick, slow = Listing("s3", "", (), 1000.0, 0.1), Listing("s3", "", (), 1000.0, 10.0)
    assert not quick.is_old(1059.0)
    assert quick.is_old(1060.0)
    assert not slow.is_old(1199.0)
    assert slow.is_old(1200.0)


def test_a_missing_segment_is_marked_and_named(tmp_path: Path) -> None:
    config = two_generations(tmp_path)
    [lost] = tmp_path.rglob("00000001_00000000.wal.lz4")
    lost.unlink()

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "× missing: generations/", "00000001_00000000.wal.lz4")
        assert any("×" in line and "S" in line for line in picture.rows(app_of(pilot)))

    with_detail(steps, fake.FakeControl(fake.database()), config)


@given(st.lists(st.booleans(), max_size=30))
def test_the_ends_of_runs_draw_the_same_timeline(joined: list[bool]) -> None:
    start = datetime.fromtimestamp(fake.NOW, UTC)
    stops = tuple(
        Stop(start + timedelta(seconds=number), "", None, (), Position(OLDER, 0, 0), False, flag)
        for number, flag in enumerate(joined)
    )
    whole = PointMap(OLDER, stops, (), (), (), "", "")
    less = ends_of_runs(whole)
    assert runs(less) == runs(whole)
    assert len(less.stops) <= 2 * len(runs(whole))


def test_a_slow_line_gets_nothing_while_nothing_changes(tmp_path: Path) -> None:
    control = fake.FakeControl(fake.database())

    async def steps(pilot: Drive) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "2 generations in s3")
        before = picture.picture(app_of(pilot))
        control.change(PATH, last_sync=fake.NOW + 9)
        app_of(pilot).poll()
        await pilot.pause()
        assert picture.picture(app_of(pilot)) == before

    drive(steps, control, options=Options(clock=fake.clock, slow=True), config=two_generations(tmp_path))
