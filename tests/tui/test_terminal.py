"""The program on a real terminal: it opens soon, sends little, and ends cleanly whatever happens to the terminal."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import peers
from replication.config import load_config
from tests.cli.program import refuses, run
from tests.foreign import Shell
from tests.interchange.program import DEADLINE_SECONDS, restore03
from tests.tui.terminal import Terminal
from tui.verbs.screen import SMALLEST_CONFIG

NAMES = ("app", "jobs", "auth", "big")
BUDGET_BYTES_PER_SECOND = 1500
LISTEN_SECONDS = 6.0
SETTLE_SECONDS = 4.0
FIRST_PAINT_CPU_SECONDS_MAX = 0.8


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Four small databases, each with a replica in a folder."""
    lines = ["dbs:"]
    for name in NAMES:
        path = tmp_path / f"{name}.db"
        Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1);")
        lines += [f"- path: {path}", "  replicas:", f"  - path: {tmp_path / 'replicas' / name}"]
    file = tmp_path / "litestream.yml"
    file.write_text("\n".join(lines))
    return file


@contextmanager
def writing(config: Path, seconds: float) -> Iterator[None]:
    """A commit to each database, again and again after so many seconds."""
    code = (
        "import sqlite3, sys, time\n"
        "connections = [sqlite3.connect(path, timeout=30, isolation_level=None) for path in sys.argv[2:]]\n"
        "while True:\n"
        "    for connection in connections:\n"
        "        connection.execute('INSERT INTO t VALUES(hex(randomblob(200)))')\n"
        "        time.sleep(float(sys.argv[1]) / len(connections))\n"
    )
    paths = [str(config.parent / f"{name}.db") for name in NAMES]
    process = subprocess.Popen([sys.executable, "-c", code, str(seconds), *paths], preexec_fn=peers.die_with_parent)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_q_ends_it_and_what_was_committed_is_restorable(config: Path, tmp_path: Path) -> None:
    with Terminal("-config", config, home=tmp_path) as terminal:
        terminal.wait_for("generation begins")
        Shell(tmp_path / "app.db").run("INSERT INTO t VALUES('the last commit')")
        terminal.press("qn")
        assert terminal.end() == 0
    assert "Traceback" not in terminal.text
    restore03(tmp_path / "restored.db", f"file://{tmp_path}/replicas/app")
    assert Shell(tmp_path / "restored.db").rows("SELECT x FROM t") == [[1], ["the last commit"]]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "SIGINT", "closed"])
def test_signals_and_a_closed_terminal_end_the_engine_cleanly(config: Path, tmp_path: Path, how: str) -> None:
    """The last commit is uploaded, and the lock is free for the next engine."""
    with Terminal("-config", config, home=tmp_path) as terminal:
        terminal.wait_for("generation begins")
        Shell(tmp_path / "app.db").run("INSERT INTO t VALUES('the last commit')")
        if how == "closed":
            terminal.hang_up()
        else:
            terminal.send(signal.Signals[how])
        assert terminal.end() == 0
    restore03(tmp_path / "restored.db", f"file://{tmp_path}/replicas/app")
    assert Shell(tmp_path / "restored.db").rows("SELECT x FROM t") == [[1], ["the last commit"]]


def test_a_terminal_that_takes_nothing_does_not_keep_it(config: Path, tmp_path: Path) -> None:
    """As after Ctrl-S: the screen is stuck in its output, and SIGTERM ends the engine all the same."""
    with writing(config, 0.1), Terminal("-config", config, "-refresh", "0.1", home=tmp_path) as terminal:
        terminal.wait_for("generation begins")
        # Nothing is taken from here on; wait until what the terminal holds is full and stays so.
        full = threading.Event()
        for _ in range(200):
            if full.wait(0.05):
                break
        terminal.send(signal.SIGTERM)
        assert terminal.wait() in (0, 1)
    ready = run("replicate", "-config", config, "-exec", "true")
    assert ready.code == 0, ready


def test_first_paint(config: Path, tmp_path: Path) -> None:
    """The time that it needs on a processor, for the machine may be busy; benchmarks take the rest."""
    took = []
    for _ in range(3):
        with Terminal("-config", config, home=tmp_path, anew=True) as terminal:
            terminal.wait_for("auth.db")
            took.append(terminal.cpu_seconds())
            terminal.press("qn")
            terminal.end()
    assert min(took) < FIRST_PAINT_CPU_SECONDS_MAX, took


def test_link_budget_with_four_busy_databases(config: Path, tmp_path: Path) -> None:
    with writing(config, 1.0), Terminal("-config", config, home=tmp_path) as terminal:
        terminal.listen(SETTLE_SECONDS)
        sent = len(terminal.listen(LISTEN_SECONDS))
        assert 0 < sent / LISTEN_SECONDS < BUDGET_BYTES_PER_SECOND


def test_nothing_is_sent_on_a_slow_line_while_nothing_changes(config: Path, tmp_path: Path) -> None:
    with Terminal("-config", config, "-slow", home=tmp_path) as terminal:
        terminal.wait_for("generation begins")
        # However busy the machine is: it is at rest once it has said nothing for so long.
        end = time.monotonic() + DEADLINE_SECONDS
        while terminal.listen(SETTLE_SECONDS):
            assert time.monotonic() < end, terminal.text
        assert terminal.listen(LISTEN_SECONDS) == b""


def test_no_color(config: Path, tmp_path: Path) -> None:
    with Terminal("-config", config, home=tmp_path, environment={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("auth.db")
        terminal.listen(1.0)
        assert not re.search(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|4[0-7]|9[0-7]|38;|48;)[0-9;]*m", terminal.said)
        terminal.press("qn")
        assert terminal.end() == 0


def test_only_the_sixteen_colours_of_the_terminal(config: Path, tmp_path: Path) -> None:
    with Terminal("-config", config, home=tmp_path) as terminal:
        terminal.wait_for("auth.db")
        terminal.listen(1.0)
        assert not re.search(rb"\x1b\[[0-9;]*[34]8;[25];", terminal.said)


def test_an_encoding_without_marks_gets_plain_letters(config: Path, tmp_path: Path) -> None:
    environment = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with Terminal("-config", config, home=tmp_path, environment=environment) as terminal:
        terminal.wait_for("auth.db")
        terminal.listen(1.0)
        strange = {letter for letter in terminal.text if not letter.isascii()}
        assert strange <= {"…"}, strange


def test_an_engine_that_cannot_start_ends_the_screen_with_its_reason(config: Path, tmp_path: Path) -> None:
    """Another one has a database and cannot be asked, or it would be attached to."""
    config.write_text("socket:\n  enabled: false\n" + config.read_text())
    with Terminal("-config", config, home=tmp_path) as first:
        first.wait_for("generation begins")
        with Terminal("-config", config, home=tmp_path) as second:
            assert second.end() == 5
        assert "litestream-tui: " in second.text.splitlines()[-1]
        assert "app.db" in second.text.splitlines()[-1]
        first.press("q")
        assert first.end() == 0


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_show_it(config: Path, tmp_path: Path, term: str) -> None:
    with Terminal("-config", config, home=tmp_path, environment={"TERM": term}) as terminal:
        assert terminal.end() == 2
    assert "litestream-tui replicate" in terminal.text
    assert "\x1b" not in terminal.said.decode()


def test_no_terminal_at_all(config: Path) -> None:
    refuses(run("-config", config), 2, "needs a terminal", "litestream-tui replicate")


def test_without_a_configuration_it_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "none.yml"
    with Terminal(home=tmp_path, environment={"LITESTREAM_CONFIG": str(missing)}) as terminal:
        assert terminal.end() == 3
    for words in (str(missing), "litestream-tui demo", "dbs:", "replicas:"):
        assert words in terminal.text


def test_the_smallest_configuration_that_it_shows_is_one(tmp_path: Path) -> None:
    file = tmp_path / "litestream.yml"
    file.write_text(SMALLEST_CONFIG)
    [database] = load_config(file).databases
    assert database.path == Path("/path/to/app.db")


def test_keys_of_the_user(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "litestream-tui"
    folder.mkdir(parents=True)
    (folder / "keys.conf").write_text("# mine\nquit = x, ctrl+x\nretry = ctrl+r\n")
    with Terminal("-config", config, home=tmp_path) as terminal:
        terminal.wait_for("Quit")
        terminal.press("x")
        terminal.wait_for("ends it now")
        terminal.press("n")
        assert terminal.end() == 0
    (folder / "keys.conf").write_text("\nqiut = x\n")
    with Terminal("-config", config, home=tmp_path) as terminal:
        assert terminal.end() == 3
    assert "keys.conf: line 2: 'qiut' is not an action; did you mean quit?" in " ".join(terminal.text.split())


def test_the_log_is_private_and_bounded(config: Path, tmp_path: Path) -> None:
    with Terminal("-config", config, home=tmp_path) as terminal:
        terminal.wait_for("generation begins")
        terminal.press("qn")
        terminal.end()
    log = tmp_path / ".local" / "state" / "litestream-tui" / "log"
    assert log.stat().st_mode & 0o077 == 0
    assert "generation begins" in log.read_text()


def test_demo_on_a_terminal(tmp_path: Path) -> None:
    """Every database is there, R restores one, and nothing is left at the end."""
    home = tmp_path / "home"
    home.mkdir()
    with Terminal("demo", home=home) as terminal:
        for name in ("busy.db", "quiet.db", "flaky.db", "later.db"):
            if name not in terminal.text:
                terminal.wait_for(name)
        terminal.wait_for("snapshot written")
        terminal.press("R")
        terminal.wait_for("quick: ok")
        terminal.press("q")
        terminal.wait_for("n ends it now")
        terminal.press("n")
        assert terminal.end() == 0
    assert "That was the demo" in terminal.text
    assert [path.name for path in home.iterdir()] == [".local"]
    shutil.rmtree(home)
    assert not os.path.lexists(home)
