"""What a restore over the live database leaves on the file: all of it, for it stays the same file; and odd ones."""

import fcntl
import os
import random
import struct
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replication.errors import NoRoomError, OutputExistsError, ReplicationError, RestoreCancelledError, RestoreError
from replication.permissions import ACL
from replication.restore.kept import kept_path
from replication.restore.open_replica import OpenReplica
from replication.restore.replace import Replaced, restore_over
from replication.restore.restore import RestoreOptions
from replication.sqlite import integrity
from replication.sqlite.later import look
from tests.engine.running import client_of, config_of, in_step, running, sha256, until
from tests.foreign import Shell
from tests.restore.content import content

NOW = datetime(2026, 10, 20, 12, 4, 2, tzinfo=UTC)
_LEAVE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2].split(";"):
    connection.execute(statement).fetchall()
os._exit(0)
"""


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replica of a database of 300 pages, which lies beside it, closed."""
    folder = tmp_path_factory.mktemp("replica")
    shell = Shell(folder / "app.db")
    shell.run(
        "PRAGMA application_id=77; PRAGMA user_version=5; PRAGMA journal_mode=wal;"
        "CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(1200000)), (1)"
    )
    with running(config_of(shell.path, folder / "replica")) as engine:
        until(lambda: in_step(engine))
    shell.run("SELECT 1")
    return folder / "replica"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A live database with another content, closed."""
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE u(y); INSERT INTO u VALUES(2)")
    return shell


def over(path: Path, replica: Path, **more: object) -> Replaced:
    kept = kept_path(path, NOW)
    return restore_over([OpenReplica("test", client_of(replica).storage)], path, RestoreOptions(), kept, **more)  # type: ignore[arg-type]


def leave(path: Path, statements: str) -> None:
    """What a process that ends in the middle of it leaves."""
    subprocess.run([sys.executable, "-c", _LEAVE, str(path), statements], check=True)


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


LIST = acl((1, 6, 0xFFFFFFFF), (2, 6, 12345), (4, 0, 0xFFFFFFFF), (0x10, 6, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF))
"""A named user may read and write, the file's own group may not."""


def give(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"no {name} here: {error.strerror}")


def test_promise_4_the_file_stays_the_same_one_with_all_that_is_on_it(shell: Shell, replica: Path) -> None:
    other = shell.path.with_name("other.db")
    other.hardlink_to(shell.path)
    give(shell.path, "user.what", b"mine")
    give(shell.path, ACL, LIST)
    before = shell.path.stat()
    done = over(shell.path, replica)
    after = shell.path.stat()
    assert (after.st_ino, after.st_mode, after.st_uid, after.st_gid) == (
        *(before.st_ino, before.st_mode, before.st_uid, before.st_gid),
    )
    assert (after.st_nlink, done.kept.stat().st_nlink) == (2, 1)
    assert os.getxattr(shell.path, "user.what") == b"mine"
    assert os.getxattr(shell.path, ACL) == os.getxattr(done.kept, ACL) == LIST
    assert done.kept.stat().st_mode == before.st_mode
    assert content(shell.path) == content(replica.with_name("app.db"))
    assert shell.rows("SELECT count(*) FROM t") == [[2]]
    assert shell.rows("PRAGMA user_version") == [[5]]
    assert Shell(other).rows("SELECT count(*) FROM t") == [[2]]
    assert Shell(done.kept).rows("SELECT y FROM u") == [[2]]


def test_commits_that_wait_under_another_name_are_not_lost(shell: Shell, replica: Path) -> None:
    other = shell.path.with_name("other.db")
    other.hardlink_to(shell.path)
    leave(other, "INSERT INTO u VALUES(3)")
    before = sha256(shell.path)
    with pytest.raises(RestoreError, match=r"other.db is the same file .* Open the database as other\.db once"):
        over(shell.path, replica)
    assert sha256(shell.path) == before
    Shell(other).rows("SELECT 1 FROM u")
    other.with_name("other.db-journal").write_bytes(bytes(512))
    assert Shell(over(shell.path, replica).kept).rows("SELECT count(*) FROM u") == [[2]]


def test_a_link_that_leads_elsewhere_by_then_is_refused(shell: Shell, replica: Path) -> None:
    link = shell.path.with_name("link.db")
    link.symlink_to("app.db")
    folder = shell.path.with_name("elsewhere")
    folder.mkdir()
    kept = kept_path(link, NOW)
    link.unlink()
    Shell(folder / "app.db").run("CREATE TABLE u(y)")
    link.symlink_to("elsewhere/app.db")
    with pytest.raises(RestoreError, match="Choose the restore again"):
        restore_over([OpenReplica("test", client_of(replica).storage)], link, RestoreOptions(), kept)


@pytest.mark.parametrize("mode", ["persist", "truncate", "delete"])
def test_a_journal_that_is_not_hot_refuses_nothing(tmp_path: Path, replica: Path, mode: str) -> None:
    path = tmp_path / "app.db"
    leave(path, f"PRAGMA journal_mode={mode};CREATE TABLE u(y);INSERT INTO u VALUES(2)")
    assert path.with_name("app.db-journal").exists() == (mode != "delete")
    done = over(path, replica)
    assert Shell(path).rows("SELECT count(*) FROM t") == [[2]]
    assert Shell(path).rows("PRAGMA journal_mode") == [["wal"]]
    assert Shell(done.kept).rows("SELECT y FROM u") == [[2]]
    assert not path.with_name("app.db-journal").exists() or mode != "delete"


def test_a_hot_journal_is_rolled_back_by_sqlite_before_anything_is_kept(tmp_path: Path, replica: Path) -> None:
    path = tmp_path / "app.db"
    Shell(path).run("CREATE TABLE u(y); INSERT INTO u VALUES(2)")
    leave(path, "PRAGMA cache_size=5;BEGIN;INSERT INTO u VALUES(zeroblob(900000))")
    assert path.with_name("app.db-journal").stat().st_size > 512
    assert Shell(over(path, replica).kept).rows("SELECT y FROM u") == [[2]]
    assert Shell(path).rows("SELECT count(*) FROM t") == [[2]]


@pytest.mark.parametrize("page_size", [512, 1024, 65536])
def test_another_size_of_pages_follows(tmp_path: Path, replica: Path, page_size: int) -> None:
    shell = Shell(tmp_path / "app.db")
    shell.run(f"PRAGMA page_size={page_size}; PRAGMA journal_mode=wal; CREATE TABLE u(y); INSERT INTO u VALUES(2)")
    leave(shell.path, "INSERT INTO u VALUES(zeroblob(3000000))")
    inode = shell.path.stat().st_ino
    done = over(shell.path, replica)
    assert shell.path.stat().st_ino == inode
    assert content(shell.path) == content(replica.with_name("app.db"))
    assert shell.rows("PRAGMA journal_mode") == [["wal"]]
    assert Shell(done.kept).rows("SELECT count(*) FROM u") == [[2]]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["app.db", done.kept.name]


@pytest.mark.parametrize("schema", [False, True], ids=["pages", "schema"])
def test_a_damaged_database_is_replaced_or_refused_and_its_bytes_are_kept(
    shell: Shell, replica: Path, schema: bool
) -> None:
    shell.run("INSERT INTO u VALUES(zeroblob(100000))")
    damaged = bytearray(shell.path.read_bytes())
    begin, end = (100, 4096) if schema else (4096, 20000)
    damaged[begin:end] = random.Random(1).randbytes(end - begin)
    shell.path.write_bytes(damaged)
    if schema:
        with pytest.raises(RestoreError, match=r"cannot be kept as one file.*malformed.*begins with app\.db- away"):
            over(shell.path, replica)
        assert shell.path.read_bytes() == damaged
    else:
        done = over(shell.path, replica)
        assert integrity.problems(shell.path, "full") == []
        assert done.kept.read_bytes() == damaged


def test_an_empty_database_is_replaced(tmp_path: Path, replica: Path) -> None:
    path = tmp_path / "app.db"
    path.touch()
    done = over(path, replica)
    assert Shell(path).rows("SELECT count(*) FROM t") == [[2]]
    assert Shell(done.kept).rows("SELECT * FROM sqlite_schema") == []


@pytest.mark.parametrize("length", [216, 230, 247])
def test_a_name_that_leaves_no_room_is_refused_before_anything_is_done(
    tmp_path: Path, replica: Path, length: int
) -> None:
    path = tmp_path / ("n" * length)
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE u(y)")
    with pytest.raises(RestoreError, match=f"too long by {length - 215} bytes"):
        kept_path(path, NOW)
    called: list[str] = []
    kept = path.with_name(f"{path.name}.before-restore-20261020T120402Z")
    with pytest.raises(RestoreError, match="too long"):
        restore_over(
            [OpenReplica("test", client_of(replica).storage)],
            path,
            RestoreOptions(),
            kept,
            lambda: called.append("pause"),
        )
    assert called == []
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_the_longest_name_that_is_not_refused_is_replaced(tmp_path: Path, replica: Path) -> None:
    path = tmp_path / ("n" * 215)
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE u(y)")
    done = over(path, replica)
    assert Shell(path).rows("SELECT count(*) FROM t") == [[2]]
    assert Shell(done.kept).rows("SELECT count(*) FROM u") == [[0]]


def test_a_path_longer_than_sqlite_opens_is_refused_before_anything_is_done(tmp_path: Path, replica: Path) -> None:
    folder = tmp_path
    while len(bytes(folder)) < 380:
        folder = folder / ("f" * 40)
    folder.mkdir(parents=True)
    path = folder / ("n" * (460 - len(bytes(folder)) + 20))
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE u(y)")
    with pytest.raises(RestoreError, match="too long by"):
        kept_path(path, NOW)


def test_the_kept_file_has_the_name_that_was_said_or_nothing_is_done(shell: Shell, replica: Path) -> None:
    kept = kept_path(shell.path, NOW)
    kept.write_text("somebody's")
    with pytest.raises(OutputExistsError, match="Choose the restore again"):
        restore_over([OpenReplica("test", client_of(replica).storage)], shell.path, RestoreOptions(), kept)
    assert kept.read_text() == "somebody's"
    assert shell.rows("SELECT y FROM u") == [[2]]


def test_a_second_restore_over_the_same_database_is_refused(shell: Shell, replica: Path) -> None:
    hidden = shell.path.with_name(".app.db.keeping")
    with hidden.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RestoreError, match=r"Another restore over .* is under way"):
            over(shell.path, replica)
    # Whoever held it is dead now.
    over(shell.path, replica)
    assert not hidden.exists()


def test_what_a_killed_one_left_is_removed_and_the_file_it_had_kept_is_not_written_to(
    shell: Shell, replica: Path
) -> None:
    earlier = shell.path.with_name("app.db.before-restore-20200101T000000Z")
    earlier.write_bytes(b"kept before")
    shell.path.with_name(".app.db.keeping").hardlink_to(earlier)
    shell.path.with_name(".app.db.replacement").write_bytes(b"half")
    over(shell.path, replica)
    assert earlier.read_bytes() == b"kept before"
    assert not list(shell.path.parent.glob(".*"))


def test_commits_that_came_later_are_said_and_kept(shell: Shell, replica: Path) -> None:
    leave(shell.path, "INSERT INTO u VALUES(3)")
    since = look(shell.path)
    leave(shell.path, "INSERT INTO u VALUES(4);INSERT INTO u VALUES(5)")
    done = over(shell.path, replica, since=since)
    [warning] = done.result.warnings
    assert "got 2 commits while this restore was chosen" in warning
    assert f"{done.kept.name} has them" in warning
    assert Shell(done.kept).rows("SELECT count(*) FROM u") == [[4]]


def test_commits_in_a_wal_that_is_gone_are_said_as_well(shell: Shell, replica: Path) -> None:
    since = look(shell.path)
    shell.run("INSERT INTO u VALUES(4)")
    [warning] = over(shell.path, replica, since=since).result.warnings
    assert "may have got commits" in warning


def test_nothing_is_said_of_commits_where_there_were_none(shell: Shell, replica: Path) -> None:
    leave(shell.path, "INSERT INTO u VALUES(3)")
    assert over(shell.path, replica, since=look(shell.path)).result.warnings == ()


def test_cancelled_while_it_is_written_leaves_the_old_one_and_keeps_nothing(
    shell: Shell, replica: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = threading.Event()
    reached: list[str] = []

    def hook(step: str) -> None:
        reached.append(step)
        if step == "replacement: partly written":
            cancel.set()

    before = content(shell.path)
    monkeypatch.setattr("replication.steps.hook", hook)
    with pytest.raises(RestoreCancelledError):
        over(shell.path, replica, cancel=cancel)
    assert "replacement: old one kept" in reached
    assert [item.name for item in shell.path.parent.iterdir()] == ["app.db"]
    assert content(shell.path) == before


def test_what_is_needed_of_the_disk_is_said_before_anything_is_done(
    shell: Shell, replica: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sha256(shell.path)
    for free, first in (((1 << 20) + 4096, True), (2 << 20, False)):
        real = os.statvfs(shell.path.parent)
        values = [*real][:10]
        values[0:2], values[2], values[4] = [1, 1], 10 << 20, free
        made = os.statvfs_result(values)
        monkeypatch.setattr(os, "statvfs", lambda folder, made=made: made)
        called: list[str] = []
        with pytest.raises(
            NoRoomError,
            match=r"needs [0-9.]+ MB, and the disk of .* has .* MB free, of which 1\.0 MB are left to .*nothing was c",
        ):
            over(shell.path, replica, pause=lambda called=called: called.append("pause"))
        assert called == ([] if first else ["pause"])
        monkeypatch.undo()
    assert sha256(shell.path) == before
    assert {item.name for item in shell.path.parent.iterdir()} <= {"app.db", "app.db-wal", "app.db-shm"}


@pytest.mark.parametrize("page_size", [4096, 1024])
@pytest.mark.parametrize(
    "step", ["wal folded in", "old one copied", "old one kept", "partly written", "committed", "folded in"]
)
def test_promise_4_a_disk_that_fills_up_at_any_step_leaves_the_old_or_the_new_one(
    tmp_path: Path, replica: Path, step: str, page_size: int
) -> None:
    """A disk of its own where one may be mounted, else a limit on the size of files, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.restore.full_disk", str(tmp_path / "disk"), str(replica), step, str(page_size)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_error_of_sqlite_is_this_programs_own(shell: Shell, replica: Path) -> None:
    shell.path.write_bytes(shell.path.read_bytes()[:4096])
    with pytest.raises(ReplicationError, match="move"):
        over(shell.path, replica)
