"""A WAL that cannot be copied for lack of space is held only while it may grow: the disk is the application's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.database.room import CANNOT_COPY
from replication.errors import LocalFileError
from replication.space import Disk
from tests.replica.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.database.sync()
    yield made
    made.close()


class Disks:
    """What the disk of every folder has free, in place of the real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 10**9
        monkeypatch.setattr(Disk, "of", lambda folder: Disk(10**9, self.free))


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> Disks:
    return Disks(monkeypatch)


def wal_bytes(bench: Bench) -> int:
    return Path(f"{bench.path}-wal").stat().st_size


def test_promise_6_the_end_of_the_disk_is_left_to_the_application(bench: Bench, disks: Disks) -> None:
    """And the WAL is held meanwhile, so that nothing is lost by a moment without space."""
    bench.replica("a")
    bench.commit()
    bench.settle()
    disks.free = 10**9 // 64
    with pytest.raises(LocalFileError, match=r"no space left for the shadow WAL .* left to the application"):
        bench.commit()
    disks.free = 10**9
    bench.commit()
    bench.settle()
    assert bench.reasons() == ["no generation exists"]
    bench.check()


def test_promise_6_a_wal_that_cannot_be_copied_is_let_go_of_before_it_fills_the_disk(
    bench: Bench, disks: Disks
) -> None:
    bench.replica("a")
    bench.commit()
    bench.settle()
    bench.database.max_backlog_bytes = 100_000
    disks.free = 0
    bench.app.execute("PRAGMA wal_autocheckpoint=20")
    most = 0
    for _ in range(100):
        with pytest.raises(LocalFileError):
            bench.commit(5000)
        most = max(most, wal_bytes(bench))
    assert most < 200_000, "the WAL grew although nobody was in its way but us"
    disks.free = 10**9
    bench.settle()
    assert bench.reasons() == ["no generation exists", CANNOT_COPY]
    assert bench.restored() == bench.app.sha256()


def test_a_wal_that_was_let_go_of_is_not_held_again_before_there_is_room(bench: Bench, disks: Disks) -> None:
    bench.commit()
    bench.database.max_backlog_bytes = 10_000
    disks.free = 0
    while bench.database.locked and bench.database.device:
        with pytest.raises(LocalFileError):
            bench.commit(5000)
    disks.free = 10**9 // 50
    with pytest.raises(LocalFileError, match=r"To replicate again needs .* free, of which"):
        bench.database.sync()
    assert not bench.database.device
