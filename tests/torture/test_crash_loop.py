"""Killed at any moment, again and again: the program, the application, or both.

Promises 1 to 3 under SIGKILL. After each crash the replica alone must restore a commit no older than what its store had
acknowledged; then everything goes on, arrives, and nothing is left lying about.
"""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers import S3Server
from replication.storage.s3.location import S3Location
from tests.torture.conftest import Torture
from tests.torture.crash_world import World
from tests.torture.nursery import Nursery

FILE_CYCLES, S3_CYCLES = 8, 2
"""Crashes in one round, which has a database and a replica of its own."""
PRESSURE_SECONDS_MAX = 0.4
"""How long everything runs at most before a kill, counted from the start of whatever was dead."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Forks lives of the program; it and they end with the tests."""
    made = Nursery()
    yield made
    made.close()


def cycle(world: World, chance: random.Random, torture: Torture) -> None:
    """Start what is dead, let all run, kill, and look at the replica alone."""
    for start in chance.sample([world.start_engine, world.application.start], 2):
        start()
    world.application.go()
    # Chance, not synchronisation: the kill shall come wherever it comes.
    pause(chance.random() ** 2 * PRESSURE_SECONDS_MAX)
    victim = chance.choice(["engine", "engine", "writer", "both"])
    if victim != "writer":
        world.kill_engine()
        torture.counts["engine kills"] += 1
    if victim != "engine":
        world.application.kill()
        world.application.start()
        torture.counts["writer kills"] += 1
    else:
        world.application.stop()
    world.check()
    torture.counts["crash cycles"] += 1
    torture.counts["restores checked"] += 2
    if chance.random() < 0.3:
        # Nobody holds the WAL meanwhile, or the engine lives through it.
        world.application.go()
        pause(chance.random() * 0.1)
        if chance.random() < 0.3:
            world.application.stop()
            world.application.close()
            torture.counts["clean ends of the writer"] += 1


def pause(seconds: float) -> None:
    """Let the others run."""
    threading.Event().wait(seconds)


def arrive(world: World, torture: Torture) -> None:
    """With everything alive again, all that was committed reaches the replica."""
    world.application.start()
    world.application.go()
    world.application.stop()
    world.start_engine()
    world.await_arrival()
    torture.counts["arrivals"] += 1


def play(world: World, cycles: int, chance: random.Random, torture: Torture) -> None:
    """One round: crashes, arrivals, a clean end."""
    try:
        for _ in range(cycles):
            cycle(world, chance, torture)
            if chance.random() < 0.5:
                arrive(world, torture)
        arrive(world, torture)
        world.end_engine()
        torture.counts["unfinished writes left by kills"] += world.age_unfinished_writes()
        world.start_engine()
        world.application.go()
        pause(0.05)
        arrive(world, torture)
        world.end_engine()
        world.application.close()
        world.check()
        world.check_leftovers()
        torture.counts["commits"] += len(world.application.states())
        torture.counts["generations"] += len(world.client.generations())
    finally:
        world.abandon()


def test_killed_again_and_again_with_a_file_replica(tmp_path: Path, torture: Torture, nursery: Nursery) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        play(World(tmp_path / f"{number}", nursery, chance), FILE_CYCLES, chance, torture)


def test_killed_again_and_again_with_an_s3_replica(
    tmp_path: Path, torture: Torture, nursery: Nursery, weed: S3Server
) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        location: S3Location = weed.location()
        play(World(tmp_path / f"{number}", nursery, chance, location), S3_CYCLES, chance, torture)
