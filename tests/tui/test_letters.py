"""Letters go where they are seen to go: to keys, unless a line to type into is in sight. On a real terminal."""

from pathlib import Path

import pytest

from tests.foreign import Shell
from tests.tui.window import Window

TAB, ESCAPE, CTRL_Q, CTRL_C = "\t", "\x1b", "\x11", "\x03"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two databases, for a screen that holds its engine."""
    lines = [f"socket:\n  path: {tmp_path}/s.sock\ndbs:"]
    for name in ("app", "jobs"):
        Shell(tmp_path / f"{name}.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);")
        lines.append(f"- path: {tmp_path}/{name}.db\n  replicas:\n  - path: {tmp_path}/replica-{name}")
    file = tmp_path / "litestream.yml"
    file.write_text("\n".join(lines))
    return file


def quits(window: Window) -> None:
    """q asks, and n ends it."""
    window.press("q")
    window.shows("n ends it now")
    window.press("n")
    assert window.end() == 0


def test_no_line_that_is_not_there_takes_letters_on_a_small_terminal(config: Path, tmp_path: Path) -> None:
    # A size that the environment names is not that of the terminal.
    wrong = {"COLUMNS": "80", "LINES": "24"}
    with Window("-config", config, size=(60, 15), home=tmp_path, environment=wrong) as window:
        window.shows("● ok", "app.db")
        window.press(TAB)
        window.shows("generation ")
        window.press("?")
        window.shows("keys: dashboard")
        window.press(ESCAPE)
        window.shows("generation ")
        quits(window)


def test_nor_after_the_terminal_was_too_small_for_a_list(config: Path, tmp_path: Path) -> None:
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        window.resize(45, 10)
        window.shows("terminal too small")
        window.press("?")
        window.shows("keys: dashboard")
        window.press(ESCAPE)
        window.shows("terminal too small")
        window.resize(80, 24)
        window.shows("● ok", "app.db")
        window.press("j")
        window.shows(">● ok", "jobs.db")
        quits(window)


def test_a_line_that_is_there_keeps_its_letters_while_the_terminal_changes(config: Path, tmp_path: Path) -> None:
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        window.press("/j")
        window.shows(">● ok", "jobs.db")
        window.resize(60, 15)
        window.shows("s Snapshot  r Restore  ")
        window.press("q")
        window.shows("nothing holds 'jq'")
        window.press(ESCAPE)
        window.shows("● ok", "app.db")
        quits(window)


def test_keys_that_come_at_once_go_where_each_one_leads(config: Path, tmp_path: Path) -> None:
    """As from a slow line or a quick hand: no letter is lost to what had the focus before."""
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "jobs.db")
        window.press("/jobs\rP")
        window.shows(">◌ paus", "jobs.db")
        window.press("PL/snapshot written")
        window.shows("info and above", "with 'snapshot written'", "2 of ")


def test_ctrl_q_does_nothing_and_ctrl_c_asks_as_q_does(config: Path, tmp_path: Path) -> None:
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        window.press(CTRL_Q)
        window.press("L")
        window.shows("info and above")
        window.press(CTRL_C)
        window.shows("n ends it now")
        window.press(CTRL_C + "q")
        window.press(ESCAPE)
        window.shows("info and above")
        window.press(ESCAPE)
        window.shows("s Snapshot  r Restore  ")
        quits(window)
