"""Promise 9 at servers whose listings are broken: ok is not said while nothing can be restored."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import peers
from replication.replica.duties import Intervals
from replication.replica.runner import ReplicaRunner
from replication.replica.wal03.keeping import LATE_LOOKS_MAX
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import restore
from replication.storage.s3.storage import S3Storage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.replica.bench import Bench
from tests.storage.broken_listings import (
    How,
    broken_listings,
    delimiter_ignored,
    nothing_at_all,
    nothing_below_a_delimiter,
)

NOT_DUE = 1e9


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("how", [nothing_below_a_delimiter, nothing_at_all])
def test_promise_9_a_place_that_does_not_list_its_first_snapshot_is_an_error(
    bench: Bench, weed: peers.S3Server, how: How
) -> None:
    with broken_listings(weed, how) as server:
        storage = S3Storage(replace(weed.location(), endpoint=server.endpoint))
        bench.storages["a"] = storage  # type: ignore[assignment]
        replica = bench.replica()
        runner = ReplicaRunner(replica, bench.database, Intervals(0, 0, 0, NOT_DUE), bench.emit)
        states = []
        for _ in range(LATE_LOOKS_MAX):
            bench.commit()
            runner.hurry()
            runner.run()
            runner.duties.run()
            states.append(runner.status(0.0).state)
        assert states[-1] == "error"
        words = runner.status(0.0).last_error
        assert "does not list" in words
        assert "nothing can be restored from here" in words
        # No commit waits for that, and no generation begins for it.
        assert replica.position == bench.database.position
        assert len(bench.reasons()) == 1
        assert not runner.status(0.0).proven
        # A server that was mended is found to be.
        server.broken.clear()
        runner.hurry()
        runner.duties.run()
        status = runner.status(0.0)
        assert (status.state, bool(status.proven)) == ("ok", True)
        storage.close()


def test_promise_9_a_server_that_ignores_the_delimiter_is_read_all_the_same(bench: Bench, weed: peers.S3Server) -> None:
    with broken_listings(weed, delimiter_ignored) as server:
        storage = S3Storage(replace(weed.location(), endpoint=server.endpoint))
        bench.storages["a"] = storage  # type: ignore[assignment]
        runner = ReplicaRunner(bench.replica(), bench.database, Intervals(0, 0, 0, NOT_DUE), bench.emit)
        for _ in range(3):
            bench.commit()
            runner.run()
            runner.duties.run()
        status = runner.status(0.0)
        assert (status.state, bool(status.proven)) == ("ok", True)
        client = ReplicaClient(storage)
        assert client.generations() == [bench.database.generation_info.generation]
        restore([OpenReplica("a", client.storage)], bench.folder / "out.db")
        assert (bench.folder / "out.db").read_bytes()
        storage.close()
