"""The screen of events."""

from pathlib import Path

import pytest

from replication.errors import LocalFileError
from tests.tui import fake, picture
from tests.tui.driving import LARGE, Drive, app_of, drive
from tui.log.screen import chosen, write_new


def control() -> fake.FakeControl:
    """A hundred events, every tenth a warning, the last an error."""
    made = fake.FakeControl(fake.database())
    made.event("debug", "segment written", "/srv/app.db", size="4152")
    for number in range(1, 99):
        made.time = fake.NOW - 100 + number
        made.event("info" if number % 10 else "warning", f"thing {number}", "/srv/app.db")
    made.time = fake.NOW
    made.event("error", "sync failed", "/srv/[b]/jobs.db", error="SlowDown [/x] " + "word " * 30, tries="3")
    return made


def test_at_80_by_24() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("L")
        # The list has its place, and not only the words of its last row.
        await picture.shows(pilot, "info and above", "99 of 100", "ERROR jobs.db", "sync failed")
        picture.same_as(app_of(pilot), "log-80x24")

    drive(steps, control())


def test_at_140_by_40() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("L")
        await picture.shows(pilot, "info and above", "99 of 100", "sync failed")
        picture.same_as(app_of(pilot), "log-140x40")

    drive(steps, control(), LARGE)


def test_level() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("L")
        for words in ("warning and above   following   10 of", "error and above   following   1 of", "100 of 100"):
            await pilot.press("v")
            await picture.shows(pilot, words)

    drive(steps, control())


def test_filter_by_letters() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("L", "/", *"ing 42")
        await picture.shows(pilot, "1 of 100", "thing 42")
        await pilot.press("enter")
        await picture.shows(pilot, "with 'ing 42'")
        await pilot.press("escape")
        await picture.shows(pilot, "99 of 100")
        await pilot.press("escape")
        await picture.shows(pilot, "DATABASE")

    drive(steps, control())


def test_follow_and_hold() -> None:
    engine = control()

    async def steps(pilot: Drive) -> None:
        await pilot.press("L")
        await picture.shows(pilot, "sync failed")
        await pilot.press("up")
        await picture.shows(pilot, "held", "thing 98")
        for number in range(30):
            engine.event("info", f"later {number}", "/srv/app.db")
        app_of(pilot).poll()
        await picture.shows(pilot, "129 of 130")
        assert "later 29" not in picture.picture(app_of(pilot))
        await pilot.press("space")
        await picture.shows(pilot, "following", "later 29")
        await pilot.press("home")
        await picture.shows(pilot, "held", "thing 1")

    drive(steps, engine)


def test_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "litestream-tui-20261020T120431Z.log"

    async def steps(pilot: Drive) -> None:
        await pilot.press("L", "v", "w")
        await picture.shows(pilot, "litestream-tui-20261020T120431Z.log")
        await pilot.press("enter")
        await picture.shows(pilot, "10 lines written")
        await pilot.press("w", "enter")
        await picture.shows(pilot, "cannot be written")

    drive(steps, control())
    lines = path.read_text().splitlines()
    assert len(lines) == 10
    assert lines[0].split() == ["2026-10-20T12:03:01.000Z", "WARNING", "/srv/app.db", "s3:", "thing", "10"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("mine")
    with pytest.raises(LocalFileError, match="another path"):
        write_new(path, "text")
    assert path.read_text() == "mine"


def test_an_unknown_level_is_shown() -> None:
    engine = fake.FakeControl()
    engine.event("notice", "x")
    assert chosen(engine.events, "error", "") == engine.events
