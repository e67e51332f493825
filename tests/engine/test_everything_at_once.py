"""Promises 1 to 3 and 5 with all threads running: a busy writer, others' checkpoints, faults, restarts, generations.

What test_any_order.py does step by step, here happens at once. At the end every replica's latest state must be the
newest, and restore points out of every generation must be states that were, in order and with none missing.
"""

import os
import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from replication.engine import Engine, making
from replication.errors import ReplicationError, StorageError
from replication.restore.wal03.catalog import read_catalog
from replication.storage.file.location import FileLocation
from replication.storage.location import Location
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import config_of, in_step, restore_points, restored, restored_each, running, until
from tests.engine.writer import Writer

SEEDS = range(1, int(os.environ.get("EVERYTHING_SEEDS", "2")) + 1)
LIVES = 4
ACTS = 15
POINTS_MAX = 40
"""Restore points looked at in each generation."""
DOWN = StorageError("the store is down")

_CHECKPOINTS = r"""
import random, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=0.02, isolation_level=None)
chance = random.Random(int(sys.argv[2]))
while True:
    try:
        mode = chance.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
        db.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    except sqlite3.OperationalError:
        pass
    time.sleep(chance.random() * 0.1)
"""


def act(engine: Engine, path: Path, stores: dict[str, MemoryStorage], chance: random.Random) -> None:
    """One thing out of all that may happen to a running engine."""
    store = stores[chance.choice("ab")]
    match chance.choice(["snapshot", "generation", "put", "lost", "read", "verify", "now"]):
        case "snapshot":
            with suppress(ReplicationError):
                engine.snapshot(str(path))
        case "generation":
            engine._workers[0].database.request_generation("test")
        case "put":
            store.fail("put", DOWN, chance.randrange(1, 6))
        case "lost":
            store.lose_acknowledgement(2)
        case "read":
            store.fail(chance.choice(["list", "get"]), DOWN, 2)
        case "verify":
            result = engine._workers[0].replicas.runners[0].verify(threading.Event())
            assert result.outcome != "failed", result.words
        case _:
            engine.sync_now()
    threading.Event().wait(chance.random() * 0.1)


def check(store: MemoryStorage, hashes: list[str], tmp_path: Path, chance: random.Random) -> None:
    """Whatever this store holds is right."""
    client = ReplicaClient(store)
    order = {sha: number for number, sha in enumerate(hashes)}
    assert restored(client, tmp_path / "latest.db") == hashes[-1]
    for generation in client.generations():
        if read_catalog(client, generation).snapshots:
            points = restore_points(client, generation)
            ends = {*points[:2], *points[-2:]}
            some = sorted(ends | {*chance.sample(points, min(len(points), POINTS_MAX))})
            states = [order.get(sha, -1) for sha in restored_each(client, some)]
            assert -1 not in states, f"{some[states.index(-1)]} restores to a state that never was"
            assert states == sorted(states)
            # The start of an index is the end of the one before it, under another name.
            commits = {point for point in points if point.offset} | {points[0]}
            assert len(commits) >= states[-1] - states[0] + 1, f"{generation}: commits are missing"


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    stores: dict[str, MemoryStorage] = {}

    def open_memory(location: Location, permissions: object = None) -> MemoryStorage:
        assert isinstance(location, FileLocation)
        return stores.setdefault(location.path.name, MemoryStorage())

    monkeypatch.setattr(making, "open_storage", open_memory)
    path = tmp_path / "app.db"
    writer = Writer(path, chance.choice([512, 1024, 4096]))
    config = config_of(path, Path("a"), Path("b"), pages_min=chance.choice([3, 20, 200]), monitor_seconds=0.02)
    others = subprocess.Popen([sys.executable, "-c", _CHECKPOINTS, str(path), str(seed)])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            writer.commit(10)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for _ in range(LIVES):
            with running(config) as engine:
                for _ in range(ACTS):
                    act(engine, path, stores, chance)
    finally:
        stop.set()
        writing.join()
        others.kill()
        others.wait()
    for store in stores.values():
        store.clear_faults()
    with running(config) as engine:
        until(lambda: in_step(engine))
    writer.close()
    for store in stores.values():
        check(store, writer.hashes, tmp_path, chance)
