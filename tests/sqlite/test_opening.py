"""As root SQLite opens a database through its open folder, whatever becomes of the path meanwhile (promise 10)."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from replication.errors import DatabaseError
from replication.sqlite.connection import connect
from replication.sqlite.errors import DatabaseBusyError
from replication.sqlite.opening import opening
from replication.sqlite.pin import Pin
from tests.foreign import Shell

USER = 12345


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a database that nobody has open, and beside it `vault`, with another."""
    if os.geteuid() != 0:
        pytest.skip("only root can be led elsewhere")
    for name in ("home", "vault"):
        (tmp_path / name).mkdir()
        Shell(tmp_path / name / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    assert names(tmp_path / "vault") == ["app.db"]
    os.chown(tmp_path / "home", USER, USER)
    os.chown(tmp_path / "home" / "app.db", USER, USER)
    return tmp_path / "home"


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def exchange_for_link(folder: Path, target: Path, owner: int = USER) -> None:
    folder.rename(folder.with_name("aside"))
    folder.symlink_to(target)
    os.lchown(folder, owner, owner)


def test_promise_10_a_folder_that_becomes_a_link_while_sqlite_opens_leads_nowhere(home: Path) -> None:
    vault = home.with_name("vault")
    with opening(home / "app.db") as at:
        exchange_for_link(home, vault)
        with closing(connect(at)) as connection:
            connection.execute("INSERT INTO t VALUES(1)")
    assert names(vault) == ["app.db"]
    assert names(home.with_name("aside")) == ["app.db", "app.db-shm", "app.db-wal"]
    assert {item.stat().st_uid for item in home.with_name("aside").iterdir()} == {USER}


def test_promise_10_a_journal_is_made_and_removed_in_that_folder(home: Path) -> None:
    """A database that is not in WAL mode is switched through one."""
    Shell(home / "app.db").run("PRAGMA journal_mode=DELETE")
    vault = home.with_name("vault")
    (vault / "app.db-journal").write_text("root's")
    with opening(home / "app.db") as at:
        exchange_for_link(home, vault)
        with closing(connect(at)) as connection:
            assert connection.pragma("journal_mode", "wal") == "wal"
            connection.execute("INSERT INTO t VALUES(1)")
    assert (vault / "app.db-journal").read_text() == "root's"
    assert names(home.with_name("aside")) == ["app.db", "app.db-shm", "app.db-wal"]


def test_promise_10_a_file_that_becomes_a_link_is_not_opened(home: Path) -> None:
    with opening(home / "app.db") as at:
        exchange_for_link(home / "app.db", home.with_name("vault") / "app.db")
        with pytest.raises(DatabaseError, match="cannot be opened"):
            connect(at)
    assert names(home.with_name("vault")) == ["app.db"]


def test_promise_10_a_link_of_another_user_to_what_is_not_theirs_is_refused(home: Path) -> None:
    exchange_for_link(home, home.with_name("vault"))
    with pytest.raises(DatabaseError, match="symbolic link"):
        Pin.take(home / "app.db")
    assert names(home.with_name("vault")) == ["app.db"]


def test_a_checkpoint_is_of_the_file_that_is_pinned_and_of_no_other(home: Path) -> None:
    pin = Pin.take(home / "app.db")
    try:
        exchange_for_link(home, home.with_name("vault"), owner=0)
        with pytest.raises(DatabaseBusyError, match="replaced while it was opened"):
            pin.checkpoint(lambda: None)
        assert names(home.with_name("vault")) == ["app.db"]
    finally:
        pin.close()


@pytest.mark.parametrize("what", ["folder", "file"])
def test_links_that_may_be_followed_lead_to_the_wal_beside_the_file(home: Path, what: str) -> None:
    """The application has the same files by the other path, and nothing is made beside the link."""
    link = home.with_name("current")
    link.symlink_to(home if what == "folder" else home / "app.db")
    path = link / "app.db" if what == "folder" else link
    before = names(home.parent)
    pin = Pin.take(path)
    try:
        assert pin.path == home / "app.db"
        with Shell(home / "app.db").open() as application:
            application.execute("INSERT INTO t VALUES(1)")
            assert pin.checkpoint(lambda: None).log_frames == 1
    finally:
        pin.close()
    assert names(home.parent) == before


def test_a_connection_leaves_no_descriptor_of_the_folder(home: Path) -> None:
    pin = Pin.take(home / "app.db")
    try:
        assert str(home) not in {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
    finally:
        pin.close()
