"""Each fault of a hostile store alone: afterwards the newest commit comes back, and no restore is ever wrong."""

import random
import time
from pathlib import Path

import pytest

from peers import S3Server
from tests.engine.running import until
from tests.torture.hostile_proxy import ERRORS, KINDS, hostile_proxy
from tests.torture.hostile_world import hostile_world

CHANCE = 0.8
FAULTS = 2
"""Of the kind in question, at least."""
SPELL_SECONDS_MAX = 30.0
RETENTION = {"retention": 1.0, "retention_check_interval": 0.2, "snapshot_interval": 0.3}


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_of_fault(weed: S3Server, tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    settings = RETENTION if KINDS[kind] == "delete" else {}
    with (
        hostile_proxy(weed, chance) as proxy,
        hostile_world(tmp_path / "world", weed, proxy, chance, databases=1, **settings) as world,
    ):
        [application] = world.applications
        world.recover()
        proxy.bad({kind: CHANCE})
        deadline = time.monotonic() + SPELL_SECONDS_MAX
        while (count := proxy.injected[kind]) < FAULTS:
            assert time.monotonic() < deadline, f"no request met {kind}"
            application.commit(5)
            until(lambda count=count: proxy.injected[kind] > count or world.in_step())  # type: ignore[misc]
            if KINDS[kind] not in ("any", "put", "delete"):
                world.restart()
        application.commit(5)
        proxy.good()
        if kind in ERRORS:
            world.engine.sync_now()
        world.recover()
        proxy.settle()
        application.commit(2)
        world.recover()
        outcome = world.verify(0)
        if kind == "bit rotten in the store":
            world.recover()
            outcome = world.verify(0)
        assert outcome.startswith("ok"), outcome
        # Retention would change what is looked at.
        world.end()
        world.check_latest(0)
        world.check_points(0, chance, strict=kind != "bit rotten in the store", most=1)
