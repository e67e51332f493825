"""A history and a replica that has it; how segments are fetched must not show in what a restore does."""

import pytest

from replication.restore.wal03 import fetch
from replication.storage.memory import MemoryStorage
from tests.restore.history import History, publish, scripts, write_history


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), 4096, list(scripts()))


@pytest.fixture
def storage(history: History) -> MemoryStorage:
    made = MemoryStorage()
    publish(history, made, noted=True)
    return made


@pytest.fixture(params=["alone", "together"])
def batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each small segment is read alone, and then as many as fit together, as in a replica with thousands of them."""
    if request.param == "alone":
        monkeypatch.setattr(fetch, "BATCH_OBJECTS_MAX", 1)
    else:
        monkeypatch.setattr(fetch, "BATCHES_PER_THREAD", 0.1)
