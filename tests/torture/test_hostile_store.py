"""Several databases replicated through a store that is bad in spells: nothing is lost, nothing wrong comes back,
nothing grows, nothing secret is said.

A spell mixes kinds of faults by chance, or is a whole outage. Meanwhile applications commit, the engine is ended
and started, snapshots and retention go on, and restores go through the same bad store.
"""

import gc
import os
import random
import time
from contextlib import suppress
from pathlib import Path

from peers import S3Server
from replication.errors import ReplicationError
from replication.restore.target import Latest
from tests.engine.running import until
from tests.torture.conftest import Torture
from tests.torture.hostile_proxy import ERRORS, KINDS, HostileProxy, hostile_proxy
from tests.torture.hostile_world import World, hostile_world

DATABASES_MAX = 4
SPELLS_MAX = 4
SPELL_SECONDS_MAX = 3.0
OUTAGE_SECONDS = 4.0
SETTINGS = {
    "retention": 2.0,
    "retention_check_interval": 0.5,
    "snapshot_interval": 0.7,
    "validation_interval": 2.0,
}
HISTORY_LOST = {"bit rotten in the store", "late listing", "half a DELETE"}
"""With these the store itself loses or hides what it acknowledged, so that old restore points may end in an error."""
DAMAGE = ({"bit rotten in the store"}, {"late listing", "bit flipped in GET"})
"""What a verification may find in a replica, and mend by a new generation. Of the second: a last segment that cannot
be read looks like a torn upload, and is written again over what the listing hides.
"""
TRIES_MAX = 8
"""Of a replica in an outage of OUTAGE_SECONDS: soon three or four, then one every two seconds."""
GROWTH_MIB_MAX = 200
"""Of this process, from its third round to its last."""
WARM_ROUNDS = 3


def resident_mib() -> int:
    """What this process has in memory: engine, proxy and oracle."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def chances(chance: random.Random) -> dict[str, float]:
    """What a spell is made of."""
    kinds = chance.sample(sorted(KINDS), chance.randrange(1, 5))
    # What befalls but few requests is more likely for each of them.
    share = {kind: len(kinds) if KINDS[kind] in ("any", "put") else 1 for kind in kinds}
    return {kind: chance.uniform(0.2, 0.9) / share[kind] for kind in kinds}


def restore_through(world: World, number: int, hostile: bool, torture: Torture) -> None:
    """A restore in a bad spell gives a commit or an error in words."""
    torture.counts["restores in a bad spell"] += 1
    try:
        found = world.restored(number, Latest(), hostile=hostile)
    except ReplicationError:
        torture.counts["of them refused"] += 1
        return
    hashes = world.applications[number].hashes
    # The writer says what it committed a moment later than others see it.
    until(lambda: found in hashes)


def spell(world: World, proxy: HostileProxy, chance: random.Random, torture: Torture) -> set[str]:
    """A bad time and its end, after which all is uploaded; the kinds of faults."""
    mixed = chances(chance)
    print(f"spell of {', '.join(mixed)}", flush=True)
    for application in world.applications:
        application.go()
    proxy.bad(mixed)
    end = time.monotonic() + chance.uniform(0.3, SPELL_SECONDS_MAX)
    while time.monotonic() < end:
        number = chance.randrange(len(world.applications))
        match chance.choice(["wait", "wait", "restart", "restore", "snapshot", "now", "verify"]):
            case "restart":
                world.restart()
                torture.counts["engine restarts"] += 1
            case "restore":
                restore_through(world, number, True, torture)
            case "snapshot":
                with suppress(ReplicationError):
                    world.engine.snapshot(str(world.applications[number].path))
            case "verify":
                world.canary.look(world.verify(number))
            case "now":
                world.engine.sync_now()
            case _:
                time.sleep(chance.random() * 0.3)
        world.listen()
    for application in world.applications:
        application.hold()
    proxy.good()
    milliseconds = round(world.recover() * 1000)
    refused = "after a refusal" if mixed.keys() & ERRORS.keys() else "after other faults"
    name = f"recovery ms max {refused}"
    torture.counts[name] = max(torture.counts[name], milliseconds)
    torture.counts["spells"] += 1
    return set(mixed)


def finish(world: World, proxy: HostileProxy, chance: random.Random, torture: Torture, kinds: set[str]) -> None:
    """With the store good again: everything is there, and right."""
    proxy.settle()
    world.recover()
    for number, application in enumerate(world.applications):
        outcomes = [world.verify(number)]
        while not outcomes[-1].startswith("ok") and len(outcomes) < 4:
            world.recover()
            outcomes.append(world.verify(number))
        assert outcomes[-1].startswith("ok"), outcomes
        damaged = any(outcome.startswith("failed") for outcome in outcomes)
        assert not damaged or any(cause <= kinds for cause in DAMAGE), (outcomes, kinds)
        torture.counts["verifications that found damage"] += damaged
        torture.counts["commits"] += len(application.hashes)
    world.recover()
    world.end()
    for number in range(len(world.applications)):
        world.check_latest(number)
        torture.counts["restore points"] += world.check_points(number, chance, strict=not kinds & HISTORY_LOST)


def test_a_hostile_store(torture: Torture, weed: S3Server, tmp_path: Path) -> None:
    for number, chance in enumerate(torture.rounds(short=1)):
        databases = chance.randrange(1, DATABASES_MAX + 1)
        with (
            hostile_proxy(weed, random.Random(chance.random())) as proxy,
            hostile_world(tmp_path / f"round{number}", weed, proxy, chance, databases, **SETTINGS) as world,
        ):
            world.recover()
            kinds: set[str] = set()
            for _ in range(chance.randrange(1, SPELLS_MAX + 1)):
                kinds |= spell(world, proxy, chance, torture)
            finish(world, proxy, chance, torture, kinds)
            torture.counts["requests"] += proxy.requests
            torture.counts.update({f"fault: {kind}": count for kind, count in proxy.injected.items()})
            torture.counts["texts looked at for secrets"] += world.canary.looked
        now = resident_mib()
        if number <= WARM_ROUNDS:
            torture.counts["MiB resident after three rounds"] = now
        torture.counts["MiB resident at the end"] = now
    grown = torture.counts["MiB resident at the end"] - torture.counts["MiB resident after three rounds"]
    assert grown < GROWTH_MIB_MAX, f"{grown} MiB grown"


def test_an_outage(torture: Torture, weed: S3Server, tmp_path: Path) -> None:
    """The error and the next try are shown, requests are few, and all is uploaded soon after the store's return."""
    for number, chance in enumerate(torture.rounds(short=1)):
        databases = chance.randrange(2, DATABASES_MAX + 1)
        with (
            hostile_proxy(weed, random.Random(chance.random())) as proxy,
            hostile_world(tmp_path / f"outage{number}", weed, proxy, chance, databases) as world,
        ):
            world.recover()
            proxy.bad({"reset before": 1.0})
            before = proxy.requests
            end = time.monotonic() + OUTAGE_SECONDS
            for application in world.applications:
                application.go()
            until(lambda: all(item.replicas[0].state == "error" for item in world.states()))
            for item in world.states():
                assert "connection" in item.replicas[0].last_error
                assert item.replicas[0].next_try > time.time() - 5.0
                assert item.state == "ok", "copying goes on"
            time.sleep(max(0.0, end - time.monotonic()))
            asked = (proxy.requests - before) / databases
            assert asked <= TRIES_MAX, f"{asked} requests of a replica in {OUTAGE_SECONDS} s"
            for application in world.applications:
                application.hold()
            proxy.good()
            milliseconds = round(world.recover() * 1000)
            torture.counts["outages"] += 1
            torture.counts["recovery ms sum"] += milliseconds
            torture.counts["recovery ms max"] = max(torture.counts["recovery ms max"], milliseconds)
            torture.counts["recoveries over 2 s"] += milliseconds > 2000
            for at in range(databases):
                world.check_latest(at)
