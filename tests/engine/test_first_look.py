"""What is said of the first sync of each database, at the start."""

from pathlib import Path

import pytest

from replication.engine import Engine
from replication.engine.lifecycle import Lifecycle
from replication.engine.worker import Worker
from replication.errors import ReplicationError
from tests.engine.running import config_of


def test_a_first_sync_that_failed_is_known_as_soon_as_the_start_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.db"
    path.mkdir()
    engine = Engine(config_of(path, tmp_path / "replica"))
    worker: Worker = engine._workers[0]
    known: list[BaseException | None] = []
    synced = Lifecycle.synced

    def look(lifecycle: Lifecycle, *, found: bool) -> None:
        known.append(worker.failures.error)
        synced(lifecycle, found=found)

    monkeypatch.setattr(Lifecycle, "synced", look)
    engine.start()
    try:
        with pytest.raises(ReplicationError, match="is not a plain file"):
            engine.check()
    finally:
        engine.close()
    assert known
    assert all(isinstance(error, ReplicationError) for error in known)
