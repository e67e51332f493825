"""What is told to have changed between two moments is what an oracle finds that kept every state."""

import random
from pathlib import Path

import pytest

from replication.storage.memory import MemoryStorage
from tests.history.differing import checked, difference
from tests.history.states import publish, written
from tests.restore.history import History

PAIRS = 12


@pytest.fixture(scope="module", params=[(512, 1), (4096, 2)], ids=["512", "4096"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    page_size, seed = request.param
    return written(tmp_path_factory.mktemp("states"), page_size, seed, each=20)


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_any_two_moments(history: History, noted: bool, tmp_path: Path) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted)
    chance = random.Random(15)
    told = 0
    for _ in range(PAIRS):
        before, after = chance.sample(history.commits[1:], 2)
        told += checked(difference(storage, before, after), before, after).total()
    assert told > PAIRS
