"""Folders that cannot be written and disks that fill up: the application goes on, and so do we when there is room."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Published
from tests.cli.program import Replicating, as_an_ordinary_user, contents, read_only, refuses, run, succeeds
from tests.cli.small_disk import ROOM_BYTES, SmallDisk, kinds
from tests.foreign import ForeignConnection, Shell

QUICK = "monitor-interval: 20ms"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "app.db"
    path.parent.mkdir()
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    return path


def everything(path: Path) -> list[list[Any]]:
    return Shell(path).rows("SELECT rowid, a FROM t ORDER BY 1")


def restored(url: str, folder: Path) -> list[list[Any]]:
    succeeds("restore", "-o", folder / "restored.db", url)
    return everything(folder / "restored.db")


def test_a_read_only_folder(database: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    with read_only(database.parent):
        result = run("replicate", database, f"file://{tmp_path}/replica", before=as_an_ordinary_user)
    meta = database.with_name(".app.db-litestream")
    refuses(result, 14, f"cannot write the shadow WAL at {meta}: Permission denied", "write permission", "meta-path")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("meta", ["", "meta", "deep/meta"])
def test_a_meta_path_in_a_read_only_folder_is_named_itself(database: Path, tmp_path: Path, meta: str) -> None:
    """And so is the folder in the way."""
    folder = tmp_path / "read only"
    folder.mkdir()
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {database}, meta-path: {folder}/{meta}, replicas: [{{path: {tmp_path}/r}}]}}]")
    with read_only(folder):
        result = run("replicate", "-config", config, before=as_an_ordinary_user)
    refuses(result, 14, f"{folder / meta}", f"{folder}", "Permission denied", "write permission", "meta-path")
    assert contents(folder) == {}


def test_a_read_only_database(database: Path, tmp_path: Path) -> None:
    database.chmod(0o444)
    result = run("replicate", database, f"file://{tmp_path}/replica", before=as_an_ordinary_user)
    refuses(result, 4, f"{database} may not be written by this user", "give write permission", "folder")
    assert not (tmp_path / "replica").exists()


def test_a_read_only_output(published: Published, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    output = folder / "restored.db"
    with read_only(folder):
        result = run("restore", "-o", output, published.url, before=as_an_ordinary_user)
    refuses(result, 14, f"{output} cannot be written: Permission denied", "Choose an output that you may write to")
    assert contents(folder) == {}


def test_a_read_only_replica_is_written_when_it_can_be(database: Path, tmp_path: Path) -> None:
    root = tmp_path / "replica"
    root.mkdir()
    with Replicating(tmp_path / "log", database, f"file://{root}", before=as_an_ordinary_user) as replicate:
        with read_only(root):
            replicate.wait_for("level=ERROR", f"cannot write {root}/generations/", "permission denied", "write access")
        replicate.wait_for("reached again")
        assert replicate.end() == 0
    assert restored(f"file://{root}", tmp_path) == everything(database)


@pytest.mark.parametrize("small_disk", kinds())
def test_a_full_disk_under_the_shadow_wal(
    database: Path, tmp_path: Path, small_disk: Callable[[Path], SmallDisk]
) -> None:
    """The application commits all the time, the error says where, and with room everything is uploaded."""
    meta, config = tmp_path / "meta", tmp_path / "litestream.yml"
    config.write_text(
        f"dbs:\n- {{path: {database}, meta-path: {meta}, {QUICK}, replicas: [{{path: {tmp_path}/replica}}]}}"
    )
    disk = small_disk(meta)
    with (
        Replicating(tmp_path / "log", "-config", config, before=disk.before) as replicate,
        ForeignConnection(database, timeout=1.0) as application,
    ):
        replicate.wait_for("snapshot written")
        for _ in range(2 * ROOM_BYTES // 100_000):
            application.execute("INSERT INTO t VALUES(hex(randomblob(50000)))")
        replicate.wait_for("level=ERROR", f"{meta}/generations/", disk.words)
        application.execute("INSERT INTO t VALUES('while it was full')")
        disk.make_room(replicate.pid)
        replicate.wait_for("sync recovered")
        assert replicate.end() == 0
    assert restored(f"file://{tmp_path}/replica", tmp_path) == everything(database)


@pytest.mark.parametrize("small_disk", kinds())
def test_a_full_disk_under_the_replica(database: Path, tmp_path: Path, small_disk: Callable[[Path], SmallDisk]) -> None:
    root = tmp_path / "replica"
    disk = small_disk(root)
    Shell(database).run(f"INSERT INTO t VALUES(randomblob({3 * ROOM_BYTES // 2}))")
    with Replicating(tmp_path / "log", database, f"file://{root}", before=disk.before) as replicate:
        replicate.wait_for("level=ERROR", f"cannot write {root}/generations/")
        disk.make_room(replicate.pid)
        replicate.wait_for("reached again")
        root_there = Path(f"/proc/{replicate.pid}/root{root}")
        assert restored(f"file://{root_there}", tmp_path) == everything(database)
        assert replicate.end() == 0


@pytest.mark.parametrize("small_disk", kinds())
def test_a_full_disk_under_a_restore(database: Path, tmp_path: Path, small_disk: Callable[[Path], SmallDisk]) -> None:
    Shell(database).run(f"INSERT INTO t VALUES(randomblob({3 * ROOM_BYTES // 2}))")
    with Replicating(tmp_path / "log", database, f"file://{tmp_path}/replica") as replicate:
        replicate.wait_for("snapshot written")
        assert replicate.end() == 0
    output = tmp_path / "out" / "restored.db"
    disk = small_disk(output.parent)
    result = run("restore", "-o", output, f"file://{tmp_path}/replica", before=disk.before)
    line = refuses(result, 14, f"{output}")
    assert "needs 0.6 MB" in line or "cannot be written" in line
    assert contents(output.parent) == {}
