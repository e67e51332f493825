"""The log of the screen, where the home is another user's, as under sudo (promise 10)."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooted.conftest import Home
from tests.rooted.test_hostile_home import users
from tests.tui.terminal import Terminal
from tui.session import screen_log


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    root = logging.getLogger()
    before, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    root.handlers.clear()
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    logging.raiseExceptions = raising


def log(words: str) -> None:
    logging.getLogger("tui.screen").error(words)


@pytest.mark.parametrize("link", [".local", ".local/state", ".local/state/litestream-tui"])
def test_a_link_of_the_user_leads_the_log_nowhere(home: Home, link: str) -> None:
    at, path = home.folder / link, screen_log.log_path({"XDG_STATE_HOME": str(home.folder / ".local" / "state")})
    (home.vault / "log").write_text("precious")
    before = home.vault_content()
    users(lambda: at.parent.mkdir(parents=True, exist_ok=True))
    users(lambda: at.symlink_to(home.vault))
    opened = screen_log.open_log(path)
    log("words")
    assert opened.path is None
    assert f"the symbolic link {at}" in opened.problem
    assert home.vault_content() == before


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder"])
def test_what_is_no_plain_file_is_no_log(home: Home, kind: str) -> None:
    folder = home.folder / "litestream-tui"
    users(folder.mkdir)
    before = home.vault_content()
    if kind == "link":
        users(lambda: (folder / "log").symlink_to(home.vault / "secret"))
    elif kind == "hard link":
        (folder / "log").hardlink_to(home.vault / "secret")
    elif kind == "pipe":
        users(lambda: os.mkfifo(folder / "log"))
    else:
        users((folder / "log").mkdir)
    opened = screen_log.open_log(folder / "log")
    log("words")
    assert opened.path is None
    assert "kept" in opened.problem
    assert "remove" in opened.problem
    assert home.vault_content() == before


def test_the_older_file_is_renamed_in_the_folder_that_was_opened(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user exchanges the folder while the screen is open: nothing of the vault is renamed or written to."""
    monkeypatch.setattr(screen_log, "LOG_BYTES_MAX", 500)
    folder = home.folder / "state" / "litestream-tui"
    users(lambda: folder.parent.mkdir())
    (home.vault / "log").write_text("precious")
    (home.vault / "log.1").write_text("precious")
    before = home.vault_content()
    assert screen_log.open_log(folder / "log") == screen_log.ScreenLog(folder / "log")
    log("first")
    aside = home.folder / "aside"
    users(lambda: folder.parent.rename(aside))
    users(lambda: folder.parent.mkdir())
    users(lambda: folder.symlink_to(home.vault))
    for number in range(30):
        log(f"record {number} with words")
    assert home.vault_content() == before
    files = {item.name: item.stat() for item in (aside / "litestream-tui").iterdir()}
    assert sorted(files) == ["log", "log.1"]
    assert all(status.st_size <= 500 and status.st_mode & 0o777 == 0o600 for status in files.values())
    assert "record 29" in (aside / "litestream-tui" / "log").read_text()


def test_folders_and_file_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "litestream-tui" / "log"
    before = os.umask(0)
    try:
        assert screen_log.open_log(path).path == path
        log("words")
    finally:
        os.umask(before)
    assert [item.stat().st_mode & 0o777 for item in (path.parent.parent, path.parent, path)] == [0o700, 0o700, 0o600]
    assert "ERROR words" in path.read_text()


def test_the_screen_says_once_that_there_is_no_log_and_goes_on(home: Home) -> None:
    users(lambda: (home.folder / ".local").symlink_to(home.vault))
    before = home.vault_content()
    with Terminal("-config", home.config, home=home.folder) as terminal:
        terminal.wait_for("No log of this screen is kept")
        terminal.wait_for("snapshot written")
        terminal.press("qn")
        assert terminal.end() == 0
    assert home.vault_content() == before
