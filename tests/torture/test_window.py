"""2,000 rounds of retention lose nothing of the window that a right clock grants (promise 3)."""

import random

from tests.torture.conftest import Torture
from tests.torture.window_world import Rounds

STEPS = 60
WORLDS_SHORT = 25


def test_promise_3_rounds_of_retention_lose_nothing_of_the_window(torture: Torture) -> None:
    for chance in torture.rounds(short=1):
        for _ in range(WORLDS_SHORT):
            world = Rounds(random.Random(chance.getrandbits(64)))
            for _ in range(STEPS):
                world.step()
                if chance.random() < 0.4:
                    world.round()
            torture.counts["rounds of retention"] += world.rounds
            torture.counts["objects removed"] += world.removed
    assert torture.counts["objects removed"] > torture.counts["rounds of retention"] / 10
