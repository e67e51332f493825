"""What only a folder can do wrong: links, leftovers, permissions, full disks."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from peers import die_with_parent
from replication.errors import StorageError
from replication.storage.file.location import FileLocation
from replication.storage.file.storage import FileStorage
from replication.storage.location import FilePermissions
from replication.storage.open import open_storage
from replication.storage.wal03.replica_client import ReplicaClient

NAME = "generations/0123456789abcdef/wal/00000000_00000000.wal.lz4"


def all_files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_an_object_is_a_plain_file_at_its_name(tmp_path: Path) -> None:
    store = open_storage(FileLocation(tmp_path / "replica"))
    store.put(NAME, [b"data"])
    assert (store.type, store.address) == ("file", f"file://{tmp_path}/replica")
    assert (tmp_path / "replica" / NAME).read_bytes() == b"data"
    assert all_files(tmp_path) == [f"replica/{NAME}"]


def test_the_time_of_writing_is_that_of_the_file_and_a_tick(tmp_path: Path) -> None:
    store = FileStorage(tmp_path)
    store.put("a", [b""])
    os.utime(tmp_path / "a", ns=(0, 1_700_000_000_123_456_789))
    [item] = store.list("")
    assert item.modified.isoformat() == "2023-11-14T22:13:20.133456+00:00"
    os.utime(tmp_path / "a", ns=(0, 1_700_000_000_000_000_000))
    [item] = store.list("")
    # A file system with times in whole seconds is known by them.
    assert item.modified.isoformat() == "2023-11-14T22:13:20+00:00"


def test_promise_3_no_object_is_older_by_its_time_than_what_it_holds(tmp_path: Path) -> None:
    """A file is dated by the kernel's last tick: by its own time it may have been there before it was begun."""
    store, begun = FileStorage(tmp_path), {}
    for number in range(200):
        begun[f"{number:03}"] = datetime.now(UTC)
        store.put(f"{number:03}", [b"x"])
    assert all(item.modified > begun[item.name] for item in store.list(""))


def test_modes_are_private_unless_given(tmp_path: Path) -> None:
    FileStorage(tmp_path / "private").put("folder/a", [b""])
    FileStorage(tmp_path / "shared", FilePermissions(0o640, 0o750)).put("folder/a", [b""])
    modes = {
        path: oct(stat.S_IMODE((tmp_path / path).stat().st_mode))
        for path in (
            "private",
            "private/folder",
            "private/folder/a",
            "shared",
            "shared/folder",
            "shared/folder/a",
        )
    }
    assert list(modes.values()) == ["0o700", "0o700", "0o600", "0o750", "0o750", "0o640"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_is_that_of_the_database(tmp_path: Path) -> None:
    FileStorage(tmp_path / "replica", FilePermissions(uid=1234, gid=4321)).put("folder/a", [b""])
    for path in ("replica", "replica/folder", "replica/folder/a"):
        status = (tmp_path / path).stat()
        assert (status.st_uid, status.st_gid) == (1234, 4321)


def test_links_below_the_root_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "wal").mkdir(parents=True)
    (outside / "wal" / "secret").write_bytes(b"secret")
    root = tmp_path / "replica"
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "wal" / "secret")
    (root / "loop").symlink_to(root)
    store = FileStorage(root)
    assert list(store.list("")) == []
    assert store.folders("") == []
    for name in ("folder/wal/secret", "file"):
        with pytest.raises(StorageError, match="symbolic link"):
            list(store.get(name))
    with pytest.raises(StorageError, match="symbolic link"):
        store.put("folder/new", [b""])
    with pytest.raises(StorageError, match="symbolic link"):
        store.delete(["folder/wal/secret"])
    store.put("file", [b"mine"])
    assert (root / "file").read_bytes() == b"mine"
    assert all_files(outside) == ["wal/secret"]
    assert (outside / "wal" / "secret").read_bytes() == b"secret"


def test_a_root_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    FileStorage(tmp_path / "link").put("a/b", [b"x"])
    assert all_files(tmp_path / "real") == ["a/b"]


def test_unfinished_writes_and_strange_files_are_not_listed(tmp_path: Path) -> None:
    store = FileStorage(tmp_path)
    store.put("wal/a", [b""])
    (tmp_path / "wal" / "b.tmp").write_bytes(b"Litestream's own unfinished write")
    os.mkfifo(tmp_path / "wal" / "pipe")
    (tmp_path / "wal" / "back\\slash").write_bytes(b"")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c.tmp").write_bytes(b"")
    assert [item.name for item in store.list("")] == ["wal/a"]
    assert store.folders("") == ["wal"]
    with pytest.raises(StorageError, match="not a plain file"):
        list(store.get("wal/pipe"))
    with pytest.raises(ValueError, match="unfinished"):
        store.put("wal/b.tmp", [b""])


def test_a_killed_writer_leaves_a_leftover_that_the_next_removes(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from replication.storage.file.storage import FileStorage\n"
        "def chunks():\n"
        "    yield b'half'\n"
        "    print('written', flush=True)\n"
        "    time.sleep(60)\n"
        "FileStorage(pathlib.Path(sys.argv[1])).put('wal/a', chunks())\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, preexec_fn=die_with_parent
    )
    assert writer.stdout is not None
    with writer.stdout:
        assert writer.stdout.readline() == b"written\n"
        [leftover] = (tmp_path / "wal").iterdir()
        old = leftover.stat().st_mtime - 3600
        os.utime(leftover, (old, old))
        FileStorage(tmp_path).put("wal/b", [b""])
        assert leftover.exists(), "the write is alive: its lock is held"
        writer.kill()
        writer.wait()
    FileStorage(tmp_path).put("wal/c", [b""])
    assert all_files(tmp_path) == ["wal/b", "wal/c"]


def test_leftovers_go_from_folders_that_nobody_writes_to_any_more(tmp_path: Path) -> None:
    # As of a first snapshot that was never finished: the next start begins another generation.
    dead = tmp_path / "generations" / "a" / "snapshots" / ".0123456789abcdef.tmp"
    young = tmp_path / "generations" / "b" / ".0123456789abcdef.tmp"
    for path in (dead, young):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
    os.utime(dead, (0, 0))
    FileStorage(tmp_path).put("generations/c/x", [b""])
    assert all_files(tmp_path) == ["generations/b/.0123456789abcdef.tmp", "generations/c/x"]
    assert not (tmp_path / "generations" / "a").exists()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "Input/output error")],
)
def test_a_failing_disk_is_the_stores_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    store = FileStorage(tmp_path)

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError) as caught:
        store.put("a", [b"data"])
    assert words in str(caught.value)
    assert str(tmp_path / "a") in str(caught.value)
    assert all_files(tmp_path) == []


def test_a_full_disk(tmp_path: Path) -> None:
    """A real one: /dev/full in the place of the temporary cannot be had, so a size limit stands in."""
    script = (
        "import sys, resource, signal, pathlib\n"
        "from replication.errors import StorageError\n"
        "from replication.storage.file.storage import FileStorage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    FileStorage(pathlib.Path(sys.argv[1])).put('wal/a', [b'x' * 800, b'y' * 800])\n"
        "except StorageError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=30
    )
    assert run.stdout == f"cannot write {tmp_path}/wal/a: File too large\n"
    assert all_files(tmp_path) == []


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root, name in ((tmp_path, "file/a"), (tmp_path / "file", "a")):
        store = FileStorage(root)
        with pytest.raises(StorageError, match="where a folder should be"):
            store.put(name, [b""])
        with pytest.raises(StorageError, match="where a folder should be"):
            list(store.get(name))


def test_a_file_that_shrinks_while_read_is_an_error(tmp_path: Path) -> None:
    store = FileStorage(tmp_path)
    store.put("a", [b"x" * 3_000_000])
    pieces: Iterator[bytes] = store.get("a")
    next(pieces)
    os.truncate(tmp_path / "a", 1_500_000)
    with pytest.raises(StorageError, match="became shorter"):
        list(pieces)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    store = FileStorage(tmp_path / "replica")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for turn in range(5):
        store.put(f"a/b/{turn}", [b"x"])
        list(store.get(f"a/b/{turn}"))
    pieces = store.get("a/b/0")
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert len(list(store.list(""))) == 5
    store.delete([f"a/b/{turn}" for turn in range(5)])
    (tmp_path / "replica" / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        store.put("file/x", [b""])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_links_and_strange_files_are_told(tmp_path: Path) -> None:
    """One of them may stand where a newer object was."""
    wal = tmp_path / "generations" / ("0" * 16) / "wal"
    wal.mkdir(parents=True)
    (wal / "00000000_00000000.wal.lz4").symlink_to(tmp_path)
    (wal / "back\\slash").write_bytes(b"")
    (tmp_path / "generations" / ("1" * 16)).symlink_to(tmp_path)
    os.mkfifo(wal / "pipe")
    (wal / "unfinished.tmp").write_bytes(b"")
    told: list[str] = []
    client = ReplicaClient(FileStorage(tmp_path), told.append)
    assert client.generations() == []
    assert client.segments("0" * 16) == []
    assert sum("neither a plain file nor a folder" in line for line in told) == 3
    assert sum("not a name of the replica format" in line for line in told) == 1
