"""Promises 1, 2, 3 and 5 against any order of events: commits, checkpoints of ours and of others, restarts, faults.

Chance, from a seed, chooses what happens; two replicas follow at their own pace. At the end everything that they
can restore must be a state that was, in order, and with none missing; and whatever was restorable stays so.
"""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from replication.errors import StorageError
from replication.position import Position
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from tests.foreign import ForeignError
from tests.replica.bench import Bench

SEEDS = range(int(os.environ.get("ANY_ORDER_FIRST", "1")), int(os.environ.get("ANY_ORDER_LAST", "24")) + 1)
STEPS = 60
DOWN = StorageError("the store is down")
NEEDLESS = ("overwritten", "checkpoint counted", "made anew", "was opened", "damaged")
"""Words of reasons that nothing which happens here may lead to."""


class Walk:
    """One history. The application is another process; the engine's parts are called one by one."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.chance = random.Random(seed)
        self.is_open = False
        """The application has a transaction open, with frames in the WAL."""
        self.down: set[str] = set()
        self.thinned: set[str] = set()
        """Replicas from which retention has removed something."""
        self.firsts: dict[tuple[str, str], Position] = {}
        """Where each generation of each replica begins to be restorable."""
        self.steps: dict[Callable[[], None], int] = {
            self.commit: 10,
            self.shrink: 1,
            self.spill: 3,
            self.end: 6,
            self.checkpoint_of_others: 3,
            self.copy: 8,
            self.checkpoint: 4,
            self.upload: 12,
            self.outage: 2,
            self.snapshot: 3,
            self.retention: 1,
            self.new_generation: 1,
            self.restart: 2,
            self.leave_out: 1,
        }

    def run(self) -> None:
        for _ in range(STEPS):
            [step] = self.chance.choices(list(self.steps), list(self.steps.values()))
            step()
            self.check_nothing_is_taken_away()
        if self.is_open:
            self.end()
        for name in ("a", "b"):
            self.bench.replica(name)
        self.bench.settle()
        for name in ("a", "b"):
            self.bench.check(name)
        needless = [reason for reason in self.bench.reasons() if any(words in reason for words in NEEDLESS)]
        assert needless == []

    # -- the application ------------------------------------------------------------------------------------------

    def commit(self) -> None:
        if self.is_open:
            return
        size = self.chance.choice([1, 100, 900, 9000])
        if self.chance.random() < 0.7:
            self.bench.commit(size, sync=False)
        else:
            # The new state is another one, as a row is always added.
            rows = f"UPDATE t SET b = randomblob({size}) WHERE a % 5 = {self.chance.randrange(5)}"
            self.bench.app.execute("BEGIN IMMEDIATE")
            self.bench.app.execute(rows)
            self.bench.app.execute("INSERT INTO t(b) VALUES(randomblob(8))")
            self.bench.write("COMMIT")

    def shrink(self) -> None:
        if not self.is_open:
            self.bench.app.execute("BEGIN IMMEDIATE")
            self.bench.app.execute("INSERT INTO t(b) VALUES(randomblob(8))")
            self.bench.app.execute("DELETE FROM t WHERE a % 3")
            self.bench.write("COMMIT")
            self.bench.write("VACUUM")

    def spill(self) -> None:
        """Begin a transaction larger than the cache, or go on with it."""
        if not self.is_open:
            self.bench.app.execute("BEGIN IMMEDIATE")
            self.is_open = True
        for number in range(self.chance.randrange(10, 60)):
            self.bench.app.execute(f"INSERT INTO t(b) VALUES(zeroblob(900) || {number})")

    def end(self) -> None:
        if self.is_open:
            self.is_open = False
            if self.chance.random() < 0.5:
                self.bench.app.execute("ROLLBACK")
                if self.chance.random() < 0.5:
                    # Right over the first of the frames that were left behind, and perhaps the same once more.
                    self.commit()
            else:
                self.bench.app.execute("INSERT INTO t(b) VALUES(randomblob(8))")
                self.bench.write("COMMIT")

    def checkpoint_of_others(self) -> None:
        if not self.is_open:
            mode = self.chance.choice(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
            self.bench.app.execute("PRAGMA busy_timeout=1")
            with suppress(ForeignError):  # busy, when we hold the lock that it needs
                self.bench.app.execute(f"PRAGMA wal_checkpoint({mode})")

    # -- the program ----------------------------------------------------------------------------------------------

    def copy(self) -> None:
        self.bench.database.sync()

    def checkpoint(self) -> None:
        self.bench.database.checkpoint()

    def upload(self) -> None:
        name = self.chance.choice(["a", "b"])
        self.with_faults(name, lambda: self.bench.replica(name).sync())
        self.bench.clean()

    def snapshot(self) -> None:
        name = self.chance.choice(["a", "b"])
        self.with_faults(name, lambda: self.bench.replica(name).snapshot())

    def with_faults(self, name: str, what: Callable[[], object]) -> None:
        self.bench.replica(name)
        storage = self.bench.storages[name]
        if name in self.down:
            storage.fail("put", DOWN, 100)
        elif self.chance.random() < 0.3:
            storage.lose_acknowledgement() if self.chance.random() < 0.5 else storage.fail(
                self.chance.choice(["list", "put", "get"]), DOWN
            )
        try:
            what()
        except StorageError:
            pass
        finally:
            storage.clear_faults()

    def outage(self) -> None:
        self.down ^= {self.chance.choice(["a", "b"])}

    def retention(self) -> None:
        name = self.chance.choice(["a", "b"])
        self.thinned.add(name)
        self.bench.replica(name).enforce_retention(self.chance.choice([3.0, 20.0]), self.bench.clock())

    def new_generation(self) -> None:
        self.bench.database.request_generation("test")

    def restart(self) -> None:
        def meanwhile() -> None:
            if not self.is_open:
                for _ in range(self.chance.randrange(3)):
                    self.commit()
                if self.chance.random() < 0.4:
                    self.checkpoint_of_others()

        self.bench.restart(meanwhile)

    def leave_out(self) -> None:
        """Take a replica out of the configuration; with its next step it is in it again."""
        if len(self.bench.replicas) == 2:
            del self.bench.replicas[self.chance.choice(["a", "b"])]

    # -- what must hold at every step -----------------------------------------------------------------------------

    def check_nothing_is_taken_away(self) -> None:
        for name, storage in self.bench.storages.items():
            assert all(storage.read(item) for item in storage.names()), "an object is empty"
            if name not in self.thinned:
                for generation, first in firsts(storage).items():
                    assert self.firsts.setdefault((name, generation), first) == first


def firsts(storage: MemoryStorage) -> dict[str, Position]:
    """The first commit of each generation that a snapshot holds."""
    found: dict[str, Position] = {}
    for name in storage.names():
        if "/snapshots/" in name:
            note = DEFAULT_CODEC.open("object", [storage.read(name)]).note
            assert note is not None
            position = Position.parse(str(note["position"]))
            found[position.generation] = min(position, found.get(position.generation, position))
    return found


@pytest.fixture
def two(bench: Bench) -> Bench:
    bench.replica("a")
    bench.replica("b")
    return bench


@pytest.mark.parametrize("seed", SEEDS)
def test_any_order(two: Bench, tmp_path: Path, seed: int) -> None:
    Walk(two, seed).run()
