"""The dashboard: what it shows at each size, what its keys do, and that hostile names are only names."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from replication.errors import PausedError, StorageError
from replication.status import Verification
from tests.engine.running import config_of, in_step, running
from tests.engine.running import until as wait_until
from tests.foreign import Shell
from tests.tui import fake, picture
from tests.tui.driving import LARGE, NORMAL, STILL, Drive, app_of, drive
from tui.dashboard.screen import DashboardScreen
from tui.engine_commands import new_output


def control() -> fake.FakeControl:
    """Four databases and two events."""
    made = fake.FakeControl(*fake.four())
    made.event("info", "snapshot written", "/srv/app.db", size="8.3 MB")
    made.event("warning", "put failed", "/srv/long/way/down/analytics.db", error="SlowDown", next_try_in="4.0s")
    return made


def cursor_row(pilot: Drive) -> str:
    """The row that the cursor is on."""
    [row] = [row for row in picture.rows(pilot.app) if row.startswith(">")]
    return row


async def without_toasts(pilot: Drive) -> None:
    """Put away what the opening told."""
    pilot.app.clear_notifications()
    await pilot.pause()


@pytest.mark.parametrize("size", [NORMAL, LARGE, (110, 30), (70, 16), (40, 10)])
def test_pictures(size: tuple[int, int]) -> None:
    async def steps(pilot: Drive) -> None:
        await without_toasts(pilot)
        picture.same_as(app_of(pilot), f"dashboard-{size[0]}x{size[1]}")

    drive(steps, control(), size)


def test_ascii_has_no_other_letters() -> None:
    async def steps(pilot: Drive) -> None:
        await without_toasts(pilot)
        assert picture.picture(app_of(pilot)).replace("…", "").isascii()

    drive(steps, control(), options=replace(STILL, ascii=True))


def test_errors_come_first_and_the_cursor_stays_with_its_database() -> None:
    engine = fake.FakeControl(fake.database("/a.db"), fake.database("/b.db"), fake.database("/c.db"))

    async def steps(pilot: Drive) -> None:
        await pilot.press("j")
        assert "/b.db" in cursor_row(pilot)
        engine.databases = (*engine.databases[:2], fake.failing("/c.db"))
        app_of(pilot).poll()
        await pilot.pause()
        rows = picture.rows(pilot.app)
        assert "/c.db" in rows[2]
        assert "/b.db" in cursor_row(pilot)
        await pilot.press("end")
        assert "/b.db" in cursor_row(pilot)
        await pilot.press("home")
        assert "/c.db" in cursor_row(pilot)

    drive(steps, engine)


@pytest.mark.parametrize("name", ["/srv/[prod]/a.db", "/srv/[/x].db", "/[i]it's[/i].db", "/数据/水果.db"])
def test_names_that_look_like_markup_are_shown_as_they_are(name: str) -> None:
    engine = fake.FakeControl(fake.failing(name, f"cannot read [{name}] [/]"))
    engine.event("error", "sync failed [/bold]", name, error="[/] [link=x]")

    async def steps(pilot: Drive) -> None:
        assert name in cursor_row(pilot)
        await picture.shows(pilot, "sync failed [/bold]", "[/] [link=x]")

    drive(steps, engine)


def test_escapes_in_names_do_not_reach_the_terminal() -> None:
    engine = fake.FakeControl(fake.failing("/srv/\x1b[2Jevil\n.db", "bad \x1b]0;title\x07 end"))

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "evil", "bad ")
        assert not {"\x1b", "\x07"} & set(picture.picture(app_of(pilot)))

    drive(steps, engine)


def test_filter_by_letters_and_by_state() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("slash", *"JOBS")
        await pilot.pause()
        screen = picture.picture(app_of(pilot))
        assert "/srv/jobs.db" in screen
        assert "/srv/auth.db" not in screen
        await pilot.press("enter")
        await pilot.press("s")
        await picture.until(pilot, lambda: engine.commands == [("snapshot", "/srv/jobs.db")])
        await pilot.press("slash", *["backspace"] * 4, *"behind")
        await pilot.pause()
        assert "analytics" in cursor_row(pilot)
        await pilot.press(*"zz")
        await picture.shows(pilot, "nothing holds 'behindzz'")
        await pilot.press("escape")
        await picture.shows(pilot, "/srv/auth.db")

    engine = control()
    drive(steps, engine)


@pytest.mark.parametrize(
    ("key", "command", "words"),
    [
        ("s", "snapshot", "snapshot 00000003 written"),
        ("v", "verify", "ok, equal"),
        ("y", "sync_now", "looking and uploading now"),
        ("P", "pause", "nothing is copied"),
    ],
)
def test_a_command_runs_beside_the_screen_and_answers_once(key: str, command: str, words: str) -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db"))
    engine.hold.clear()

    async def steps(pilot: Drive) -> None:
        await pilot.press(key)
        await picture.until(pilot, lambda: engine.commands == [(command, "/srv/app.db")])
        await pilot.press(key)
        await picture.shows(pilot, "under way already")
        assert len(engine.commands) == 1
        engine.hold.set()
        await picture.shows(pilot, words)

    drive(steps, engine)


def test_pause_and_resume_with_one_key() -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db"))

    async def steps(pilot: Drive) -> None:
        await pilot.press("P")
        await picture.shows(pilot, "◌ paused")
        await pilot.press("P")
        await picture.shows(pilot, "● ok")
        assert [name for name, _ in engine.commands] == ["pause", "resume"]

    drive(steps, engine)


def test_promise_2_the_same_key_takes_back_a_pause_that_has_not_come_true() -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db", state="pausing"))

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "◌ pausing")
        await pilot.press("P")
        await picture.shows(pilot, "● ok", "replication goes on")
        assert engine.commands == [("resume", "/srv/app.db")]
        engine.fails["pause"] = PausedError("app.db was not paused: it was asked to go on")
        await pilot.press("P")
        await picture.shows(pilot, "was not paused")

    drive(steps, engine)


def test_what_a_restore_keeps_paused_stays_so() -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db", state="paused"))
    engine.holders = ["a restore 3f2a"]

    async def steps(pilot: Drive) -> None:
        await pilot.press("P")
        await picture.shows(pilot, "stays paused for a restore 3f2a", "◌ paused")

    drive(steps, engine)


def test_one_key_restores_the_latest_commit_to_a_new_file_beside_the_database(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    config = config_of(path, tmp_path / "replica")
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES('here');")
    with running(config) as engine:
        wait_until(lambda: in_step(engine))
    control = fake.FakeControl(fake.database(str(path)))

    async def steps(pilot: Drive) -> None:
        await pilot.press("R")
        await picture.shows(pilot, "ok, in", "quick: ok")
        await pilot.press("enter")
        await picture.shows(pilot, "LAG")

    drive(steps, control, config=config)
    assert Shell(tmp_path / "app.db.restore-20261020T120431Z").rows("SELECT x FROM t") == [["here"]]


def test_a_path_that_is_taken_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "app.db.restore-20261020T120431Z").symlink_to("nowhere")
    assert new_output(str(tmp_path / "app.db"), fake.NOW).name == "app.db.restore-20261020T120431Z-2"


def test_a_command_that_fails_says_why() -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db"))
    engine.fails["snapshot"] = StorageError("the bucket has gone [/b]")
    engine.fails["verify"] = RuntimeError("nobody thought of this")

    async def steps(pilot: Drive) -> None:
        await pilot.press("s")
        await picture.shows(pilot, "snapshot failed: the bucket has gone [/b]")
        await pilot.press("v")
        await picture.shows(pilot, "RuntimeError")
        [*_, toast] = pilot.app._notifications
        assert "verify failed: RuntimeError: nobody thought of this; this is a bug" in toast.message
        assert "Traceback" not in picture.picture(app_of(pilot))

    drive(steps, engine)


def test_one_toast_for_a_change_of_state_and_none_for_a_retry() -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db"))

    async def steps(pilot: Drive) -> None:
        for tries in (1, 2, 3):
            bad = fake.failing("/srv/app.db", "no answer")
            engine.databases = (replace(bad, replicas=(replace(bad.replicas[0], errors_in_a_row=tries),)),)
            app_of(pilot).poll()
        await pilot.pause()
        assert [item.message for item in pilot.app._notifications] == ["app.db: error, no answer"]
        engine.databases = (fake.database("/srv/app.db"),)
        app_of(pilot).poll()
        await picture.shows(pilot, "app.db: sync recovered")

    drive(steps, engine)


def test_replicating_and_restorable_are_two_facts() -> None:
    bad = Verification("s3", "failed", "page 7 differs", None, 1.0, fake.NOW - 60)
    engine = fake.FakeControl(fake.database("/srv/app.db", replicas=(fake.replica(verified=bad),)))

    async def steps(pilot: Drive) -> None:
        row = cursor_row(pilot)
        assert "● ok" in row
        assert "✗ failed" in row
        await picture.shows(pilot, "FAILED: page 7 differs")

    drive(steps, engine)


def test_a_database_nobody_looked_at_for_long_is_not_shown_as_ok() -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db", last_sync=fake.NOW - 90))

    async def steps(pilot: Drive) -> None:
        assert "1m old" in cursor_row(pilot)
        assert "ok " not in cursor_row(pilot)

    drive(steps, engine)


def test_frozen_means_frozen() -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db"))

    async def steps(pilot: Drive) -> None:
        await pilot.press("f")
        await picture.shows(pilot, "FROZEN")
        engine.databases = (fake.failing("/srv/app.db"),)
        app_of(pilot).poll()
        await pilot.pause()
        assert "● ok" in cursor_row(pilot)
        await pilot.press("f")
        await picture.shows(pilot, "✖ error")

    drive(steps, engine)


def test_tab_shows_the_other_panels() -> None:
    async def steps(pilot: Drive) -> None:
        await without_toasts(pilot)
        await pilot.press("tab")
        await picture.shows(pilot, "upload queue", "1.2 MB  waiting")
        await pilot.press("tab")
        await picture.shows(pilot, "─ events")

    drive(steps, control())


def test_on_a_small_terminal_tab_goes_from_the_list_to_the_other_panels() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("tab")
        await picture.shows(pilot, "generation 7ecd33100da8c41f")
        await pilot.press("tab")
        await picture.shows(pilot, "─ events")
        await pilot.press("tab")
        await picture.shows(pilot, "upload queue")
        await pilot.press("tab")
        await picture.shows(pilot, ">")

    drive(steps, control(), size=(60, 16))


def test_the_way_out_stays_in_the_footer_of_a_narrow_terminal() -> None:
    async def steps(pilot: Drive) -> None:
        await without_toasts(pilot)
        assert picture.rows(pilot.app)[-1] == " s Snapshot  r Restore  ⏎ Detail  ? Help  q Quit"

    drive(steps, control(), size=(50, 14))


def test_resizing_all_the_way_down_and_up() -> None:
    async def steps(pilot: Drive) -> None:
        for size in ((200, 60), (100, 24), (79, 24), (49, 12), (40, 10), (10, 3), (1, 1), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await picture.until(pilot, lambda: pilot.app.size == (80, 24))
        await without_toasts(pilot)
        picture.same_as(app_of(pilot), "dashboard-80x24")

    drive(steps, control())


def test_a_thousand_databases_cost_what_is_in_sight() -> None:
    """Scrolling and filtering answer within a few milliseconds while 50 of them change at each poll."""
    databases = tuple(fake.database(f"/srv/{number:04}.db") for number in range(1000))
    engine = fake.FakeControl(*databases)

    async def steps(pilot: Drive) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, DashboardScreen)
        took = []
        for number in range(40):
            engine.databases = tuple(
                replace(item, wal_bytes=number) if place % 20 == 0 else item for place, item in enumerate(databases)
            )
            app_of(pilot).poll()
            # Its own time on a processor, for the machine may be busy with other tests.
            began = time.process_time()
            screen.action_down()
            await pilot.pause()
            took.append(time.process_time() - began)
        assert "/srv/0040.db" in cursor_row(pilot)
        assert sorted(took)[len(took) // 2] < 0.05
        await pilot.press("slash", *"0999")
        await pilot.pause()
        assert "/srv/0999.db" in cursor_row(pilot)

    drive(steps, engine)
