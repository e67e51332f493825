"""-read-only changes nothing anywhere: where an engine runs it watches that, else it looks from outside."""

from pathlib import Path

import pytest

from tests.cli.program import Replicating
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.tui.window import Window

ENTER, ESCAPE = "\r", "\x1b"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """One that was replicated, and one that never was and is not in WAL mode."""
    data = tmp_path / "data"
    data.mkdir()
    Shell(data / "app.db").run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    Shell(data / "new.db").run("CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    app = f"- path: {data}/app.db\n  replicas:\n  - path: {data}/replica\n"
    first = tmp_path / "first.yml"
    first.write_text(f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n{app}")
    with Replicating(tmp_path / "first", "-config", first) as process:
        wait_until("a snapshot", lambda: "snapshot written" in process.out, lambda: process.out)
    file = tmp_path / "litestream.yml"
    file.write_text(f"{first.read_text()}- path: {data}/new.db\n  replicas:\n  - path: {data}/replica-new\n")
    return file


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files with their content and time of writing, and all folders."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def test_without_an_engine_it_only_looks_and_says_so(config: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = everything(data)
    with Window("-read-only", "-config", config, home=tmp_path) as window:
        window.shows("engine: none runs", "only looks", "nothing is replicated")
        window.shows("◌ stopped", "app.db", "/00000000:")
        window.shows("◌ stopped", "new.db", " - ")
        for key in "svyPRsvyPRx":
            window.press(key)
        window.press("r")
        window.shows("fetch", "snapshot 00000000")
        window.press(ENTER)
        window.shows("-read-only writes nothing")
        window.press(" ")
        # Comparing would open the live database, and write to its -shm.
        window.shows("today's database is left alone")
        window.shows(">t ", " 1 ", " - ")
        window.press(ESCAPE)
        window.shows("output ", "(new file)")
        window.press(ESCAPE)
        window.shows("engine: none runs")
        window.press(ENTER)
        window.shows("1 generation in file")
        window.press("q")
        assert window.end() == 0
    assert "nothing was replicated" in window.text
    assert everything(data) == before


def test_an_engine_that_begins_is_attached_to(config: Path, tmp_path: Path) -> None:
    with Window("-read-only", "-config", config, home=tmp_path) as window:
        window.shows("engine: none runs")
        with Replicating(tmp_path / "second", "-config", config) as process:
            window.shows("engine: service", f"pid {process.pid}")
            window.shows("● ok", "new.db")
            window.shows("generation begins")
            window.press("q")
            assert window.end() == 0
    assert "nothing was replicated" not in window.text
