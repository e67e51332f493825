"""What stands on the screen, as plain rows of text, and comparing it with committed pictures.

PICTURES=write in the environment writes the pictures in place of comparing; read what it wrote.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from textual.app import App
from textual.pilot import Pilot

FOLDER = Path(__file__).parent / "pictures"
DEADLINE_SECONDS = 60.0
"""However busy the machine is; who waits in vain waits for so long."""


def rows(app: App[int]) -> list[str]:
    """Every row of the terminal, without spaces at the end."""
    screen = app.screen
    return [strip.text.rstrip() for strip in screen._compositor.render_strips(screen.size)]


def picture(app: App[int]) -> str:
    """The whole terminal as text."""
    return "\n".join(rows(app)) + "\n"


def same_as(app: App[int], name: str) -> None:
    """Compare the terminal with pictures/NAME.txt."""
    path = FOLDER / f"{name}.txt"
    now = picture(app)
    if os.environ.get("PICTURES") == "write":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(now)
    assert now == path.read_text(), f"the screen is not as in {path.name}:\n{now}"


async def until(pilot: Pilot[int], what: Callable[[], bool]) -> None:
    """Let the application run until `what` is true; fail the test with the screen if it is not in time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not what():
        assert time.monotonic() < deadline, f"it did not happen in time:\n{picture(pilot.app)}"
        await asyncio.sleep(0.01)
        await pilot.pause()


async def shows(pilot: Pilot[int], *words: str) -> None:
    """Wait until all of these words stand on the screen."""
    await until(pilot, lambda: all(word in picture(pilot.app) for word in words))
