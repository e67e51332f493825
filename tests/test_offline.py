"""How things stand from outside is told by the same rules as the engine tells it."""

from pathlib import Path

import pytest

from replication.config import DatabaseConfig, ReplicaConfig
from replication.errors import AccessDeniedError, StorageError
from replication.offline import Local, Reach, report
from replication.position import Position
from replication.replica.lag import is_behind
from replication.storage.file.location import FileLocation

NOW = 1_800_000_000.0
HERE = Position("00112233445566aa", 0, 8272)
BEFORE = Position("00112233445566aa", 0, 4152)


def local(tmp_path: Path, sync_seconds: float, copied: float) -> Local:
    replica = ReplicaConfig("file", FileLocation(tmp_path / "replica"), sync_interval=sync_seconds)
    config = DatabaseConfig(tmp_path / "app.db", tmp_path / "meta", (replica,))
    return Local(config, pid=77, position=HERE, copied=copied, uncopied=False)


@pytest.mark.parametrize("sync_seconds", [0.001, 1.0, 10.0])
@pytest.mark.parametrize("waited", [0.5, 4.9, 5.0])
def test_from_when_on_a_replica_is_behind(tmp_path: Path, sync_seconds: float, waited: float) -> None:
    found = report(local(tmp_path, sync_seconds, NOW - waited), (Reach("file", "file:///r", BEFORE, NOW - 9),), NOW)
    [replica] = found.replicas
    assert replica.pending_bytes == 4120
    assert replica.state == ("behind" if is_behind(waited, sync_seconds) else "syncing")


def test_a_replica_of_a_store_that_failed_is_told_as_not_asked(tmp_path: Path) -> None:
    denied, silent = AccessDeniedError("access denied to bucket"), StorageError("the store does not answer")
    place = local(tmp_path, 1.0, NOW)
    asked = report(place, (Reach("file", "s3://b/a", error=denied),), NOW).replicas[0]
    assert (asked.state, asked.error, asked.pending_bytes) == ("error", "access denied to bucket", None)
    passed_over = report(place, (Reach("file", "s3://b/a", error=silent, answer="not asked"),), NOW).replicas[0]
    assert passed_over.error == "not asked: the store does not answer"
