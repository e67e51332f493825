"""How segments are fetched must not show in what a restore does."""

import pytest

from replication.restore.wal03 import fetch


@pytest.fixture(params=["alone", "together"])
def batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each small segment is read alone, and then as many as fit together, as in a replica with thousands of them."""
    if request.param == "alone":
        monkeypatch.setattr(fetch, "BATCH_OBJECTS_MAX", 1)
    else:
        monkeypatch.setattr(fetch, "BATCHES_PER_THREAD", 0.1)
