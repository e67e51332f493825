"""The table of actions: keys, footer, help and palette say the same, and every key does what the table says."""

import inspect
import pkgutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import tui
from replication.errors import ConfigError
from replication.status import DatabaseState
from tests.tui import fake, picture
from tests.tui.driving import STILL, Drive, app_of, drive
from tui.actions import ACTIONS, EVERYWHERE, FOOTER_KEYS_MAX, actions_of, footer_of, shown_key
from tui.app import LitestreamApp
from tui.keys.keyfile import key_path, parse_keys, read_keys
from tui.text.states import STATES
from tui.widgets.screen import ShellScreen

PLACES = sorted({place for action in ACTIONS for place in action.where} - {EVERYWHERE})


def screens() -> dict[str, type[ShellScreen]]:
    """Every screen there is, by its place."""
    found: dict[str, type[ShellScreen]] = {}
    for info in pkgutil.walk_packages(tui.__path__, "tui."):
        if info.name.startswith(("tui.demo", "tui.verbs")):
            continue
        for item in vars(import_module(info.name)).values():
            if inspect.isclass(item) and issubclass(item, ShellScreen) and item.PLACE:
                found[item.PLACE] = item
    return found


def test_ids_are_unique() -> None:
    ids = [action.id for action in ACTIONS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("place", PLACES)
def test_no_key_means_two_things_on_one_screen(place: str) -> None:
    keys = [key for action in actions_of(place) for key in action.keys]
    assert len(keys) == len(set(keys)), sorted(keys)


@pytest.mark.parametrize("place", PLACES)
def test_no_key_that_terminals_eat(place: str) -> None:
    for action in actions_of(place):
        for key in action.keys:
            assert not key.startswith(("alt+", "ctrl+enter", "ctrl+shift")), key


@pytest.mark.parametrize("place", sorted(screens()))
def test_every_action_is_done_by_its_screen_or_the_application(place: str) -> None:
    screen = screens()[place]
    for action in actions_of(place):
        assert hasattr(screen, f"action_{action.id}") or hasattr(LitestreamApp, f"action_{action.id}"), action.id


def test_every_place_of_the_table_is_a_screen() -> None:
    assert set(PLACES) <= set(screens())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("read_only", [False, True])
def test_the_footer_fits_80_columns_and_ends_with_the_way_out(place: str, read_only: bool) -> None:
    actions = footer_of(place, read_only)
    assert len(actions) <= FOOTER_KEYS_MAX
    assert actions[-1].id in ("quit", "back")
    width = sum(len(shown_key(action.keys[0])) + 1 + len(action.words) + 2 for action in actions)
    assert 1 + width <= 80


def test_read_only_takes_away_what_changes_something() -> None:
    left = {action.id for action in actions_of("dashboard", read_only=True)}
    assert not left & {"snapshot", "restore_latest", "pause"}
    assert {"restore", "detail"} <= left
    assert not {"verify", "sync", "snapshot", "pause"} & left


@pytest.mark.parametrize("key", ["s", "R", "P"])
def test_read_only_keys_do_nothing(key: str) -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db"))

    async def steps(pilot: Drive) -> None:
        await pilot.press(key)
        await pilot.pause()
        assert engine.commands == []
        assert app_of(pilot).jobs == 0

    drive(steps, engine, options=replace(STILL, read_only=True))


def test_help_has_every_action_and_every_mark() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("question_mark")
        await picture.shows(pilot, "keys: dashboard")
        seen = picture.picture(app_of(pilot))
        await pilot.press("end")
        await pilot.pause()
        seen += picture.picture(app_of(pilot))
        for action in actions_of("dashboard"):
            assert action.help[:50] in seen, action.id
        for state in STATES:
            assert f"{state.mark} {state.word}" in seen, state.word

    drive(steps, fake.FakeControl(fake.database()))


def test_help_goes_back_to_where_it_came_from() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("question_mark")
        await picture.shows(pilot, "keys: dashboard", "↓ more", "esc Back")
        for key in ("down", "j", "pagedown", "end"):
            await pilot.press(key)
        await picture.shows(pilot, "times are UTC")
        for key in ("up", "k", "pageup", "home"):
            await pilot.press(key)
        await picture.shows(pilot, "keys: dashboard")
        await pilot.press("escape")
        await picture.shows(pilot, "/srv/app.db")

    drive(steps, fake.FakeControl(fake.database()))


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
def test_the_palette_finds_and_runs_an_action(key: str) -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db"))

    async def steps(pilot: Drive) -> None:
        await pilot.press(key)
        await picture.shows(pilot, "type a few letters", ">Snapshot")
        await pilot.press(*"xyzzy")
        await picture.shows(pilot, "nothing is called so")
        await pilot.press(*["backspace"] * 5, *"compare", "enter")
        await picture.until(pilot, lambda: engine.commands == [("verify", "/srv/app.db")])
        await pilot.press(key, "down", "down", "up", "escape")
        await picture.shows(pilot, "/srv/app.db")

    drive(steps, engine)


def test_the_palette_goes_to_a_database_also_if_a_filter_hides_it() -> None:
    paths = [f"/srv/{name}.db" for name in ("app", "jobs", "[b]x[/b]")]

    async def steps(pilot: Drive) -> None:
        for path, letters in ((paths[1], "jobs."), (paths[2], "[b]"), (paths[0], "app.")):
            await pilot.press("colon", *letters)
            await picture.shows(pilot, f"Go to              {path}")
            await pilot.press("enter")
            await picture.shows(pilot, f">● ok       {path}")
        await pilot.press("slash", *"jobs", "enter")
        await picture.shows(pilot, ">● ok       /srv/jobs.db")
        await pilot.press("colon", *"app.", "enter")
        await picture.shows(pilot, ">● ok       /srv/app.db")

    drive(steps, fake.FakeControl(*map(fake.database, paths)))


def test_the_palette_runs_what_the_application_does() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("colon", *"freeze", "enter")
        await picture.shows(pilot, "FROZEN")

    drive(steps, fake.FakeControl(fake.database()))


def test_quit_asks_only_while_something_waits() -> None:
    engine = fake.FakeControl(fake.failing("/srv/app.db"))

    async def steps(pilot: Drive) -> None:
        await pilot.press("q")
        await picture.shows(pilot, "1.2 MB not uploaded", "w Wait and quit", "n Quit now", "esc Back")
        await pilot.press("q")
        await pilot.press("escape")
        await picture.shows(pilot, "LAG")
        assert pilot.app.is_running
        await pilot.press("q", "w")
        await picture.shows(pilot, "waiting, then the program ends")
        engine.databases = (fake.database("/srv/app.db"),)
        app_of(pilot).poll()
        await pilot.pause()

    app = drive(steps, engine)
    assert app.return_value == 0
    assert not app.hurried


def test_quit_now_does_not_wait() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("q", "n")

    app = drive(steps, fake.FakeControl(fake.failing("/srv/app.db")))
    assert app.return_value == 0
    assert app.hurried


def test_quit_does_not_ask_for_what_a_healthy_replica_is_about_to_get() -> None:
    soon = fake.replica(state="syncing", pending_bytes=8192, lag_seconds=0.4)

    async def steps(pilot: Drive) -> None:
        await pilot.press("q")

    assert drive(steps, fake.FakeControl(fake.database(replicas=(soon,)))).return_value == 0


@pytest.mark.parametrize("state", ["pausing", "paused"])
def test_promise_2_quit_asks_while_a_database_is_paused(state: DatabaseState) -> None:
    """What is committed to it goes nowhere, and nothing waits that would tell of it."""
    engine = fake.FakeControl(fake.database("/srv/app.db", state=state, position=None), fake.database("/srv/b.db"))

    async def steps(pilot: Drive) -> None:
        await pilot.press("q")
        await picture.shows(pilot, "Paused: app.db", "is in no replica", "n Quit now", "esc Back")
        await pilot.press("escape")
        await picture.shows(pilot, "LAG")
        await pilot.press("home", "P")
        await picture.until(pilot, lambda: [name for name, _ in engine.commands] == ["resume"])
        await pilot.press("q")

    assert drive(steps, engine).return_value == 0


def test_quit_asks_for_a_replica_that_does_not_say_where_it_stands() -> None:
    silent = fake.replica(state="starting", position=None, pending_bytes=8192, lag_seconds=40.0)

    async def steps(pilot: Drive) -> None:
        await pilot.press("q")
        await picture.shows(pilot, "8.2 KB not uploaded")
        await pilot.press("n")

    assert drive(steps, fake.FakeControl(fake.database(replicas=(silent,)))).return_value == 0


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    path = key_path({"XDG_CONFIG_HOME": str(tmp_path)})
    assert read_keys(path) == {}
    path.parent.mkdir()
    path.write_text("# mine\n\nsnapshot = S, f5\npalette = ctrl+p\nfilter=,\n")
    assert read_keys(path) == {"snapshot": ("S", "f5"), "palette": ("ctrl+p",), "filter": (",",)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("snapshot", "line 1 is not of the form"),
        ("\nsnapshot = \n", "line 2: '' is not a key"),
        ("snapshott = s", "did you mean snapshot?"),
        ("snapshot = alt+s", "'alt+s' is not a key"),
        ("snapshot = s\nsnapshot = S", "line 2: snapshot is on line 1 already"),
        ("snapshot = r", "r is the key of restore on the same screen"),
        ("help = s", "s is the key of snapshot on the same screen"),
    ],
)
def test_a_key_file_that_is_wrong_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_keys(text, "keys.conf")
    assert words in str(refused.value)
    assert str(refused.value).startswith("keys.conf")


def test_two_actions_may_change_places() -> None:
    assert parse_keys("snapshot = r\nrestore = s\n", "keys.conf") == {"snapshot": ("r",), "restore": ("s",)}


def test_keys_of_the_user_do_it_and_stand_in_the_footer() -> None:
    engine = fake.FakeControl(fake.database("/srv/app.db"))

    async def steps(pilot: Drive) -> None:
        await picture.shows(pilot, "S Snapshot")
        await pilot.press("s")
        await pilot.press("S")
        await picture.until(pilot, lambda: engine.commands == [("snapshot", "/srv/app.db")])

    drive(steps, engine, options=replace(STILL, keys={"snapshot": ("S",)}))
