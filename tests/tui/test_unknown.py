"""No 0 stands for what nobody knows, and what matters is on the screen at every size."""

from pathlib import Path

import pytest

from replication.status import DatabaseStatus
from tests.foreign import Shell
from tests.tui import fake, picture
from tests.tui.driving import NORMAL, Drive, app_of, drive
from tests.tui.window import Window
from tui.dashboard.columns import columns_for, header
from tui.session.toasts import TOAST_SECONDS, TOASTS_MAX, Told, told
from tui.text.causes import cause
from tui.text.standing import all_queued, worst_lag

ESCAPE = "\x1b"


def never(path: str = "/srv/new.db", error: str = "access denied to the bucket", code: int = 7) -> DatabaseStatus:
    """One whose replica never received anything."""
    bad = fake.replica(
        state="error",
        position=None,
        pending_bytes=1,
        last_upload=0.0,
        errors_in_a_row=3,
        last_error=error,
        error_code=code,
        next_try=fake.NOW + 4,
    )
    return fake.database(path, replicas=(bad,))


def row(pilot: Drive, *words: str) -> str:
    return next((row for row in picture.rows(pilot.app) if all(word in row for word in words)), "")


def test_what_was_never_replicated_has_no_lag_and_no_queue() -> None:
    forty = [fake.database(f"/srv/{number:02}.db") for number in range(37)]
    failing = [never(f"/srv/bad{number}.db") for number in range(3)]

    async def steps(pilot: Drive) -> None:
        # At first the list has no more than a part of the width.
        await picture.shows(pilot, "access denied", "QUEUE")
        # The cause is in the row, and the cursor on the worst.
        assert row(pilot, ">✖ error", "bad0.db").split()[-5:] == ["access", "denied", "-", "-", "-"]
        summary = picture.rows(pilot.app)[0]
        assert "lag unknown" in summary
        assert "0 B" not in summary
        assert row(pilot, "STATE").split()[:4] == ["STATE", "DATABASE", "1-13/40", "POSITION"]
        assert "behind -" in picture.picture(pilot.app)
        await pilot.press("enter")
        await picture.shows(pilot, "behind -", "lag -", "queued -")

    drive(steps, fake.FakeControl(*forty, *failing))
    assert worst_lag([*forty, *failing]) == all_queued([*forty, *failing]) == "unknown"
    behind = fake.database(replicas=(fake.replica(state="behind", lag_seconds=14.0, pending_bytes=2000),))
    assert (worst_lag([behind, *failing]), all_queued([behind, *failing])) == (">14s", ">2.0 KB")


@pytest.mark.parametrize(
    ("code", "words", "short"),
    [
        (7, "SignatureDoesNotMatch", "access denied"),
        (8, "there is no bucket b", "no such bucket"),
        (14, "/backup: No space left on device", "no space"),
        (6, "the store does not answer", "no answer"),
        (6, "500 Internal Server Error", "store unreachable"),
        (1, "what nobody foresaw", "what nobody foresaw"),
    ],
)
def test_causes_are_short(code: int, words: str, short: str) -> None:
    assert cause(never(error=words, code=code)) == short


def test_more_columns_never_show_less() -> None:
    """The list and its panels at every width, from the layout itself."""

    async def steps(pilot: Drive) -> None:
        before: set[str] = set()
        for width in range(80, 150, 4):
            await pilot.resize_terminal(width, 24)
            await picture.until(pilot, lambda width=width: pilot.app.size.width == width)  # type: ignore[misc]
            await pilot.pause()
            titles = set(row(pilot, "STATE").partition("─")[0].split())
            assert before <= titles, (width, before - titles)
            before = titles

    drive(steps, fake.FakeControl(*fake.four()))
    for width in range(40, 200):
        assert set(columns_for(width)) <= set(columns_for(width + 1)), width


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_titles_keep_apart(width: int) -> None:
    for seen, count in (("1-17", 40), ("983-999", 1000), ("", 0)):
        titles = header(width, seen, count).plain
        assert all(f" {column.title}" in titles for column in columns_for(width)), titles


@pytest.mark.parametrize("size", [NORMAL, (60, 15), (50, 12)])
def test_frozen_is_always_seen(size: tuple[int, int]) -> None:
    states = [
        fake.failing("/srv/bad.db"),
        *fake.four(),
        fake.database("/srv/p.db", state="paused"),
        fake.database("/srv/q.db", state="pausing"),
        fake.database("/srv/s.db", state="starting"),
        fake.database("/srv/busy.db", state="busy"),
    ]

    async def steps(pilot: Drive) -> None:
        await pilot.press("f")
        await picture.until(pilot, lambda: picture.rows(pilot.app)[0].endswith("FROZEN"))

    drive(steps, fake.FakeControl(*states), size)


def test_the_error_is_on_a_low_terminal_too() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "s3: access denied to the bucket")

    drive(steps, fake.FakeControl(never()), (60, 15))


def test_starting_keeps_away_from_the_name() -> None:
    starting = fake.replica("s3", state="starting", position=None, uploading="snapshot", uploading_total_bytes=100)

    async def steps(pilot: Drive) -> None:
        await pilot.press("enter")
        await picture.shows(pilot, "? starting s3")
        await pilot.press("escape", "u")
        await picture.shows(pilot, "? starting /srv")

    drive(steps, fake.FakeControl(fake.database(replicas=(starting,))))


def test_equal_toasts_are_one_and_few_stand_at_a_time() -> None:
    standing: tuple[Told, ...] = ()
    for _ in range(12):
        standing, changed = told(standing, "That is as far as it goes", "information", 0.0)
    assert [item.shown for item in standing] == ["That is as far as it goes (×12)"]
    assert changed
    for number in range(9):
        standing, _ = told(standing, f"news {number}", "warning", 1.0)
    assert [item.words for item in standing] == [f"news {number}" for number in range(9 - TOASTS_MAX, 9)]
    assert told(standing, "late", "error", 2.0 + TOAST_SECONDS)[0][0].words == "late"


def test_a_filter_hides_the_chosen_database_and_gives_it_back() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("j", "j")
        await picture.until(pilot, lambda: bool(row(pilot, ">", "jobs.db")))
        await pilot.press("slash", *"auth")
        await picture.until(pilot, lambda: bool(row(pilot, ">", "auth.db")))
        await pilot.press("escape")
        await picture.until(pilot, lambda: bool(row(pilot, ">", "jobs.db")))

    drive(steps, fake.FakeControl(*fake.four()))


def test_the_cursor_is_on_the_worst_until_somebody_chooses() -> None:
    engine = fake.FakeControl(fake.database("/a.db"), fake.database("/b.db"))

    async def steps(pilot: Drive) -> None:
        assert row(pilot, ">", "/a.db")
        engine.databases = (engine.databases[0], fake.failing("/b.db"))
        app_of(pilot).poll()
        await picture.until(pilot, lambda: bool(row(pilot, ">", "/b.db")))
        await pilot.press("s")
        engine.databases = (fake.failing("/a.db"), fake.failing("/b.db"))
        app_of(pilot).poll()
        await pilot.pause()
        assert row(pilot, ">", "/b.db")
        await picture.until(pilot, lambda: engine.commands == [("snapshot", "/b.db")])

    drive(steps, engine)


def test_paused_it_says_for_how_long_and_grows(tmp_path: Path) -> None:
    """With the real program: nothing is missing until somebody commits, and a snapshot is refused in plain words."""
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n- path: {shell.path}\n  replicas:\n  - path: {tmp_path}/replica\n"
    )
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        window.press("P")
        window.shows("◌ paused", "app.db", " 0s ")
        window.shows("paused since", "nothing was committed since")
        window.press("s")
        window.shows("is paused by P")
        shell.run("CREATE TABLE big(x); INSERT INTO big VALUES(randomblob(100000))")
        window.shows("paused since", "there may be commits that are in no replica")
        # The shell has folded its WAL in, and how much it was nobody can tell.
        window.shows("behind - (")
        assert " 0s " not in window.row("◌ paused")
        window.press("P")
        window.shows("● ok", "app.db", " 0s ")
        window.press("qn")
        assert window.end() == 0
    # After a restart the last upload is that of the store, though nothing was uploaded since.
    with Window("-config", config, home=tmp_path, size=(120, 30)) as window:
        window.shows("● ok", "app.db")
        window.press("\r")
        window.shows("uploaded ", " ago", "snapshot ")
        window.press(ESCAPE)
        window.shows("─ events ─")
        window.press("qn")
        assert window.end() == 0
