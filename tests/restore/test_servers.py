"""Restores from real S3 servers: parts by range, and a server that goes away in the middle."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from peers import S3Server
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreProgress, restore
from replication.restore.wal03 import fetch
from replication.storage.memory import MemoryStorage
from replication.storage.s3.storage import S3Storage
from tests.restore.history import History, publish, scripts, write_history
from tests.restore.test_every_commit import sha


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), 4096, list(scripts()))


def upload(history: History, store: S3Storage) -> None:
    """A replica as Litestream writes it, in a real store."""
    memory = MemoryStorage()
    publish(history, memory, noted=False)
    for name in memory.names():
        store.put(name, [memory.read(name)])


@pytest.mark.parametrize("kind", ["weed", "juicefs"])
def test_parts_by_range(
    kind: str, request: pytest.FixtureRequest, history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PART_BYTES", 50)
    server: S3Server = request.getfixturevalue(kind)
    with closing(S3Storage(server.location())) as store:
        upload(history, store)
        restore([OpenReplica(kind, store)], tmp_path / "out")
    assert sha(tmp_path / "out") == history.commits[-1].sha


def test_a_server_that_goes_away_and_comes_back(outage_server: S3Server, history: History, tmp_path: Path) -> None:
    away, over = threading.Event(), threading.Event()

    def bring_back() -> None:
        away.wait()
        outage_server.start()
        # The server lives as long as the thread that started it.
        over.wait()

    def progress(now: RestoreProgress) -> None:
        if now.phase == "snapshot" and not away.is_set():
            outage_server.stop()
            away.set()

    helper = threading.Thread(target=bring_back)
    with closing(S3Storage(outage_server.location())) as store:
        upload(history, store)
        helper.start()
        try:
            restore([OpenReplica("s3", store)], tmp_path / "out", RestoreOptions(), progress)
        finally:
            away.set()
            over.set()
            helper.join()
    assert sha(tmp_path / "out") == history.commits[-1].sha
