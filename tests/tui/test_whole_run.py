"""One whole pass on a real terminal against a real S3 server: an outage, a snapshot, a look back, a restore."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from tests.foreign import Shell
from tests.interchange.program import litestream_tui, restore03
from tests.tui.window import Window

RECOVERY_SECONDS_MAX = 3.0
"""From the first answer of the store to a queue that is empty, as the dashboard shows it."""
OFFLINE_SECONDS_MAX = 15.0

LEFT, ENTER, ESCAPE = "\x1b[D", "\r", "\x1b"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[peers.S3Server]:
    """SeaweedFS of this test's own, to stop and start."""
    with peers.running(peers.SeaweedServer(tmp_path / "server")) as server:
        yield server


@pytest.fixture
def fruits(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path / "fruits.db")
    shell.run(
        "PRAGMA journal_mode=wal; CREATE TABLE fruit(name TEXT PRIMARY KEY); CREATE TABLE box(n INTEGER);"
        "INSERT INTO fruit VALUES('apple'), ('banana');"
    )
    return shell


@pytest.fixture
def config(tmp_path: Path, server: peers.S3Server, fruits: Shell) -> Path:
    file = tmp_path / "litestream.yml"
    file.write_text(
        f"access-key-id: {server.access_key}\nsecret-access-key: {server.secret_key}\n"
        f"dbs:\n- path: {fruits.path}\n  replicas:\n"
        f"  - type: s3\n    bucket: tests\n    path: fruits\n    endpoint: {server.endpoint}\n"
    )
    return file


def position(window: Window) -> str:
    """The position in the row of the database."""
    found = re.search(r"[0-9a-f]{8}/[0-9a-f]{8}:\d+", window.row("fruits.db"))
    return found.group() if found else ""


def all_uploaded(window: Window, after: str) -> None:
    """Wait until the position is another than `after`, and nothing waits for an upload."""
    deadline = time.monotonic() + 30
    while not (position(window) != after and re.search(r"● ok .* 0s +0 ", window.row("fruits.db"))):
        assert time.monotonic() < deadline, window.picture
        window.listen(0.02)


def test_one_whole_pass(config: Path, server: peers.S3Server, fruits: Shell, tmp_path: Path) -> None:
    with Window("-config", config, home=tmp_path) as window:
        window.shows("snapshot written")
        window.shows("● ok", "fruits.db", "/00000000:0 ")

        # A commit of another process moves the position, and is uploaded.
        before = position(window)
        fruits.run("INSERT INTO fruit VALUES('cherry')")
        all_uploaded(window, before)

        outage(window, server, fruits)

        # A snapshot is written with the next commit; the verification's result stays on the dashboard.
        window.press("s")
        window.shows("a snapshot will be written")
        before = position(window)
        fruits.run("INSERT INTO box VALUES(1), (2)")
        all_uploaded(window, before)
        window.shows("INFO", "snapshot written, position", "00000001:")
        window.press("v")
        window.shows("verified ✓")
        window.shows("INFO", "verified, outcome ok")

        # The mistake, and the moment before it.
        before = position(window)
        fruits.run("DROP TABLE box; DELETE FROM fruit WHERE name < 'c';")
        all_uploaded(window, before)
        output = look_and_restore(window, tmp_path)
        restored = Shell(output)
        assert restored.rows("SELECT name FROM fruit ORDER BY name") == [["apple"], ["banana"], ["cherry"], ["date"]]
        assert restored.rows("SELECT n FROM box") == [[1], [2]]
        assert restored.rows("PRAGMA integrity_check") == [["ok"]]

        # The end uploads what was committed just before it.
        fruits.run("INSERT INTO fruit VALUES('elderberry')")
        window.press("qn")
        assert window.end() == 0
    assert "litestream-tui ended" in window.text
    assert "not all is uploaded" not in window.text
    latest(config, server, fruits, tmp_path)


def outage(window: Window, server: peers.S3Server, fruits: Shell) -> None:
    """The store goes while somebody writes: the error, its address and the next try are shown; then it is back."""
    server.stop(kill=True)
    before = position(window)
    fruits.run("INSERT INTO fruit VALUES('date')")
    window.shows("✖ error", "fruits.db")
    window.shows("✖ 1 error")
    assert position(window) != before
    assert f"127.0.0.1:{server.port}" in window.picture
    first = window.shows("✖ try", "in ")
    deadline = time.monotonic() + OFFLINE_SECONDS_MAX
    while window.row("✖ try", "in ") in ("", first):
        assert time.monotonic() < deadline, f"no countdown:\n{window.picture}"
        window.listen(0.05)
    assert not re.search(r" 0 +\S+$", window.row("fruits.db")), "the queue is not empty"

    server.start()
    window.shows("● ok", "fruits.db", " 0s ", without="✖ 1 error", seconds=RECOVERY_SECONDS_MAX)
    window.shows("behind 0 B", seconds=RECOVERY_SECONDS_MAX)


def look_and_restore(window: Window, folder: Path) -> Path:
    """Back by the commits of the mistake; look at its tables, then restore to the new file that the screen names."""
    window.press("r")
    window.shows("output", "(new file)")
    window.shows("fetch", "snapshot 00000001")
    for _ in range(2):
        shown = window.row("commit ", "/0000000")
        window.press(LEFT)
        deadline = time.monotonic() + 30
        while window.row("commit ", "/0000000") in ("", shown):
            assert time.monotonic() < deadline, window.picture
            window.listen(0.02)

    # When they were committed is known, and what they did.
    window.shows("point ", "Z  committed")
    window.shows("box gone −2")
    window.press(" ")
    window.shows("box", "2", "-", "gone today")
    window.shows("fruit", "4", "2", "-2")
    window.press(ESCAPE)
    window.shows("output", "(new file)")
    window.press(ENTER)
    window.shows("✔ ok")
    [output] = folder.glob("fruits.db.restore-*Z")
    assert window.row(" path ").endswith(output.name)
    window.press(ENTER)
    window.shows("commit ", "/0000000")
    window.press(ESCAPE)
    window.shows("● ok", "fruits.db")
    return output


def latest(config: Path, server: peers.S3Server, fruits: Shell, folder: Path) -> None:
    """The last commit is in the replica, for this program and for the real Litestream."""
    rows = [["cherry"], ["date"], ["elderberry"]]
    litestream_tui("restore", "-o", folder / "ours.db", "-config", config, fruits.path)
    assert Shell(folder / "ours.db").rows("SELECT name FROM fruit ORDER BY name") == rows
    environment = server.litestream_environment()
    restore03(folder / "theirs.db", "-config", config, fruits.path, environment=environment)
    assert Shell(folder / "theirs.db").rows("SELECT name FROM fruit ORDER BY name") == rows
