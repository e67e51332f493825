"""An application that commits all the time, in a process of its own, and what a replica of it is held to.

Each commit is told with the hash of the database after it and the seconds that it took. No commit may fail, and the
slowest is remembered: whatever goes wrong around the replication, the application must not feel it.
"""

import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from replication.restore.wal03.catalog import read_catalog
from replication.storage.wal03.replica_client import ReplicaClient
from tests.engine.running import restore_points, restored_each, until

COMMIT_SECONDS_MAX = 5.0
"""The application's patience: a commit that would take longer fails, and the test with it."""

_APPLICATION = r"""
import hashlib, random, select, sqlite3, sys, time
path, seed, patience = sys.argv[1], sys.argv[2], float(sys.argv[3])
chance = random.Random(seed)
db = sqlite3.connect(path, isolation_level=None, timeout=patience)
db.execute("PRAGMA journal_mode=wal")
db.execute("PRAGMA synchronous=normal")
db.execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b BLOB)")
running = False
print(hashlib.sha256(db.serialize()).hexdigest(), 0, flush=True)
print("ready", flush=True)
while True:
    if select.select([sys.stdin], [], [], 0.004 if running else None)[0]:
        word = sys.stdin.readline().strip()
        if not word:
            break
        running = word == "go"
        print(word, flush=True)
    if running:
        began = time.monotonic()
        # Random bytes, so that every state differs from all others and nothing compresses.
        size = chance.choice([50, 500, 20_000])
        db.execute("REPLACE INTO t VALUES(?, ?)", (chance.randrange(12), chance.randbytes(size)))
        seconds = time.monotonic() - began
        print(hashlib.sha256(db.serialize()).hexdigest(), seconds, flush=True)
db.close()
"""


class Application:
    """It commits between `go` and `pause`; `hashes` are the states of the database, in their order."""

    def __init__(self, path: Path, seed: int, hashes: list[str] | None = None) -> None:
        self.hashes: list[str] = [] if hashes is None else hashes
        self.slowest_seconds = 0.0
        self._answered = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _APPLICATION, str(path), str(seed), str(COMMIT_SECONDS_MAX)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._wait()

    def go(self) -> None:
        """Commit from now on."""
        self._say("go")

    def pause(self) -> None:
        """Commit no more; all commits are in `hashes` when this returns."""
        self._say("pause")

    def commits(self, count: int) -> None:
        """Wait until it has committed so many times more."""
        before = len(self.hashes)
        until(lambda: len(self.hashes) >= before + count or not self._reader.is_alive())
        assert self._reader.is_alive(), "a commit of the application failed"

    def close(self) -> None:
        """Close the database as an application does; every commit had to succeed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(timeout=30) == 0, "a commit of the application failed"
        self._reader.join()

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._answered.clear()
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self._wait()

    def _wait(self) -> None:
        assert self._answered.wait(30), "the application does not answer"
        assert self._reader.is_alive(), "a commit of the application failed"

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                sha, _, seconds = line.strip().partition(" ")
                if seconds:
                    self.hashes.append(sha)
                    self.slowest_seconds = max(self.slowest_seconds, float(seconds))
                else:
                    self._answered.set()
        self._answered.set()


def prove(
    client: ReplicaClient, hashes: Sequence[str], chance: random.Random, points_max: int, only: str | None = None
) -> tuple[int, int]:
    """All that a replica holds is right: how many restore points were restored, and how many generations there are.

    In each generation every commit from its first to its last is there, in order. Of these at most `points_max`,
    the first and last ones among them, are restored and compared.
    """
    order = {sha: number for number, sha in enumerate(hashes)}
    looked_at = generations = 0
    for generation in client.generations():
        if only not in (None, generation) or not read_catalog(client, generation).snapshots:
            continue
        generations += 1
        points = restore_points(client, generation)
        ends = {*points[:2], *points[-2:]}
        some = sorted(ends | {*chance.sample(points, min(len(points), points_max))})
        states = [order.get(sha, -1) for sha in restored_each(client, some)]
        assert -1 not in states, f"{some[states.index(-1)]} restores to a state that never was"
        assert states == sorted(states), f"{generation} goes back in time"
        # The start of an index is the end of the one before it, under another name.
        commits = {point for point in points if point.offset} | {points[0]}
        assert len(commits) >= states[-1] - states[0] + 1, f"{generation}: commits are missing"
        looked_at += len(some)
    return looked_at, generations
