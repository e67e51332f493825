"""Promises 1 to 3 at once: every commit that SQLite made is a restore point, and restores to just that commit.

A writer in another process says the hash of the database after each of its commits, as SQLite itself sees it.
While the engine replicates and checkpoints, nothing else is known about what it does; afterwards every restore
point of the replica must be one of those states, in their order, and none may be missing.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.running import (
    begun,
    client_of,
    config_of,
    in_step,
    only,
    restore_points,
    restored_each,
    running,
    until,
)

COMMITS = 550
SNAPSHOT_EVERY = 60
"""Commits between two snapshots, which also keeps each restore short."""

_WRITER = r"""
import hashlib, random, sqlite3, sys
path, page_size, commits, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
db = sqlite3.connect(path, isolation_level=None, timeout=30)
db.execute(f"PRAGMA page_size={page_size}")
db.execute("PRAGMA journal_mode=wal")
db.execute("PRAGMA cache_size=10")
db.execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b BLOB, c INT)")
db.execute("CREATE INDEX IF NOT EXISTS i ON t(c)")

def tell():
    print(hashlib.sha256(db.serialize()).hexdigest(), flush=True)

def rollback():
    # Larger than the cache, so that frames reach the WAL whose commit never comes.
    db.execute("BEGIN")
    for _ in range(40):
        db.execute("INSERT INTO t(b, c) VALUES(?, 0)", (chance.randbytes(page_size),))
    db.execute("ROLLBACK")

def commit(number):
    kind = chance.random()
    if number % 97 == 96:
        db.execute("VACUUM")
        return
    db.execute("BEGIN IMMEDIATE")
    # Every state differs from all others, so that a hash names one commit.
    db.execute("INSERT INTO t(b, c) VALUES(?, ?)", (chance.randbytes(8), number))
    if kind < 0.3:
        db.execute("UPDATE t SET b=? WHERE a % 7 = ?", (chance.randbytes(page_size // 3), number % 7))
    elif kind < 0.4:
        db.execute("DELETE FROM t WHERE a % 3 = ?", (number % 3,))
    elif kind < 0.5:
        for _ in range(12):
            db.execute("INSERT INTO t(b, c) VALUES(?, ?)", (chance.randbytes(page_size // 2), chance.randrange(9)))
    elif kind < 0.55:
        db.execute("DELETE FROM t WHERE a < (SELECT max(a) FROM t) - 5")
    db.execute("COMMIT")

tell()
for line in sys.stdin:
    for number in range(int(line)):
        if number % 25 == 24:
            rollback()
        commit(number)
        tell()
    print("paused", flush=True)
"""


class Writer:
    """The application: commits on demand, and the hash of the database after each commit."""

    def __init__(self, path: Path, page_size: int) -> None:
        self.hashes: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(page_size), str(COMMITS), "7"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.hashes.append(self.process.stdout.readline().strip())

    def commit(self, count: int) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        while (line := self.process.stdout.readline().strip()) != "paused":
            assert line, "the writer failed"
            self.hashes.append(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0
        self.process.stdout.close()


@pytest.mark.parametrize("page_size", [1024, 4096])
def test_promises_1_2_3_every_commit_of_a_live_database_is_restored(tmp_path: Path, page_size: int) -> None:
    path, folder = tmp_path / "app.db", tmp_path / "replica"
    writer = Writer(path, page_size)
    with running(config_of(path, folder, pages_min=20)) as engine:
        until(lambda: in_step(engine))
        snapshots = 0
        while len(writer.hashes) <= COMMITS:
            writer.commit(SNAPSHOT_EVERY)
            snapshots += sum("written" in said for said in engine.snapshot(str(path)))
        last_position = only(engine).position
        until(lambda: in_step(engine))
        assert begun(engine) == ["no generation exists"]
    # The engine is the last to let go, so the writer's close comes after, as when it is still running.
    writer.close()

    client = client_of(folder)
    [generation] = client.generations()
    points = restore_points(client, generation)
    assert last_position is not None
    assert last_position.index >= 10, "there were too few checkpoints for this test to say much"
    assert snapshots >= 3

    found = restored_each(client, tmp_path, points)
    # A snapshot may hold the end of an index under the name of the next one's start: the same commit twice.
    states = [sha for at, sha in enumerate(found) if not (points[at].offset == 0 and at and found[at - 1] == sha)]
    assert json.dumps(states) == json.dumps(writer.hashes)
