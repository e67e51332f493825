"""Leaving a sub-screen, detaching and ending are three things, and ending asks while anything is under way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from tests.cli.slow_proxy import SlowProxy, slow_proxy
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.tui.window import Window

ENTER, ESCAPE = "\r", "\x1b"
CONTENT_BYTES = 3_000_000


@pytest.fixture
def far(tmp_path: Path) -> Iterator[SlowProxy]:
    """A store that holds back the middle of the snapshot, of an engine that cannot go on without its screen."""
    shell = Shell(tmp_path / "quiet.db")
    shell.run(f"PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(randomblob({CONTENT_BYTES}))")
    with (
        peers.running(peers.SeaweedServer(tmp_path / "server")) as server,
        slow_proxy(server.endpoint, CONTENT_BYTES // 2) as proxy,
    ):
        (tmp_path / "litestream.yml").write_text(
            f"access-key-id: {server.access_key}\nsecret-access-key: {server.secret_key}\n"
            f"socket:\n  enabled: false\ndbs:\n- path: {shell.path}\n  replicas:\n"
            f"  - type: s3\n    bucket: tests\n    path: q\n    endpoint: {proxy.endpoint}\n"
        )
        yield proxy


def restoring(window: Window, far: SlowProxy) -> None:
    """The latest commit is being restored, and the store has fallen silent in the middle."""
    window.shows("● ok", "quiet.db")
    window.press("R")
    wait_until("the restore is in the middle", far.stalled.is_set)
    window.shows("%  ", " of ", "objects")


@pytest.mark.server
def test_ending_asks_while_a_restore_is_under_way_and_removes_what_it_wrote(far: SlowProxy, tmp_path: Path) -> None:
    with Window("-config", tmp_path / "litestream.yml", home=tmp_path) as window:
        restoring(window, far)
        window.press("q")
        window.shows("Under way: restore of quiet.db", "% of ")
        window.shows("ended by quitting", "what it wrote is removed")
        assert "Nothing is lost" not in window.picture
        window.press(ESCAPE)
        window.shows("esc cancels and leaves nothing")
        window.press("q")
        window.shows("Under way: restore of quiet.db", "% of ")
        window.press("n")
        assert window.end() == 0
    assert not list(tmp_path.glob("quiet.db.restore-*"))


@pytest.mark.server
def test_waiting_waits_for_the_restore_too(far: SlowProxy, tmp_path: Path) -> None:
    with Window("-config", tmp_path / "litestream.yml", home=tmp_path) as window:
        restoring(window, far)
        window.press("qw")
        window.shows("waiting, then the program ends")
        far.go_on()
        assert window.end() == 0
    [output] = tmp_path.glob("quiet.db.restore-*Z")
    assert Shell(output).rows("SELECT length(a) FROM t") == [[CONTENT_BYTES]]


def test_the_name_of_the_live_database_is_typed_from_its_first_letter_on(tmp_path: Path) -> None:
    """Its name has a q in it, which ended the program once."""
    shell = Shell(tmp_path / "quiet.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"socket:\n  path: {tmp_path}/s.sock\ndbs:\n- path: {shell.path}\n  replicas:\n  - path: {tmp_path}/r\n"
    )
    with Window("-config", config, home=tmp_path) as window:
        window.shows("● ok", "quiet.db")
        window.press("r")
        window.shows("fetch", "snapshot 00000000")
        # At once: on a busy machine the dialog is painted when all of it was typed.
        window.press("W" + ENTER + "quite.db" + ENTER)
        window.shows("That is not quiet.db. Nothing was done")
        window.press("\x15quiet.db" + ENTER)
        window.shows("✔ ok, in")
        window.press(ENTER)
        window.shows("commit ", "/0000000")
        window.press("q")
        window.shows("n ends it now")
        window.press("n")
        assert window.end() == 0
    assert [path.name for path in tmp_path.glob("quiet.db.before-restore-*Z")]
