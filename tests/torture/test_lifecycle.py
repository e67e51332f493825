"""Promise 2 in the life of a database: long orders by chance. All short ones are in tests/engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from replication import steps
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.by_hand import World, waits_for_nothing
from tests.engine.running import restored
from tests.engine.test_lifecycle_orders import HANGING, OPERATIONS
from tests.torture.conftest import Torture

ORDERS_EACH = 20
LENGTH_MAX = 12


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    waits_for_nothing(monkeypatch)
    yield
    steps.hook = None


def test_promise_2_no_long_order_leaves_a_database_unreplicated(
    torture: Torture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, chance in enumerate(torture.rounds(short=3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder, monkeypatch)
        world.settle()
        for _ in range(ORDERS_EACH):
            order = [chance.choice([*OPERATIONS, *HANGING]) for _ in range(chance.randint(3, LENGTH_MAX))]
            done = [name for name in order if _do(world, name)]
            try:
                world.settle()
            except AssertionError as error:
                raise AssertionError(f"after {', '.join(done)}: {error}") from None
            torture.counts["orders"] += 1
            torture.counts["steps"] += len(done)
        assert restored(ReplicaClient(world.store), folder / "out.db") == world.app.sha256()
        world.end()


def _do(world: World, name: str) -> bool:
    if name in OPERATIONS:
        return OPERATIONS[name](world)
    if name == "nothing" or not world.gate.is_set() or steps.hook is not None or world.is_away:
        return False
    world.try_to_hang(name)
    return True
