"""The application of the tests: a process that commits on demand and says what SQLite then sees.

Its hashes are the oracle: whatever is restored must be one of them.
"""

import subprocess
import sys
from pathlib import Path

_WRITER = r"""
import hashlib, random, sqlite3, sys
path, page_size = sys.argv[1], int(sys.argv[2])
chance = random.Random(7)
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
    if number % 97 == 0:
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

def flood(number):
    # Rows of a table that does not grow, so that each state is quickly hashed.
    db.execute("BEGIN IMMEDIATE")
    for _ in range(100):
        db.execute("REPLACE INTO t VALUES(?, ?, ?)", (chance.randrange(1000), chance.randbytes(1000), number))
    db.execute("COMMIT")

tell()
number = 0
for line in sys.stdin:
    how, count = line.split()
    for _ in range(int(count)):
        number += 1
        if how == "flood":
            flood(number)
            tell()
            continue
        if number % 25 == 0:
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
            [sys.executable, "-c", _WRITER, str(path), str(page_size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.hashes.append(self.process.stdout.readline().strip())

    def commit(self, count: int, how: str = "commit") -> None:
        """So many commits, one after the other; `how` is "flood" for those of 100 rows of 1 KB each."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{how} {count}\n")
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
