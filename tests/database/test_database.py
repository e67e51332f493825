"""A database on bad days: what fails half way is made good later, and nothing is forgotten meanwhile."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from replication.database import wal_copier
from replication.database.wal_copier import WALTooLongError
from replication.errors import DatabaseError, LocalFileError
from replication.local.shadow_wal import ShadowWAL
from replication.position import Position
from replication.sqlite import pin
from tests.foreign import Shell
from tests.replica.bench import Bench


def fail_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The next call of a method of ShadowWAL fails for want of space."""
    method = getattr(ShadowWAL, name)

    def fails(self: ShadowWAL, *values: object) -> None:
        monkeypatch.setattr(ShadowWAL, name, method)
        raise LocalFileError("no space left")

    monkeypatch.setattr(ShadowWAL, name, fails)


@pytest.mark.parametrize("failing", ["make_generation", "append", "use_generation"])
def test_a_generation_that_could_not_begin_begins_later_for_the_same_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    bench.replica()
    bench.commit()
    bench.settle()
    bench.database.request_generation("something was lost")
    fail_once(monkeypatch, failing)
    with pytest.raises(LocalFileError):
        bench.database.sync()
    bench.commit()
    assert bench.reasons() == ["no generation exists", "something was lost"]
    assert len(bench.database.shadow.generations()) <= 2, "what could not begin left its folder"
    bench.settle()
    bench.check()


def test_a_file_replaced_while_there_is_no_space_is_not_taken_for_the_old_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same WAL, header and all, lies beside another database file: only the reason says that it is another.
    bench.replica()
    bench.commit()
    bench.settle()
    bench.app.kill()
    copy = Path(f"{bench.path}.copy")
    wal = Path(f"{bench.path}-wal")
    content = wal.read_bytes()
    Shell(copy).run("PRAGMA page_size=1024; PRAGMA journal_mode=wal; CREATE TABLE other(x);")
    copy.rename(bench.path)
    # Another inode, as when file and WAL were both copied here.
    wal.unlink()
    wal.write_bytes(content)
    fail_once(monkeypatch, "make_generation")
    for _ in range(2):
        try:
            bench.database.sync()
        except LocalFileError:
            continue
    assert bench.reasons() == ["no generation exists", "database file replaced"]


@pytest.mark.parametrize("moment", ["before", "behind the barrier"])
def test_promise_4_a_checkpoint_never_brings_a_wal_into_the_file_that_took_the_place_of_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    bench.commit()
    bench.app.kill()
    other = Shell(Path(f"{bench.path}.other"))
    other.run("PRAGMA page_size=1024; PRAGMA journal_mode=wal; CREATE TABLE other(x);")
    content = other.path.read_bytes()
    if moment == "before":
        other.path.rename(bench.path)
    else:
        passive = pin._passive

        def replaced(helper: Any) -> Any:
            # After the large part, before the connection that keeps writers out.
            result = passive(helper)
            if other.path.exists():
                other.path.rename(bench.path)
            return result

        monkeypatch.setattr(pin, "_passive", replaced)
    with pytest.raises(DatabaseError, match="still belongs to the file before"):
        bench.database.checkpoint()
    said = subprocess.run(["sha256sum", bench.path], check=True, capture_output=True, text=True).stdout
    assert said.split()[0] == hashlib.sha256(content).hexdigest()


def test_a_checkpoint_beside_a_wal_that_was_made_anew_begins_a_generation(bench: Bench) -> None:
    bench.commit()
    bench.database.checkpoint()
    bench.app.kill()
    for suffix in ("-wal", "-shm"):
        Path(f"{bench.path}{suffix}").unlink()
    with Shell(bench.path).open() as app:
        app.execute("INSERT INTO t(b) VALUES(randomblob(90000))")
        bench.database.checkpoint()
        assert bench.reasons()[1:] == ["-shm removed or replaced by another process"]
        bench.replica()
        bench.settle()
        assert bench.restored() == app.sha256()


def test_frames_that_could_not_be_written_are_written_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.replica()
    bench.settle()
    pwrite = os.pwrite
    room = 1500

    def tight(descriptor: int, data: memoryview, offset: int) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(28, "No space left on device")
        written = pwrite(descriptor, data[:room], offset)
        room -= written
        return written

    before = bench.database.position
    monkeypatch.setattr(os, "pwrite", tight)
    for _ in range(4):
        with pytest.raises(LocalFileError, match="no space left"):
            bench.commit(3000)
        # The application goes on, and nothing is checkpointed away meanwhile.
        with pytest.raises(LocalFileError):
            bench.database.checkpoint()
        assert bench.database.position == before
        assert bench.database.health.state == "error"
    monkeypatch.setattr(os, "pwrite", pwrite)
    bench.settle()
    bench.check()
    assert bench.reasons() == ["no generation exists"]


@pytest.mark.parametrize("reader_first", [True, False])
def test_a_wal_that_grew_too_long_is_left_and_a_generation_begins(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, reader_first: bool
) -> None:
    bench.replica()
    bench.commit()
    bench.settle()
    monkeypatch.setattr(wal_copier, "OFFSET_LIMIT_BYTES", 100_000)
    with Shell(bench.path).open() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t")
        for _ in range(12):
            bench.commit(9000, sync=False)
        for _ in range(3):
            with pytest.raises(WALTooLongError, match="end that reader"):
                bench.database.sync()
        if reader_first:
            reader.execute("COMMIT")
    # The application never checkpoints, as Litestream advises.
    with pytest.raises(WALTooLongError):
        bench.database.sync()
    bench.commit()
    assert bench.reasons() == [
        "no generation exists",
        "wal header mismatch: it was restarted while not replicating",
    ]
    bench.settle()
    assert bench.restored() == bench.app.sha256()


def test_no_wal_is_removed_before_every_replica_has_it(bench: Bench) -> None:
    database = bench.database
    for _ in range(4):
        bench.commit()
        database.checkpoint()
    here = bench.commit()
    assert here is not None
    shadow, generation = database.shadow, here.generation
    whole = shadow.indexes(generation)
    assert whole == [0, 1, 2, 3, 4]
    database.clean([here, None])
    database.clean([None])
    database.clean([here, Position("ffffffffffffffff", 9, 0)])
    assert shadow.indexes(generation) == whole
    database.clean([here, Position(generation, 2, 0)])
    assert shadow.indexes(generation) == [1, 2, 3, 4]
    database.clean([here])
    assert shadow.indexes(generation) == [3, 4]


def test_old_generations_go_when_no_replica_is_in_them(bench: Bench) -> None:
    first = bench.commit()
    bench.database.request_generation("test")
    second = bench.commit()
    assert first is not None
    assert second is not None
    shadow = bench.database.shadow
    bench.database.clean([first, second])
    assert shadow.generations() == [first.generation, second.generation]
    bench.database.clean([second, second])
    assert shadow.generations() == [second.generation]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_the_shadow_wal_may_be_read_by_whoever_may_read_the_database(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o750)
    bench = Bench(folder)
    bench.path.chmod(mode)
    owner = 12345 if os.geteuid() == 0 else os.geteuid()
    for item in (folder, *folder.iterdir()):
        os.chown(item, owner, os.getegid())
    old_mask = os.umask(0o022)
    try:
        bench.database.sync()
        bench.commit()
    finally:
        os.umask(old_mask)
    for item in (folder / "meta").rglob("*"):
        if item.name.startswith("litestream-tui"):
            continue
        status = item.stat()
        assert status.st_uid == owner, item
        expected = 0o750 if item.is_dir() else mode
        assert status.st_mode & 0o777 == expected & ~0o022, item
    bench.close()
