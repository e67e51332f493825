"""Driving the application without a terminal: a test is a plain function that hands its steps to `drive`.

def test_help() -> None:
    async def steps(pilot: Drive) -> None:
        await pilot.press("question_mark")
        await picture.shows(pilot, "Help")
    drive(steps, FakeControl(database()))
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from replication.config import Config
from replication.control import Control
from replication.control.local import Local
from replication.engine import Engine
from tests.tui import fake
from tui.app import LitestreamApp
from tui.view import Options

NORMAL = (80, 24)
LARGE = (140, 40)
STILL = Options(clock=fake.clock)
Drive = Pilot[int]


def drive(
    steps: Callable[[Drive], Awaitable[None]],
    control: Control,
    size: tuple[int, int] = NORMAL,
    options: Options = STILL,
    config: Config | None = None,
) -> LitestreamApp:
    """Open the application on `control`, take the steps, end it; the application, for its return value."""
    config = config or (fake.config_of(*control.databases) if isinstance(control, fake.FakeControl) else None)
    config = config or fake.empty_config()
    if isinstance(control, fake.FakeControl):
        control.config = config
    local = Local(cast(Engine, control), config, "test", "screen")
    app = LitestreamApp(local, config, options)

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await steps(pilot)

    try:
        asyncio.run(run())
    finally:
        local.close()
    return app


def app_of(pilot: Drive) -> LitestreamApp:
    """The application under test."""
    assert isinstance(pilot.app, LitestreamApp)
    return pilot.app


async def instead(pilot: Drive, text: str) -> None:
    """Put `text` in the place of all that the focused input holds, by keys and the clipboard."""
    await pilot.press("home", "ctrl+k")
    field = pilot.app.focused
    assert isinstance(field, Input)
    field.post_message(events.Paste(text))
    await pilot.pause()
