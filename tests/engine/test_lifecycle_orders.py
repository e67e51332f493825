"""Every order of start, pause, resume, lease, generation, removal, error and close, while any of them is slow.

Real databases and replicas; what comes next is the test's choice. Whatever came, once nobody holds the database and
nothing hangs, it is replicated, by jobs that were awake without a new commit, event or look.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replication import steps
from replication.engine.lifecycle import Phase
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.by_hand import World, waits_for_nothing
from tests.engine.running import restored

HANGING = ("nothing", "upload", "sync", "let go")
DEPTH = 2
"""tests/torture/test_lifecycle.py goes deeper."""
OPERATIONS: dict[str, Callable[[World], bool]] = {
    "commit": World.commit,
    "hold": World.hold,
    "lease": World.lease,
    "resume": World.resume,
    "sync": lambda world: world.run("sync"),
    "upload": lambda world: world.run("upload"),
    "let go": lambda world: world.run("let go"),
    "leases end": lambda world: world.run("leases"),
    "it hangs no more": World.release,
    "generation": World.generation,
    "files go or come": World.remove,
    "store fails": World.store_fails,
    "letting go fails": World.letting_go_fails,
}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    waits_for_nothing(monkeypatch)
    yield
    steps.hook = None


@pytest.mark.parametrize("hanging", HANGING)
def test_promise_2_no_order_leaves_a_database_unreplicated(
    hanging: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch)
    world.settle()
    in_vain: set[tuple[str, ...]] = set()
    for order in itertools.product(OPERATIONS, repeat=DEPTH):
        if any(order[:length] in in_vain for length in range(1, DEPTH + 1)):
            continue
        if hanging != "nothing":
            world.hang(hanging)
        for number, name in enumerate(order, 1):
            if not OPERATIONS[name](world):
                in_vain.add(order[:number])
                break
        try:
            world.settle()
        except AssertionError as error:
            raise AssertionError(f"while {hanging} hangs: {', '.join(order)}: {error}") from None
    assert restored(ReplicaClient(world.store), tmp_path / "out.db") == world.app.sha256()
    world.end()
    assert world.worker.lifecycle.phase is Phase.CLOSED
    assert not world.worker.database.locked


@pytest.mark.parametrize("hanging", HANGING)
def test_promise_2_whatever_is_under_way_a_close_lets_go_and_leaves_nothing_behind_that_was_not_paused(
    hanging: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (name, operation) in enumerate(OPERATIONS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder, monkeypatch)
        world.settle()
        if hanging != "nothing":
            world.hang(hanging)
        operation(world)
        truth, was_held, is_away = world.app.sha256(), bool(world.worker.lifecycle.state.leases), world.is_away
        world.end()
        assert world.worker.lifecycle.phase is Phase.CLOSED, name
        assert not world.worker.database.locked, name
        if not was_held and not is_away and hanging != "let go":
            assert restored(ReplicaClient(world.store), folder / "out.db") == truth, name
