"""Keys that are pressed while the one before them is still being handled, however long that takes."""

import asyncio

import pytest
from textual import events, on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from tests.tui import fake, picture
from tests.tui.driving import Drive, app_of, drive
from tui.widgets import key_order
from tui.widgets.key_order import KeyOrder

NAMES = {"\r": "enter", "?": "question_mark"}


class Asking(Screen[None]):
    """A line to type into, and a slow answer to what was entered; then letters are keys."""

    BINDINGS = [("p", "note", "")]  # noqa: RUF012
    AUTO_FOCUS = "Input"
    steps = 1

    def __init__(self) -> None:
        super().__init__()
        self.entered: list[str] = []
        self.pressed = 0

    def compose(self) -> ComposeResult:
        yield Input()

    @on(Input.Submitted)
    async def _entered(self, event: Input.Submitted) -> None:
        for _ in range(self.steps):
            await asyncio.sleep(0.002)
        self.entered.append(event.value)
        self.query_one(Input).disabled = True
        self.set_focus(None)

    def action_note(self) -> None:
        self.pressed += 1


class Slow(KeyOrder[int]):
    def get_default_screen(self) -> Asking:
        return Asking()


def at_once(app: KeyOrder[int], keys: str) -> None:
    """All keys in one packet."""
    for key in keys:
        app.post_message(events.Key(NAMES.get(key, key), None if key == "\r" else key))


@pytest.mark.parametrize("steps", [1, 100])
def test_a_key_waits_for_the_one_before_it_and_not_for_a_time(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr(key_order, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(Asking, "steps", steps)

    async def run() -> None:
        app = Slow()
        async with app.run_test() as pilot:
            screen = app.screen
            assert isinstance(screen, Asking)
            at_once(app, "pip\rpp")
            while len(screen.entered) < 1 or screen.pressed < 2:
                await pilot.pause()
                assert screen.query_one(Input).value in ("", "p", "pi", "pip"), "a key went into the line"
            assert screen.entered == ["pip"]

    asyncio.run(asyncio.wait_for(run(), picture.DEADLINE_SECONDS))


def test_what_went_with_a_key_in_its_queue_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_order, "LOOK_SECONDS", 0.001)

    async def steps(pilot: Drive) -> None:
        app = app_of(pilot)
        await pilot.press("L")
        await picture.shows(pilot, "info and above")
        # A key is on its way to a screen that goes before it comes.
        app._number += 1
        app._handling, app._at = app._number, app.screen
        app._began = float("inf")
        at_once(app, "?")
        app.pop_screen()
        await picture.shows(pilot, "keys: ")

    drive(steps, fake.FakeControl(fake.database("/srv/quiet.db")))
