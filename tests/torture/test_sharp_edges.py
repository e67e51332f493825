"""Known edges of Litestream 0.3.13 at which data is lost or replication stands still, one test each: not here.

The numbers are those of the table in docs/reports/litestream-edges.md; edges of the command line, of URLs and of the
configuration are in test_sharp_edges_outside.py.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from replication.database.checkpoint import WAL_OFFSET_URGENT_BYTES, CheckpointPolicy, CheckpointState, due
from replication.errors import (
    DatabaseLockedError,
    NoRestorePointError,
    ReplicationError,
    StorageError,
)
from replication.position import OFFSET_LIMIT_BYTES, Position
from replication.replica.wal03.replica import Replica
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.wal03.catalog import read_catalog
from replication.storage.file.storage import FileStorage
from replication.storage.wal03.names import parse_segment, segment_name, snapshot_name
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.engine.running import client_of, config_of, restored, running
from tests.foreign import Shell
from tests.replica.bench import Bench

DOWN = StorageError("the store is down")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "bench"
    folder.mkdir()
    bench = Bench(folder)
    bench.database.sync()
    yield bench
    bench.close()


def here(bench: Bench) -> Position:
    """Where copying stands."""
    assert bench.database.position is not None
    return bench.database.position


def settled(bench: Bench, commits: int = 4, checkpoints: int = 2) -> list[str]:
    """A replica with several indexes, some in several segments; the names of its segments."""
    bench.replica()
    for number in range(commits * (checkpoints + 1)):
        bench.commit()
        bench.settle()
        if number % commits == commits - 1 and number < commits * checkpoints:
            bench.database.checkpoint()
    return [name for name in bench.storages["a"].names() if "/wal/" in name]


def test_e01_an_upload_that_fails_before_its_body_was_read_hangs_nothing(bench: Bench, tmp_path: Path) -> None:
    root = tmp_path / "replica"
    replica = Replica("file", ReplicaClient(FileStorage(root)), bench.database, bench.emit, restored_digest)
    bench.commit()
    replica.sync()
    wal = root / "generations" / here(bench).generation / "wal"
    wal.rename(tmp_path / "aside")
    wal.write_bytes(b"a file where the folder was")
    bench.commit(200_000)
    for _ in range(3):
        with pytest.raises(StorageError, match="wal"):
            replica.sync()
    wal.unlink()
    (tmp_path / "aside").rename(wal)
    assert replica.sync()
    assert restored(client_of(root), tmp_path / "out.db") == bench.app.sha256()


def test_e02_what_could_not_be_sent_is_sent_without_another_commit(bench: Bench) -> None:
    settled(bench)
    bench.commit()
    bench.storages["a"].fail("put", DOWN, 2)
    for _ in range(2):
        with pytest.raises(StorageError):
            bench.replica().sync()
    assert bench.replica().sync()
    assert bench.restored() == bench.app.sha256()


@pytest.mark.parametrize("restart", [True, False])
def test_e03_a_replica_that_was_emptied_is_not_continued_without_a_snapshot(bench: Bench, restart: bool) -> None:
    settled(bench)
    storage = bench.storages["a"]
    storage.delete(storage.names())
    bench.commit()
    bench.replica().sync()
    if restart:
        bench.restart()
    else:
        bench.replica().enforce_retention(3600, bench.clock.now)
    bench.settle()
    assert bench.restored() == bench.app.sha256()


def test_e06_a_snapshot_may_be_any_number_of_indexes_past_the_last_segment(bench: Bench) -> None:
    names = settled(bench, checkpoints=3)
    bench.replica().snapshot()
    assert here(bench).index == 3
    bench.storages["a"].delete([name for name in names if "/00000000_" not in name])
    assert bench.restored() == bench.app.sha256()


def test_e07_a_newest_generation_without_a_snapshot_does_not_hide_an_older_one(bench: Bench, tmp_path: Path) -> None:
    settled(bench)
    before, older = bench.app.sha256(), here(bench).generation
    bench.database.request_generation("test")
    bench.commit()
    bench.settle()
    bench.commit()
    bench.settle()
    generation = here(bench).generation
    bench.storages["a"].delete([snapshot_name(generation, 0)])
    # An older state is not what was asked for: the person is told, and names it.
    with pytest.raises(NoRestorePointError, match=f"{generation} is newer.*no snapshot.*{older}"):
        restore([OpenReplica("a", bench.replica().client.storage)], tmp_path / "out.db")
    restore([OpenReplica("a", bench.replica().client.storage)], tmp_path / "out.db", RestoreOptions(generation=older))
    assert hashlib.sha256((tmp_path / "out.db").read_bytes()).hexdigest() == before


def test_e10_no_commit_between_a_copy_and_a_restart_of_the_wal_is_lost(bench: Bench) -> None:
    bench.replica()
    with Shell(bench.path).open(timeout=0.0) as other:
        for number in range(24):
            bench.commit(sync=False)
            if number % 3 == 1:
                bench.database.checkpoint()
                bench.commit(sync=False)
            if number % 4 == 3:
                other.execute(f"PRAGMA wal_checkpoint({('PASSIVE', 'RESTART', 'TRUNCATE')[number % 3]})")
            if number % 5 == 4:
                bench.database.sync()
    bench.settle()
    assert len(bench.reasons()) == 1
    bench.check()


def test_e11_one_pass_of_copying_and_uploading_ends_although_the_writer_does_not(bench: Bench) -> None:
    """Each commit is made while the one before it is uploaded; a pass that chased them would never return."""
    replica = bench.replica()
    bench.settle()
    bench.commit()
    storage, put = bench.storages["a"], bench.storages["a"].put
    written = 0

    def put_while_writing(name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        nonlocal written
        written += 1
        assert written < 10, "it follows the writer"
        size = put(name, chunks, create=create)
        bench.commit()
        return size

    storage.put = put_while_writing  # type: ignore[method-assign]
    assert replica.sync()
    assert written == 1


def test_e12_writers_are_not_kept_waiting_by_a_checkpoint_behind_a_long_reader(bench: Bench) -> None:
    bench.replica()
    with Shell(bench.path).open() as reader, Shell(bench.path).open(timeout=0.0) as impatient:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t")
        for _ in range(20):
            impatient.execute("INSERT INTO t(b) VALUES(randomblob(5000))")
            bench.database.sync()
            bench.database.checkpoint()
        reader.execute("COMMIT")
    bench.settle()
    assert bench.restored() == bench.app.sha256()


def test_e13_blocked_checkpoints_do_not_make_the_wal_grow(bench: Bench) -> None:
    bench.replica()
    bench.commit()
    bench.settle()
    wal = Path(f"{bench.path}-wal")
    with Shell(bench.path).open() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t")
        bench.commit()
        size, position = wal.stat().st_size, here(bench)
        for _ in range(20):
            bench.database.checkpoint()
            bench.database.sync()
        assert (wal.stat().st_size, here(bench)) == (size, position)


def test_e14_e15_an_end_in_the_middle_of_uploads_and_checkpoints_is_clean(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with Shell(path).open(autocheckpoint=False) as app:
        app.execute("PRAGMA journal_mode=wal")
        app.execute("CREATE TABLE t(b)")
        for _ in range(4):
            config = config_of(path, tmp_path / "replica", pages_min=1, checkpoint_seconds=0.001, monitor_seconds=0.001)
            # `running` fails if anything is left when it closes.
            with running(config) as engine:
                for _ in range(10):
                    app.execute("INSERT INTO t VALUES(randomblob(3000))")
            assert [event for event in engine.events_since(0) if event.level == "error"] == []
            assert restored(client_of(tmp_path / "replica"), tmp_path / "out.db") == app.sha256()


@pytest.mark.parametrize("size", [0, 31, 32, 33, 56, 32 + 1047, 32 + 1048 + 100])
def test_e17_a_torn_shadow_wal_heals_at_the_next_start(bench: Bench, size: int) -> None:
    settled(bench)
    path = bench.database.shadow.path(here(bench).generation, here(bench).index)
    assert path.stat().st_size > size
    bench.restart(lambda: os.truncate(path, size))
    bench.commit()
    bench.settle()
    assert bench.restored() == bench.app.sha256()


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: os.truncate(path, 0)])
def test_e18_a_wal_removed_or_emptied_by_force_is_told_and_replication_goes_on(
    bench: Bench, harm: Callable[[Path], None]
) -> None:
    settled(bench)
    bench.database.checkpoint()
    bench.app.kill()
    bench.app.close()
    harm(Path(f"{bench.path}-wal"))
    bench.app = Shell(bench.path).open(autocheckpoint=False)
    for _ in range(3):
        bench.commit(sync=False)
        with suppress(ReplicationError):
            bench.database.sync()
    bench.settle()
    assert bench.restored() == bench.app.sha256()


def test_e21_the_old_generation_is_whole_in_the_replica_before_the_new_one_begins(bench: Bench) -> None:
    settled(bench)
    old = here(bench).generation
    bench.storages["a"].fail("put", DOWN, 1000)
    bench.commit()
    bench.commit()
    bench.database.request_generation("test")
    bench.commit()
    bench.clean()
    bench.settle()
    assert bench.numbers("a", old)[-1] >= len(bench.states) - 2
    bench.check()


def test_e22_a_snapshot_costs_no_restore_point(bench: Bench) -> None:
    settled(bench, checkpoints=0)
    points = [here(bench)]
    states = [bench.app.sha256()]
    for _ in range(3):
        bench.replica().snapshot()
        bench.commit()
        bench.settle()
        points.append(here(bench))
        states.append(bench.app.sha256())
        bench.clock.now += timedelta(hours=1)
        bench.replica().enforce_retention(24 * 3600, bench.clock.now)
    assert [bench.restored(position=at) for at in points] == states


def test_e23_no_life_of_the_wal_reaches_4_gib() -> None:
    policy = CheckpointPolicy(pages_min=1 << 40, pages_max=0, interval_seconds=0)
    assert due(CheckpointState(WAL_OFFSET_URGENT_BYTES, 0, 0), policy, 4096, 0)
    name = segment_name(Position("0" * 16, 0, OFFSET_LIMIT_BYTES - 1)).rpartition("/")[2]
    assert parse_segment(name) == (0, OFFSET_LIMIT_BYTES - 1)
    assert WAL_OFFSET_URGENT_BYTES * 4 <= OFFSET_LIMIT_BYTES


def test_e35_a_second_engine_is_refused(bench: Bench) -> None:
    with pytest.raises(DatabaseLockedError):
        bench.open().lock()
    bench.commit()
    assert bench.database.position is not None


def test_e38_what_we_do_not_know_in_the_local_folder_stays(bench: Bench) -> None:
    settled(bench)
    generations = bench.database.shadow.meta_path / "generations"
    strange = [generations / "notes.txt", generations / here(bench).generation / "wal" / "00000000.wal.mine"]
    for path in strange:
        path.write_bytes(b"mine")
    (generations / "folder").mkdir()
    bench.clean()
    bench.restart()
    bench.commit()
    bench.settle()
    bench.clean()
    assert all(path.read_bytes() == b"mine" for path in strange)
    assert (generations / "folder").is_dir()


def test_e39_a_writer_that_waits_a_second_never_meets_a_locked_database(bench: Bench) -> None:
    bench.replica()
    with Shell(bench.path).open(timeout=1.0) as writer:
        for _ in range(40):
            writer.execute("INSERT INTO t(b) VALUES(randomblob(500))")
            bench.database.sync()
            bench.database.checkpoint()
    bench.settle()
    assert bench.restored() == bench.app.sha256()


def test_e40_a_torn_last_segment_is_written_again(bench: Bench) -> None:
    name = settled(bench)[-1]
    whole = bench.storages["a"].read(name)
    for size in (0, 10, len(whole) - 1):
        bench.restart()
        bench.storages["a"].replace(name, whole[:size])
        bench.commit()
        bench.settle()
        assert bench.restored() == bench.app.sha256()
        name = [name for name in bench.storages["a"].names() if "/wal/" in name][-1]
        whole = bench.storages["a"].read(name)


def test_e41_no_empty_segment_is_published(bench: Bench) -> None:
    settled(bench)
    position = here(bench)
    empty = bench.database.shadow.path(position.generation, position.index + 1)
    bench.restart(lambda: empty.write_bytes(b""))
    bench.settle()
    bench.database.checkpoint()
    bench.commit()
    bench.settle()
    client = bench.replica().client
    for generation in client.generations():
        segments = client.segments(generation)
        for segment, following in zip(segments, [*segments[1:], None], strict=True):
            size = sum(map(len, client.read(segment.name)))
            # The end mark of an index is none: there is something before it, and nothing after it in its index.
            last = generation != here(bench).generation if following is None else following.offset == 0
            ends = segment.offset > 0 and last
            assert size >= 32 or (size == 0 and ends)
    assert bench.restored() == bench.app.sha256()


def test_e42_a_newer_generation_of_somebody_else_does_not_cost_the_one_in_use(bench: Bench) -> None:
    settled(bench)
    storage = bench.storages["a"]
    late = bench.clock.now + timedelta(days=30)
    for name in storage.names():
        storage.replace(name.replace(here(bench).generation, "f" * 16), storage.read(name), late)
    bench.replica().enforce_retention(3600, late)
    generation = here(bench).generation
    assert read_catalog(bench.replica().client, generation).snapshots
    result = restored(bench.replica().client, bench.folder / "out.db", here(bench))
    assert result == bench.app.sha256()
