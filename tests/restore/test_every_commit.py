"""Promise 3: every commit that a replica holds restores to exactly the database that SQLite saw at that
commit."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtIndex, AtPosition, AtTime, Latest
from replication.storage.memory import MemoryStorage
from tests.restore.history import History, publish, scripts, write_history

pytestmark = pytest.mark.usefixtures("batches")


@pytest.fixture(scope="module", params=[512, 4096, 65536])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), request.param, list(scripts()))


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source(storage: MemoryStorage) -> list[OpenReplica]:
    return [OpenReplica("test", storage)]


@pytest.mark.parametrize("swap", [False, True], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_promise_3_every_commit(history: History, tmp_path: Path, noted: bool, swap: bool) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted, swap)
    for number, commit in enumerate(history.commits):
        output = tmp_path / f"{number}.db"
        result = restore(source(storage), output, RestoreOptions(target=AtPosition(commit.at())))
        assert (sha(output), result.position) == (commit.sha, commit.at())
        assert (result.pages, result.page_size, result.check) == (commit.pages, history.page_size, "ok")
        output.unlink()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_latest_index_and_time(history: History, tmp_path: Path, noted: bool) -> None:
    storage = MemoryStorage()
    times = publish(history, storage, noted)
    restore(source(storage), tmp_path / "latest", RestoreOptions(target=Latest(), integrity_check="full"))
    assert sha(tmp_path / "latest") == history.commits[-1].sha
    for index in range(len(history.wals)):
        last = [commit for commit in history.commits if commit.index == index][-1]
        restore(source(storage), tmp_path / f"{index}", RestoreOptions(target=AtIndex(index)))
        assert sha(tmp_path / f"{index}") == last.sha
    for moment in sorted(set(times.values())):
        for late in (timedelta(0), timedelta(seconds=1.5)):
            # Times are told in whole seconds: in the midst of one, what came in it may have come later.
            newest = [commit for commit in history.commits if times[commit.at()] <= moment + late / 3][-1]
            output = tmp_path / "time"
            result = restore(source(storage), output, RestoreOptions(target=AtTime(moment + late)))
            assert (sha(output), result.position) == (newest.sha, newest.at())
            output.unlink()
