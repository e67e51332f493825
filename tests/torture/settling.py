"""How a history of the state machine ends: nothing stands in the way any more, and all must have arrived."""

from replication.position import Position
from replication.restore.target import AtPosition, Latest
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import restore_points
from tests.torture.differential import Request
from tests.torture.history import History

ROUNDS_MAX = 20


def settle(side: History) -> None:
    """All that was committed comes into every replica, and is restored from there."""
    world = side.world
    world.all_back()
    side.end("ROLLBACK")
    side.mend()
    side.recount()
    side.open_application()
    for name in sorted(side.reading):
        side.read(name)
    side.start([])
    assert side.database is not None
    for _ in range(ROUNDS_MAX):
        side.sync_to_the_end()
        for name in side.replicas:
            side.upload(name, [], None, False)
            # What was removed behind its back is noticed here.
            side.prove(name)
        positions = {replica.position for replica in side.replicas.values()}
        if positions == {side.database.position} and side.holding and side.database.is_quiet:
            break
    else:
        raise AssertionError(f"it does not settle: {side.database.position}, {positions}, {side.database.health}")
    for name, mirror in world.mirrors.items():
        at = side.replicas[name].position
        assert at is not None
        assert mirror.points[at] == side.oracle.last, "the last commit is missing"
        world.ask(Request(AtPosition(at), None, (name,)))


def check_end(side: History, points: int) -> None:
    """All settles, no commit is missing, and the latest state and `points` others restore to what they must be."""
    settle(side)
    world = side.world
    for name, mirror in world.mirrors.items():
        client = ReplicaClient(world.stores[name])
        world.ask(Request(Latest(), None, (name,)))
        offered: list[Position] = []
        for generation, kept in mirror.held().items():
            if any(item.snapshot for item in kept) and name not in world.incomplete:
                here = restore_points(client, generation)
                # By their states, for the end of an index and the start of the next are one.
                found = {mirror.points[point] for point in here}
                whole = {mirror.points[point] for point in mirror.points if point.generation == generation}
                assert found == whole, f"commits are missing: {whole - found}"
                offered += here
        offered = offered or sorted(mirror.points)
        for point in offered[:: max(1, len(offered) // points)][:points]:
            world.ask(Request(AtPosition(point), None, (name,)))
    world.ask(Request(Latest(), None, tuple(world.stores)))
