"""A glance asks for a sync whenever one would find something, without any event, and opens no file for it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.database.wal_stat import SETTLE_SECONDS, WHOLE_SECONDS, WALStat
from replication.errors import DatabaseError
from replication.local.files import LOCK_NAME
from tests.foreign import Shell
from tests.replica.bench import Bench

LONG_AGO_NS = 1_000_000_000


def at_rest(bench: Bench) -> WALStat:
    """A glance at the bench's database that finds nothing at time 100, nor long after that."""
    bench.database.sync()
    wal_stat = begin(bench, WALStat(bench.database))
    assert not wal_stat.finds_something(100.0, paths=True)
    assert wal_stat.finds_something(100.0 + SETTLE_SECONDS, paths=True)
    assert not wal_stat.finds_something(100.0 + SETTLE_SECONDS + 1, paths=True)
    return wal_stat


def begin(bench: Bench, wal_stat: WALStat) -> WALStat:
    last = bench.database.last_look
    assert last is not None
    wal_stat.begin(str(last[0]), last[1])
    return wal_stat


def set_back(path: Path) -> None:
    """Give a file the time of writing of a file system that keeps no fine times."""
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def test_a_database_at_rest_is_left_in_peace(bench: Bench) -> None:
    bench.commit()
    wal_stat = at_rest(bench)
    assert not any(wal_stat.finds_something(110.0 + number, paths=True) for number in range(100))
    assert wal_stat.finds_something(110.0 + WHOLE_SECONDS, paths=False)


def test_a_commit_is_seen_until_it_is_copied(bench: Bench) -> None:
    wal_stat = at_rest(bench)
    bench.write("INSERT INTO t(b) VALUES(randomblob(100))")
    assert wal_stat.finds_something(110.0, paths=False)
    assert wal_stat.finds_something(111.0, paths=False)
    bench.database.sync()
    begin(bench, wal_stat)
    assert not wal_stat.finds_something(111.5, paths=False)


def test_after_a_change_a_sync_is_asked_for_once_more_since_times_are_coarse(bench: Bench) -> None:
    """Two commits within one tick of the file system's clock, the second in the place of old frames: same size, same
    time. Only looking once more finds the second."""
    wal = Path(f"{bench.path}-wal")
    bench.commit(size=20_000)
    bench.database.checkpoint()
    bench.write("INSERT INTO t(b) VALUES(randomblob(10))")
    set_back(wal)
    bench.database.sync()
    wal_stat = begin(bench, WALStat(bench.database))
    assert not wal_stat.finds_something(100.0, paths=True)
    bench.write("INSERT INTO t(b) VALUES(randomblob(10))")
    set_back(wal)
    before = bench.database.position
    assert not wal_stat.finds_something(101.0, paths=True)
    assert wal_stat.finds_something(100.0 + SETTLE_SECONDS, paths=True)
    bench.database.sync()
    assert bench.database.position != before


@pytest.mark.parametrize(
    "change",
    [
        lambda bench: Path(f"{bench.path}-wal").unlink(),
        lambda bench: Shell(bench.path).run("PRAGMA wal_checkpoint(TRUNCATE)"),
        lambda bench: bench.path.rename(bench.folder / "gone.db"),
        lambda bench: replace_with_a_copy(bench.path),
        lambda bench: (bench.folder / "meta" / LOCK_NAME).unlink(),
        lambda bench: replace_with_a_copy(bench.folder / "meta" / LOCK_NAME),
        lambda bench: shutil.rmtree(bench.folder / "meta"),
        lambda bench: bench.database.request_generation("asked for"),
        lambda bench: bench.database.let_go(),
    ],
    ids=[
        "wal removed",
        "emptied",
        "moved",
        "replaced",
        "lock removed",
        "lock replaced",
        "meta removed",
        "asked",
        "ours",
    ],
)
def test_whatever_a_sync_would_find_is_seen(bench: Bench, change: Callable[[Bench], object]) -> None:
    bench.commit()
    bench.database.checkpoint()
    wal_stat = at_rest(bench)
    change(bench)
    assert wal_stat.finds_something(110.0, paths=True)


def test_what_a_sync_has_to_do_beside_copying_keeps_it_from_resting(bench: Bench) -> None:
    bench.commit()
    assert rests(bench)
    with bench.database.image():
        # A checkpoint may be due that waits for the image to end, and nothing else would tell when it does.
        assert not rests(bench)
    assert rests(bench)


def test_a_wal_that_is_not_what_sqlite_counts_is_looked_at_again_and_again(bench: Bench) -> None:
    bench.commit()
    with Path(f"{bench.path}-wal").open("r+b") as wal:
        wal.write(b"\0" * 32)
    for _ in range(2):
        with pytest.raises(DatabaseError, match="closed every connection"):
            bench.database.sync()
        assert not rests(bench)


def rests(bench: Bench) -> bool:
    return bench.database.last_look is not None


def replace_with_a_copy(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copyfile(path, copy) if path.suffix != ".db" else Shell(path).run(f"VACUUM INTO '{copy}'")
    copy.rename(path)
