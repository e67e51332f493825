"""make demo: the first screen says where the engine lives, and whoever leaves comes back by what it says."""

import signal
from pathlib import Path

import pytest

from tests.cli.program import succeeds
from tests.interchange.program import wait_until
from tests.tui.window import Window


def folders(home: Path) -> list[Path]:
    """What demos have there now."""
    return list(home.glob("litestream-tui-demo-*"))


@pytest.mark.parametrize("size", [(80, 24), (60, 15), (100, 30)])
def test_the_first_screen_says_where_the_engine_lives(size: tuple[int, int], tmp_path: Path) -> None:
    with Window("demo", home=tmp_path, size=size) as window:
        window.shows("engine: here, ends with this screen; q, b leave it running")
        window.send(signal.SIGKILL)
        window.wait()
    # Its other process cleans up, however the screen ended.
    wait_until("nothing is left", lambda: not folders(tmp_path))


def test_a_newcomer_leaves_the_demo_and_comes_back(tmp_path: Path) -> None:
    with Window("demo", home=tmp_path) as window:
        window.shows("busy.db", "/0")
        window.press("q")
        window.shows("b leaves it running in the background; litestream-tui demo shows it again")
        window.press("b")
        assert window.end() == 0
    assert "litestream-tui demo shows it" in window.text
    [folder] = folders(tmp_path)
    with Window("demo", home=tmp_path) as window:
        window.shows("engine: service, pid ")
        before = window.shows("busy.db", "/0")
        # The writers went on, too.
        wait_until("a later position", lambda: bool(window.listen(0.2)) and window.row("busy.db", "/0") != before)
        window.press("q")
        assert window.end() == 0
    assert "litestream-tui demo attaches again" in window.text
    succeeds("stop", "-config", folder / "litestream.yml")
    wait_until("nothing is left", lambda: not folders(tmp_path))
