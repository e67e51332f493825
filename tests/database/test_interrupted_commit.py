"""Promise 1 where a writer is killed after its frames are in the WAL, and before SQLite counts them.

Whoever reads the WAL sees a whole commit; SQLite goes on without it, and puts the next one in its place.
"""

import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replication.database.wal_copier import LOOK_AGAIN_SECONDS_MAX, LOOK_AGAIN_SECONDS_MIN
from replication.sqlite.checksum import checksum
from tests.database.shared_memory import index_header, tear_index
from tests.foreign import ForeignConnection, Shell
from tests.replica.bench import Bench


def interrupt(bench: Bench, pages: int) -> None:
    """Another writer's commit, complete in the WAL, that SQLite does not count."""
    before = bytes.fromhex(index_header(bench.path))
    victim: ForeignConnection = Shell(bench.path).open(autocheckpoint=False)
    victim.execute(f"INSERT INTO t(b) VALUES(randomblob({pages * 1024}))")
    victim.kill()
    victim.close()  # its pipes
    after = bytes.fromhex(index_header(bench.path))
    index_header(bench.path, _not_published(before, after).hex())


def _not_published(before: bytes, after: bytes) -> bytes:
    """The header as it was before the commit; if that began a life, with the restart, which is published by itself."""
    salts = slice(32, 40)
    if before[salts] == after[salts]:
        return before
    # No frame counts, none was copied back, and no reader needs one (walRestartHdr in wal.c).
    head = before[:16] + bytes(4) + before[20:32] + after[salts]
    head += struct.pack("=2I", *checksum(head, (0, 0), sys.byteorder == "big"))
    return 2 * head + bytes(8) + struct.pack("=4I", *[0xFFFFFFFF] * 4) + bytes(16)


@pytest.mark.parametrize("first", [False, True], ids=["in a life", "first of a life"])
@pytest.mark.parametrize("pages", [1, 5, 40])
@pytest.mark.parametrize("checkpoints", [0, 1, 3])
@pytest.mark.parametrize("reopened", [False, True], ids=["held", "opened again"])
def test_promise_1_a_commit_that_sqlite_does_not_count_never_leaves(
    bench: Bench, first: bool, pages: int, checkpoints: int, reopened: bool
) -> None:
    replica = bench.replica()
    bench.commit()
    replica.sync()
    if first:
        bench.database.checkpoint()
    before = bench.database.position
    interrupt(bench, pages)
    bench.database.sync()
    assert bench.database.position == before
    for _ in range(checkpoints):
        bench.database.checkpoint()
        bench.database.sync()
    assert bench.database.position == before
    if reopened:
        bench.restart()
        replica = bench.replica()
    # What was written over the WAL's header while nobody held it, nobody can know.
    proven = not (first and reopened)
    assert (bench.database.position == before) == proven
    replica.sync()
    assert bench.restored() == bench.states[-1]
    for size in (100, 3000, 10):
        bench.commit(size)
        replica.sync()
        assert bench.restored() == bench.states[-1]
    bench.check()
    if proven:
        assert len(bench.reasons()) == 1, "a commit that never counted costs no generation"


def test_promise_1_a_reader_that_blocks_the_restart_and_then_ends_changes_nothing(bench: Bench) -> None:
    replica = bench.replica()
    bench.commit()
    with Shell(bench.path).open() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t")
        bench.commit()
        interrupt(bench, 5)
        bench.database.checkpoint()
        replica.sync()
        reader.execute("COMMIT")
    bench.database.checkpoint()
    interrupt(bench, 3)
    for _ in range(4):
        bench.commit()
        bench.database.checkpoint()
        replica.sync()
    bench.check()
    assert len(bench.reasons()) == 1


def test_promise_2_a_small_commit_over_a_large_one_that_was_killed_arrives_with_the_next_sync(bench: Bench) -> None:
    replica = bench.replica()
    bench.commit()
    replica.sync()
    interrupt(bench, 24 << 10)
    bench.database.sync()
    bench.commit(10)
    replica.sync()
    assert bench.restored() == bench.states[-1]


def test_promise_2_a_commit_at_the_same_time_of_writing_and_size_arrives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that keeps times in whole seconds tells nothing of a commit in the place of another."""
    replica = bench.replica()
    bench.commit()
    bench.database.checkpoint()
    bench.commit(2000)
    interrupt(bench, 2)
    bench.database.sync()
    wal = Path(f"{bench.path}-wal")
    size, modified = wal.stat().st_size, wal.stat().st_mtime_ns
    bench.write("INSERT INTO t(b) VALUES(randomblob(900))")
    subprocess.run(
        [sys.executable, "-c", f"import os; os.utime({str(wal)!r}, ns=({modified}, {modified}))"], check=True
    )
    assert (wal.stat().st_size, wal.stat().st_mtime_ns) == (size, modified)
    bench.database.sync()
    replica.sync()
    assert bench.restored() == bench.states[-1]


def test_frames_that_may_come_to_count_are_looked_at_soon_and_then_more_rarely(bench: Bench) -> None:
    bench.commit()
    assert bench.database.sync() is None
    interrupt(bench, 5)
    waits = []
    for _ in range(20):
        again, now = bench.database.sync(), time.time()
        wait = bench.database.look_again_seconds
        assert again is not None
        assert wait is not None
        assert bench.database.health.last_sync + wait <= again <= now + wait
        waits.append(wait)
    assert waits[0] == pytest.approx(LOOK_AGAIN_SECONDS_MIN, abs=1e-4)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(LOOK_AGAIN_SECONDS_MAX, abs=1e-4)
    # The next commit takes their place, or they would be looked at for ever.
    bench.commit(10_000)
    assert bench.database.sync() is None


def test_promise_2_a_writer_killed_in_the_middle_of_publishing_is_mended_by_reading(bench: Bench) -> None:
    """Its header is half written: SQLite's next reader makes it anew from the WAL, and then that commit counts."""
    replica = bench.replica()
    bench.commit()
    replica.sync()
    head = bytes.fromhex(index_header(bench.path))
    bench.write("INSERT INTO t(b) VALUES('half published')")
    # The second copy is the new one, and the first still the old.
    half = head[:48] + bytes.fromhex(index_header(bench.path))[48:]
    index_header(bench.path, half.hex())
    for _ in range(10):
        bench.database.sync()
    replica.sync()
    assert bench.restored() == bench.states[-1]
    assert len(bench.reasons()) == 1


@pytest.mark.parametrize("generation", ["before", "between"])
def test_promise_2_a_life_that_was_left_behind_and_counts_again_is_not_followed(bench: Bench, generation: str) -> None:
    """A death in the middle of emptying the WAL, and of the next commit: SQLite's recovery takes the WAL as it is."""
    replica = bench.replica()
    for _ in range(3):
        bench.commit()
    bench.database.checkpoint()
    replica.sync()
    wal = Path(f"{bench.path}-wal")
    content = wal.read_bytes()
    bench.app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not wal.stat().st_size
    wal.write_bytes(content)
    if generation == "between":
        bench.database.request_generation("test")
        bench.settle()
    tear_index(bench.path)
    assert bench.app.sha256() == bench.states[-1]
    for _ in range(3):
        bench.commit()
        bench.settle()
    expected = ["test", "wal of before the generation counts again"] if generation == "between" else []
    assert bench.reasons()[1:] == expected
    bench.check()
