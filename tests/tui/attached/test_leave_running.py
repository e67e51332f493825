"""Leaving the engine of a screen running in the background: the generation goes on, and no commit waits for long."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import peers
from tests.cli.program import succeeds
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.tui.attached.test_attach import asked, config, engine_of, in_the_replica, shell
from tests.tui.window import Window

__all__ = ["config", "shell"]

COMMIT_SECONDS_MAX = 2.0
COMMITS_MIN = 50
_WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute("PRAGMA wal_autocheckpoint=1")
worst, number = 0.0, 100
while True:
    number += 1
    began = time.monotonic()
    db.execute("INSERT INTO t VALUES(?)", (number,))
    worst = max(worst, time.monotonic() - began)
    print(number, worst, time.time(), flush=True)
    time.sleep(0.002)
"""
"""Checkpoints after each commit, so that every next one may restart the WAL as soon as nobody reads."""


@contextmanager
def writing(path: Path, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=out, preexec_fn=peers.die_with_parent
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


def commits(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines() if len(line.split()) == 3]


def generation(config: Path) -> str:
    with closing(asked(config)) as client:
        position = client.status().databases[0].position
    return position.generation if position is not None else ""


def test_leaving_it_running_keeps_the_generation_and_lets_no_commit_wait(
    config: Path, shell: Shell, tmp_path: Path
) -> None:
    log = tmp_path / "commits"
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        before, ours = generation(config), engine_of(config)
        with writing(shell.path, log):
            wait_until("commits", lambda: len(commits(log)) > COMMITS_MIN)
            window.press("q")
            window.shows("b leaves it running")
            window.press("b")
            assert window.end() == 0
            count = len(commits(log))
            wait_until("commits after it", lambda: len(commits(log)) > count + COMMITS_MIN)
    found = re.search(r"in the background, pid (\d+)", window.text)
    assert found is not None, window.text
    pid = int(found[1])
    try:
        assert engine_of(config) == pid != ours
        assert generation(config) == before
        assert float(commits(log)[-1][1]) < COMMIT_SECONDS_MAX
        in_the_replica(tmp_path, shell)
        # A screen finds it, and detaches.
        with Window("-config", config, home=tmp_path) as window:
            window.shows("engine: service", f"pid {pid}")
            window.press("q")
            assert window.end() == 0
    finally:
        succeeds("stop", "-config", config)
    assert engine_of(config) == 0
    assert succeeds("generations", "-config", config, shell.path).out.count(before) == 1


def test_what_is_paused_is_not_left_to_go_on(config: Path, tmp_path: Path) -> None:
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        window.press("P")
        window.shows("◌ paused", "app.db")
        window.press("q")
        window.shows("b leaves it running")
        window.press("b")
        window.shows("Paused: app.db. In the background it would go on")
        window.press("n")
        assert window.end() == 0
    assert engine_of(config) == 0


def test_a_process_that_cannot_go_on_changes_nothing(config: Path, shell: Shell, tmp_path: Path) -> None:
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "app.db")
        text = config.read_text()
        config.write_text("dbs: nonsense\n")
        window.press("q")
        window.shows("b leaves it running")
        window.press("b")
        window.shows("It was not left running")
        config.write_text(text)
        window.press("\x1b")
        window.shows("● ok", "app.db")
        shell.run("INSERT INTO t VALUES(2)")
        in_the_replica(tmp_path, shell)
        window.press("q")
        window.shows("n ends it now")
        window.press("n")
        assert window.end() == 0
