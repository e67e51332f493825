"""make screenshots: pictures of the real program for the README, one SVG a screen, in docs/images.

The demo's databases, their writers and the disk that comes and goes, with the real engine and the real
application; only the terminal is missing. It takes about a minute, as the disk must go away first. The pictures
refer to no font and to nothing else outside themselves.
"""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from tui.app import LitestreamApp
from tui.demo.crowd import Crowd
from tui.session.late_engine import LateEngine
from tui.session.screen_log import open_log
from tui.view import Options

IMAGES = Path(__file__).parent / "images"
FOLDER = Path(tempfile.gettempdir()) / "shop"
"""Stands in the pictures, so it has a name that looks the same each time."""
SIZE = (120, 30)
DEADLINE_SECONDS = 90.0
CLOSE_SECONDS_MAX = 10.0
SNAPSHOTS_AFTER_SECONDS = (6.0, 9.0)
COMMITS_SECONDS = 4.0
"""How long the shop goes on after each of these."""
_APPLICATION = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=20).executescript(sys.argv[2])"
_MADE = """
BEGIN; CREATE TABLE order_lines(id INTEGER PRIMARY KEY, item TEXT, price REAL);
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1821)
INSERT INTO order_lines SELECT i, 'item ' || i, i % 90 + 0.99 FROM n; COMMIT;
"""
_DROPPED = "DROP TABLE order_lines"


def main() -> int:
    """Take all pictures; the exit code."""
    try:
        FOLDER.mkdir()
    except FileExistsError:
        print(f"{FOLDER} is there already; remove it, for the pictures show this path", file=sys.stderr)
        return 1
    try:
        with Crowd(FOLDER) as crowd:
            engine = LateEngine(crowd.config)
            try:
                asyncio.run(
                    _take(LitestreamApp(engine, crowd.config, Options(log_path=open_log(FOLDER / "log").path)), engine)
                )
            finally:
                engine.close(CLOSE_SECONDS_MAX)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    return 0


async def _take(app: LitestreamApp, engine: LateEngine) -> None:
    app.painted = engine.start
    async with app.run_test(size=SIZE) as pilot:
        await _until(pilot, lambda rows: _row(rows, "busy.db", "snapshot written"))
        await pilot.press("v")
        await _until(pilot, lambda rows: not _row(rows, "verified", "not yet"))
        for seconds in SNAPSHOTS_AFTER_SECONDS:
            await pilot.pause(seconds)
            await pilot.press("s")
        # The disk of one database is away, and the last one has been made.
        await _until(pilot, lambda rows: _row(rows, "flaky.db", "error") and _row(rows, "later.db", "ok"))
        _save(app, "dashboard")
        await pilot.press("enter")
        await _until(pilot, lambda rows: _row(rows, "   S──"))
        _save(app, "detail")
        await _lost_and_found(app, pilot)
        await pilot.press("escape", "L")
        await _until(pilot, lambda rows: _row(rows, "flaky.db", "ERROR"))
        _save(app, "log")


async def _lost_and_found(app: LitestreamApp, pilot: Pilot[int]) -> None:
    """A table goes, is found, looked at, and could be brought back."""
    await pilot.press("escape")
    for statements in (_MADE, _DROPPED):
        subprocess.run([sys.executable, "-c", _APPLICATION, FOLDER / "busy.db", statements], check=True)
        await pilot.pause(COMMITS_SECONDS)
    await pilot.press("r")
    await _until(pilot, lambda rows: _row(rows, "fetch", "snapshot"))
    await pilot.press("F", *"order_lines")
    await _until(pilot, lambda rows: _row(rows, "> a table went"))
    _save(app, "find")
    await pilot.press("enter")
    await _until(pilot, lambda rows: _row(rows, "order_lines gone") and _row(rows, "fetch", "snapshot"))
    _save(app, "restore")
    await pilot.press("space")
    await _until(pilot, lambda rows: _row(rows, "order_lines", "gone today"))
    _save(app, "look")
    await pilot.press("b")
    await _until(pilot, lambda rows: _row(rows, "order_lines", "to be inserted"))
    _save(app, "bring-back")
    await pilot.press("escape", "escape")


def _rows(app: LitestreamApp) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips(app.screen.size)]


def _row(rows: list[str], *words: str) -> bool:
    """True if one row has all of these words."""
    return any(all(word in row for word in words) for row in rows)


async def _until(pilot: Pilot[int], shown: Callable[[list[str]], bool]) -> None:
    assert isinstance(pilot.app, LitestreamApp)
    end = time.monotonic() + DEADLINE_SECONDS
    while not shown(rows := _rows(pilot.app)):
        if time.monotonic() > end:
            raise TimeoutError("not shown in time; there is\n" + "\n".join(rows))
        await pilot.pause(0.1)


def _save(app: LitestreamApp, name: str) -> None:
    """Write the screen as it is now to NAME.svg."""
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"{name}.svg"
    # Fonts are left to who looks: the picture must load nothing.
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", app.export_screenshot(), flags=re.DOTALL))
    print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path, flush=True)


if __name__ == "__main__":
    sys.exit(main())
