"""Ended at each step that has a name: nothing is left to luck.

replication/steps.py names every step at which something is half done. A process of the real program ends at each of
them in turn, as by SIGKILL; then the same must be true as after any crash, and all goes on. A step that no longer is
reached fails its test.
"""

import random
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replication.restore.kept import kept_path
from replication.restore.open_replica import OpenReplica
from replication.restore.replace import restore_over
from replication.restore.restore import RestoreOptions
from replication.steps import STEPS
from replication.storage.file.location import FileLocation
from replication.storage.open import open_storage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import sha256, until
from tests.restore.content import content
from tests.torture.conftest import Torture
from tests.torture.crash_world import World
from tests.torture.killable import Application
from tests.torture.nursery import Nursery

RESTORING = [step for step in STEPS if step.startswith("output:")]
REPLACING = [step for step in STEPS if step.startswith("replacement:")]
BRINGING_BACK = [step for step in STEPS if step.startswith("bring back:")]
"""tests/recall/test_together.py ends at these."""
REPLICATING = [step for step in STEPS if step not in (*RESTORING, *REPLACING, *BRINGING_BACK)]
AFTER_A_GENERATION = (
    "shadow: old generation removed",
    "replica: old generation whole",
    "retention: generation removed",
)
"""Reached only where an older generation is."""
PASS_BY_MAX = 6
DEATHS = 3
"""In one round of the test by chance."""
REACH_SECONDS_MAX = 30.0
REACH_AGAIN_SECONDS_MAX = 1.0
"""A step that comes once in a life is not waited for longer."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Forks lives of the program; it and they end with the tests."""
    made = Nursery()
    yield made
    made.close()


def go_on(world: World) -> None:
    """What must be true after a death: of the replica alone, and once everything runs again."""
    world.application.stop()
    world.check()
    world.age_unfinished_writes()
    world.application.go()
    world.application.stop()
    world.start_engine()
    world.await_arrival()


def end(world: World) -> None:
    """An orderly end, with nothing left lying about."""
    world.end_engine()
    world.application.close()
    world.check_leftovers()


def begin_another_generation(world: World) -> None:
    """An application that closes its last connection while nobody replicates leaves nothing to go on from."""
    world.start_engine()
    world.application.go()
    world.application.stop()
    world.await_arrival()
    world.kill_engine()
    world.application.close()
    world.application.start()


def _ended(world: World) -> bool:
    """True once its program has ended."""
    assert world.engine is not None
    return world.engine.poll() is not None


def take_away_shadow_wal(world: World) -> bool:
    """End the generation under a running engine; True once that has ended."""
    assert world.engine is not None
    for path in world.meta.glob("generations/*/wal/*.wal"):
        path.unlink(missing_ok=True)
    return world.engine.poll() is not None


@pytest.mark.parametrize("step", REPLICATING)
def test_replication_ended_at(step: str, tmp_path: Path, nursery: Nursery) -> None:
    world = World(tmp_path / "world", nursery, random.Random(step), restless=True)
    try:
        if step in AFTER_A_GENERATION:
            begin_another_generation(world)
        world.start_engine(step)
        world.application.go()
        assert world.engine is not None
        if step == "shadow: durable at the end":
            until(lambda: world.acked() is not None)
            world.engine.send_signal(signal.SIGTERM)
        elif step == "shadow: generation sealed":
            until(lambda: world.acked() is not None)
            until(lambda: take_away_shadow_wal(world))
        until(lambda: _ended(world), REACH_SECONDS_MAX)
        assert world.engine.wait() == -signal.SIGKILL
        world.engine = None
        go_on(world)
        end(world)
    finally:
        world.abandon()


def test_replication_ended_at_steps_by_chance(tmp_path: Path, torture: Torture, nursery: Nursery) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        world = World(tmp_path / f"{number}", nursery, chance, restless=True)
        try:
            for _ in range(DEATHS):
                world.start_engine(chance.choice(REPLICATING), chance.randrange(PASS_BY_MAX))
                world.application.go()
                assert world.engine is not None
                try:
                    until(lambda world=world: _ended(world), REACH_AGAIN_SECONDS_MAX)  # type: ignore[misc]
                    torture.counts["ended at a step"] += 1
                except AssertionError:
                    world.engine.kill()
                    torture.counts["ended anywhere"] += 1
                assert world.engine.wait() == -signal.SIGKILL
                world.engine = None
                go_on(world)
                world.kill_engine()
                torture.counts["arrivals"] += 1
            go_on(world)
            end(world)
        finally:
            world.abandon()


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[World]:
    """A world at its end: its replica holds the last state of its database."""
    world = World(tmp_path_factory.mktemp("replicated") / "world", nursery, random.Random(7))
    try:
        world.start_engine()
        world.application.go()
        until(lambda: len(world.application.states()) > 20)
        world.application.stop()
        world.await_arrival()
        world.end_engine()
        world.application.close()
        yield world
    finally:
        world.abandon()


@pytest.mark.parametrize("step", RESTORING)
def test_a_restore_ended_at(step: str, tmp_path: Path, nursery: Nursery, replicated: World) -> None:
    output, moved = tmp_path / "out.db", tmp_path / "moved"
    truth = replicated.application.states()[-1]
    words = ("restore", "-o", output, f"file://{replicated.replica}")
    log, acks = tmp_path / "log", tmp_path / "acks"
    life = nursery.program(*words, log=log, acks=acks, step=step)
    assert life.wait() == -signal.SIGKILL, f"{step} was not reached: {log.read_text()}"
    # Whole, or not there; and what is hidden goes with the next restore to that path.
    if output.exists():
        assert sha256(output) == truth
        output.rename(moved)
    assert moved.exists() == (step in RESTORING[RESTORING.index("output: named") :])
    assert nursery.program(*words, log=log, acks=acks).wait() == 0, log.read_text()
    assert sha256(output) == truth
    assert {item.name for item in tmp_path.iterdir()} - {"moved"} == {"out.db", "log", "acks"}


def replace(arguments: list[str]) -> int:
    """What the screen does when a live database is restored over: for a life of its own."""
    replica, live = arguments
    client = ReplicaClient(open_storage(FileLocation(Path(replica))))
    restore_over(
        [OpenReplica("test", client.storage)], Path(live), RestoreOptions(), kept_path(Path(live), datetime.now(UTC))
    )
    return 0


@pytest.mark.parametrize("step", REPLACING)
def test_a_replacement_ended_at(step: str, tmp_path: Path, nursery: Nursery, replicated: World) -> None:
    live = tmp_path / "app.db"
    new = content(replicated.path)
    shutil.copy(replicated.path, live)
    application = Application(live, 4096, "after", 0.0)
    application.start()
    application.go()
    application.stop()
    # Killed, so that the WAL has what the file lacks.
    application.kill()
    old = application.states()[-1]
    words, log, acks = (replicated.replica, live), tmp_path / "log", tmp_path / "acks"
    call = "tests.torture.test_named_steps:replace"
    life = nursery.program(*words, log=log, acks=acks, step=step, call=call)
    assert life.wait() == -signal.SIGKILL, f"{step} was not reached: {log.read_text()}"
    application.start()
    application.close()
    if step in REPLACING[REPLACING.index("replacement: committed") :]:
        assert content(live) == new
    else:
        assert application.states()[-1] == old
    kept = list(tmp_path.glob("app.db.before-restore-*"))
    assert len(kept) == (step in REPLACING[REPLACING.index("replacement: old one named") :])
    assert all(sha256(path) == old for path in kept)
    assert not [path for path in kept if path.samefile(live)]
    assert nursery.program(*words, log=log, acks=acks, call=call).wait() == 0, log.read_text()
    application.start()
    application.close()
    assert content(live) == new
    assert old in {sha256(kept) for kept in tmp_path.glob("app.db.before-restore-*")}
    assert not list(tmp_path.glob(".*"))


def test_every_step_is_ended_at() -> None:
    assert sorted((*REPLICATING, *RESTORING, *REPLACING, *BRINGING_BACK)) == sorted(STEPS)
    assert len({*STEPS}) == len(STEPS)
