"""A restore against the reference: generations, replicas, hosts, programs and clocks by chance; any request.

Promise 3: never anything but the newest commit at or before what was asked for, or a refusal that is right.
"""

import hashlib
import itertools
import random
import shutil
from functools import partial
from pathlib import Path

import pytest

from replication.errors import ReplicationError
from replication.history.moments import read_timeline
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.retry import Backoff
from replication.restore.target import AtPosition
from tests.history.looking import Cached, content
from tests.torture.conftest import Torture
from tests.torture.differential import Request, judge, requests, retention, told
from tests.torture.replica_world import World

HISTORIES_SHORT = 24
REQUESTS_EACH = 60
STEPS = (10, 45)


def test_promise_3_every_restore_is_the_newest_commit_asked_for_or_a_right_refusal(
    torture: Torture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, chance in zip(itertools.count(), torture.rounds(HISTORIES_SHORT), strict=False):
        folder = tmp_path / str(number)
        folder.mkdir()
        with monkeypatch.context() as patched:
            run(folder, chance, torture, patched)
        shutil.rmtree(folder)
    if not torture.long:
        assert torture.counts["restored"] > torture.counts["requests"] / 4
        assert torture.counts["refused in doubt"] < torture.counts["requests"] / 8


def run(folder: Path, chance: random.Random, torture: Torture, patched: pytest.MonkeyPatch) -> None:
    """One history, with requests now and then."""
    counts = torture.counts
    world = World(folder, chance, counts)
    for name, value in world.skewed().items():
        patched.setattr(name, value)
    world.more_events.append((3, partial(retention, world)))
    try:
        pauses = 3
        for _ in range(pauses):
            for _ in range(chance.randint(*STEPS) // pauses):
                world.step()
            world.note_numbers()
            for request in requests(world, REQUESTS_EACH // pauses):
                ask(world, request, folder, torture)
    finally:
        world.close()


def look(sources: list[OpenReplica], options: RestoreOptions) -> bytes | None:
    """All pages of what a restore would give, without restoring it; None where that is refused."""
    try:
        return content(read_timeline(sources, options, Cached()).moment())
    except ReplicationError:
        return None


def ask(world: World, request: Request, folder: Path, torture: Torture) -> None:
    """One request, and what is to be said of its answer."""
    counts = torture.counts
    counts["requests"] += 1
    counts[f"asked for {type(request.target).__name__}"] += 1
    output = folder / "restored.db"
    sources = [OpenReplica(name, world.stores[name]) for name in request.replicas]
    generation = None if isinstance(request.target, AtPosition) else request.generation
    options = RestoreOptions(
        request.target, generation, parallelism=1, integrity_check="none", backoff=Backoff(base_seconds=0)
    )
    verdict = judge(world, request)
    here = f"\n{request}\n{verdict}\n"
    refused: ReplicationError | None = None
    looked = look(sources, options)
    try:
        result = restore(sources, output, options)
    except ReplicationError as error:
        refused = error
    if refused is None:
        assert looked == output.read_bytes(), f"a look at it gives another state{here}{told(world, request.replicas)}"
        counts["looked at"] += 1
    elif looked is not None:
        # Of a snapshot that is damaged in what a look has not read, or that brings a table, it may give more.
        number = world.states.get(hashlib.sha256(looked).hexdigest(), -1)
        assert number == verdict.newest, f"looked at {number}, and refused: {refused}{here}"
        counts["looked at, and refused"] += 1
    if refused is not None:
        right = verdict.possible < 0 or verdict.possible != verdict.newest
        assert right or verdict.doubt, f"refused: {refused}{here}{told(world, request.replicas)}"
        counts["refused" if right else "refused in doubt"] += 1
        counts[f"refused in doubt: {verdict.doubt}"] += not right
        return
    number = world.states.get(hashlib.sha256(output.read_bytes()).hexdigest(), -1)
    output.unlink()
    if any("that snapshot by itself" in words for words in result.warnings):
        counts["a snapshot without a note by itself"] += 1
        assert number >= 0
        return
    if number != verdict.newest and number >= 0 and verdict.blind:
        counts["an order that nothing in a copy tells"] += 1
        return
    words = f"{number} from {result.replica} at {result.position}, {result.warnings}{here}"
    assert number == verdict.newest, f"restored {words}{told(world, request.replicas)}"
    counts["restored"] += 1
