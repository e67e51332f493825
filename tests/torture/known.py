"""Replicas with a history of which every restore point is known, to be damaged by tests.

Its promise: the hash of every point comes from the intact replica and was checked against what the application, or
the real Litestream, says of it. A test works on a copy in memory, so that nothing it does reaches the next one.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from peers import litestream03
from replication.engine import Engine
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreResult, restore
from replication.restore.retry import Backoff
from replication.restore.target import AtIndex, AtPosition, AtTime, Latest, Target
from replication.restore.wal03.catalog import read_catalog
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import (
    begun,
    client_of,
    config_of,
    in_step,
    restore_points,
    restored_each,
    running,
    sha256,
    until,
)
from tests.engine.writer import Writer
from tests.foreign import ForeignConnection
from tests.interchange.program import Running
from tests.restore.test_litestream import DEADLINE_SECONDS, Replicated

QUICK = Backoff(tries_max=2, base_seconds=0.0)
"""A damaged replica stays damaged: waiting for it is of no use."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object."""

    data: bytes = field(repr=False)
    modified: datetime


Objects = dict[str, Stored]


@dataclass(frozen=True, slots=True)
class Known:
    """An intact replica. `points` has the hash of the database at every restore point; `newest` is the generation
    in use at the end; `noted` says that our notes are in it."""

    name: str
    objects: Objects
    points: dict[Position, str]
    newest: str
    noted: bool

    def targets(self) -> list[tuple[str | None, Target]]:
        """What may be asked of it: the latest state, every index, the time of every segment, every position."""
        found: list[tuple[str | None, Target]] = [(None, Latest())]
        client = ReplicaClient(storage_of(self.objects))
        for generation in client.generations():
            found.append((generation, Latest()))
            segments = client.segments(generation)
            found += [(generation, AtIndex(index)) for index in sorted({item.index for item in segments})]
            found += [(generation, AtTime(item.created)) for item in segments]
            found += [(generation, AtPosition(at)) for at in self.points if at.generation == generation]
        found += [(None, AtPosition(at)) for at in self.points]
        return found


def storage_of(objects: Objects) -> MemoryStorage:
    """A store in memory with these objects, whatever their names."""
    storage = MemoryStorage()
    for name, stored in objects.items():
        storage.replace(name, stored.data, stored.modified)
    return storage


def attempt(client: ReplicaClient, output: Path, generation: str | None, target: Target) -> RestoreResult:
    """One restore without waiting for faults to pass."""
    options = RestoreOptions(target=target, generation=generation, backoff=QUICK)
    return restore([OpenReplica("damaged", client.storage)], output, options)


def _has_begun(engine: Engine, generations: int) -> bool:
    return len(begun(engine)) == generations


def written_by_us(folder: Path, page_size: int = 512, rows: int = 8) -> Known:
    """By the engine: three generations, each with several indexes and snapshots."""
    folder.mkdir()
    path, root = folder / "app.db", folder / "replica"
    writer = Writer(path, page_size)
    generations: list[str] = []
    with running(config_of(path, root, pages_min=24)) as engine:
        for number in range(3):
            if number:
                engine._workers[0].database.request_generation("test")
                engine.sync_now()
                until(partial(_has_begun, engine, number + 1))
            for _ in range(4):
                writer.commit(rows)
                until(lambda: in_step(engine))
            engine.snapshot(str(path))
            writer.commit(rows)
            until(lambda: in_step(engine))
            generations.append(str(engine.status().databases[0].position).partition("/")[0])
    writer.close()
    client = client_of(root)
    points = _points(client)
    order = {sha: number for number, sha in enumerate(writer.hashes)}
    for generation in generations:
        states = [order[sha] for at, sha in points.items() if at.generation == generation]
        assert states == sorted(states)
    assert order[max(item for item in points.items() if item[0].generation == generations[-1])[1]] == len(order) - 1
    return Known("ours", _objects(root), points, generations[-1], noted=True)


def written_by_litestream(folder: Path) -> Known:
    """By the real Litestream 0.3.13: two generations; at every index its own restore says what is there."""
    folder.mkdir()
    made = Replicated(folder)
    made.config.write_text(f"logging:\n  level: debug\n{made.config.read_text()}")
    root = made.root
    seen: dict[str, bytes] = {}

    def wait(writer: ForeignConnection, text: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        writer.execute(f"INSERT INTO t VALUES('{text}', zeroblob(5000) || '{text}')")
        nudged = time.monotonic()
        while not _holds(made.client, text, seen):
            assert time.monotonic() < deadline, f"{text} never arrived"
            if time.monotonic() > nudged + 1.0:
                # It looks for changes before it copies them, so that the last one may wait for another.
                writer.execute(f"UPDATE t SET a = a WHERE a = '{text}'")
                nudged = time.monotonic()

    generations: list[str] = []
    with ForeignConnection(made.database, autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t(a, b)")
        for life in range(2):
            with Running(litestream03(), "-config", made.config, log=folder / f"{life}.log") as litestream:
                litestream.wait_for_line("sync: ok")
                for number in range(8):
                    wait(writer, f"row {life} {number};")
                litestream.interrupt()
            [generation] = [name for name in made.client.generations() if name not in generations]
            generations.append(generation)
            writer.execute("INSERT INTO t VALUES('unseen', 'unseen')")
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            writer.execute("INSERT INTO t VALUES('unseen', 'unseen too')")
    points = _points(made.client)
    for generation in generations:
        catalog = read_catalog(made.client, generation)
        for index in {item.index for item in catalog.segments if item.index >= catalog.snapshots[0].info.index}:
            ours, theirs = folder / "ours.db", folder / "theirs.db"
            made.restore(theirs, "-generation", generation, "-index", f"{index:x}")
            result = attempt(made.client, ours, generation, AtIndex(index))
            assert points.setdefault(result.position, sha256(ours)) == sha256(ours) == sha256(theirs)
            ours.unlink()
            theirs.unlink()
    return Known("litestream", _objects(root), points, generations[-1], noted=False)


def written_elsewhere(folder: Path, page_size: int = 512) -> Objects:
    """The objects of another database, by the engine."""
    known = written_by_us(folder, page_size, rows=3)
    return known.objects


def _points(client: ReplicaClient) -> dict[Position, str]:
    points: dict[Position, str] = {}
    for generation in client.generations():
        positions = [at for at in restore_points(client, generation) if _reachable(client, at)]
        points |= dict(zip(positions, restored_each(client, positions), strict=True))
    return points


def _reachable(client: ReplicaClient, position: Position) -> bool:
    """False inside what a snapshot of Litestream may hold already: that is only known by asking for it."""
    catalog = read_catalog(client, position.generation)
    first = catalog.snapshots[0]
    return first.note is not None or position.index > first.info.index


def _objects(root: Path) -> Objects:
    client = client_of(root)
    found: Objects = {}
    for item in client.storage.list(""):
        found[item.name] = Stored(b"".join(client.storage.get(item.name)), item.modified)
    return found


def _holds(client: ReplicaClient, text: str, seen: dict[str, bytes]) -> bool:
    items = [item.name for name in client.generations() for item in client.segments(name)]
    seen |= {name: b"".join(client.read(name)) for name in items if name not in seen}
    return any(text.encode() in content for content in seen.values())
