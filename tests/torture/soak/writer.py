"""The application of the long run: several databases, each by turns idle, slow, busy or in a burst.

writer.py USER SEED PATH...: beside each database grows PATH.oracle, a line for each state: the time at which its commit
had returned, and the SHA-256 of all pages. It ends with its standard input.
"""

import hashlib
import os
import random
import sqlite3
import sys
import threading
import time
from pathlib import Path

ROWS_MAX = 400
ROW_BYTES_MAX = 3000
SPILL_ROWS = 60
SPELLS = ((0.0, 4), (0.3, 4), (3.0, 3), (20.0, 2), (150.0, 0.2))
"""Commits a second, and how likely such a spell is."""
SPELL_SECONDS = (5.0, 90.0)
BURST_SECONDS = 4.0


class Database:
    """One database and its spell."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.chance = chance
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=60)
        self.connection.execute(f"PRAGMA page_size={chance.choice([1024, 4096, 4096, 16384])}")
        self.connection.execute("PRAGMA journal_mode=wal")
        self.connection.execute("PRAGMA cache_size=20")
        self.connection.execute("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, n INT, x BLOB)")
        self.connection.execute("CREATE INDEX IF NOT EXISTS i ON t(n)")
        self.oracle = path.with_suffix(".oracle").open("a")
        self.next = self.spell_end = 0.0
        self.rate = 0.0
        self.tell()

    def step(self, now: float) -> None:
        """Commit if it is time."""
        if now >= self.spell_end:
            [self.rate] = self.chance.choices([rate for rate, _ in SPELLS], [often for _, often in SPELLS])
            longest = BURST_SECONDS if self.rate > 100 else SPELL_SECONDS[1]
            self.spell_end = now + self.chance.uniform(min(SPELL_SECONDS[0], longest), longest)
            self.next = now
        if self.rate and now >= self.next:
            self.next = max(self.next + self.chance.expovariate(self.rate), now - 1)
            self.commit()

    def commit(self) -> None:
        """One change out of many kinds, and its oracle."""
        chance, run = self.chance, self.connection.execute
        kind = chance.random()
        if kind < 0.002:
            run("VACUUM")
            self.tell()
            return
        if kind < 0.01:
            run(f"PRAGMA wal_checkpoint({chance.choice(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'])})").fetchall()
        if kind < 0.03:
            # More than the cache holds, so that frames reach the WAL whose commit never comes.
            run("BEGIN")
            run(
                "WITH RECURSIVE c(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM c WHERE v < ?)"
                " INSERT INTO t(n, x) SELECT v, randomblob(2000) FROM c",
                (SPILL_ROWS,),
            )
            run("ROLLBACK")
        run("BEGIN IMMEDIATE")
        for _ in range(chance.choice([1, 1, 1, 2, 10])):
            row = chance.randrange(ROWS_MAX)
            if kind > 0.95:
                run("DELETE FROM t WHERE id % 10 = ?", (row % 10,))
            run(
                "REPLACE INTO t VALUES(?, ?, ?)",
                (row, chance.randrange(99), chance.randbytes(chance.randrange(ROW_BYTES_MAX))),
            )
        run("COMMIT")
        self.tell()

    def tell(self) -> None:
        """Say which state there is now."""
        self.oracle.write(f"{time.time():.3f} {hashlib.sha256(self.connection.serialize()).hexdigest()}\n")
        self.oracle.flush()


def main() -> None:
    """Write until standard input ends."""
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    if os.getuid() != (user := int(sys.argv[1])):
        os.setgid(user)
        os.setuid(user)
    databases = [Database(Path(path), random.Random(f"{sys.argv[2]}/{path}")) for path in sys.argv[3:]]
    while not ended.wait(0.002):
        now = time.monotonic()
        for database in databases:
            database.step(now)
    for database in databases:
        database.connection.close()


if __name__ == "__main__":
    main()
