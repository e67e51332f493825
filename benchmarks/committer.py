"""The application of the benchmarks, as a process: it commits what it is told to, and says when.

committer.py PATH...: opens databases, makes what is missing, and answers one line of JSON for each on stdin. It keeps
every connection open and never checkpoints, as an application beside Litestream should not.
"""

import json
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BUSY_SECONDS = 60.0
ROWS = 32
"""Rows that small commits replace in turn, so that a database does not grow."""
POOL_BYTES = 1 << 22
"""Noise that rows are cut from: as fast as it is to make, and nothing that LZ4 could shrink."""
TRIAL_BYTES = 2_000_000


def open_database(path: str) -> sqlite3.Connection:
    """A connection with an application's usual settings."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("PRAGMA synchronous=normal")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE IF NOT EXISTS small(id INTEGER PRIMARY KEY, x BLOB)")
    connection.execute("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, x BLOB)")
    return connection


class Committer:
    """All databases of one process."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self._connections = [open_database(path) for path in paths]
        self._pool = os.urandom(POOL_BYTES)
        self._commits = 0

    def schedule(self, commits: list[tuple[float, int, str]]) -> list[float]:
        """Small commits, each so many seconds after now into that database; the moments when they were done."""
        began, moments = time.monotonic(), []
        for after, database, token in commits:
            if (left := began + after - time.monotonic()) > 0:
                time.sleep(left)
            self._commits += 1
            row = self._commits // len(self._paths) % ROWS
            self._connections[database].execute("REPLACE INTO small VALUES(?, ?)", (row, bytes.fromhex(token)))
            moments.append(time.monotonic())
        return moments

    def flood(
        self, rows: int, row_bytes: int, seconds: float, transactions: int, wal_bytes_per_second: float, last: str
    ) -> dict[str, Any]:
        """Transactions of so many rows into database 0, for so long or so many, and a small commit after them."""
        wal_bytes = self._wal_bytes(rows, row_bytes)
        connection = self._connections[0]
        took: list[float] = []
        gap = wal_bytes / wal_bytes_per_second if wal_bytes_per_second else 0.0
        began = time.monotonic()
        while len(took) < transactions if transactions else time.monotonic() - began < seconds:
            if (left := began + len(took) * gap - time.monotonic()) > 0:
                time.sleep(left)
            before = time.monotonic()
            self._insert(connection, rows, row_bytes, len(took))
            took.append(time.monotonic() - before)
        before = time.monotonic()
        connection.execute("REPLACE INTO small VALUES(0, ?)", (bytes.fromhex(last),))
        ended = time.monotonic()
        took.append(ended - before)
        return {"began": began, "ended": ended, "took": took, "wal_bytes": wal_bytes * (len(took) - 1)}

    def fill(self, size_bytes: int, last: str) -> None:
        """Let database 0 grow to so many bytes, half of which LZ4 can shrink away; leave it without a WAL."""
        connection = self._connections[0]
        half = 2000
        number = 0
        connection.execute("PRAGMA journal_mode=delete")
        connection.execute("PRAGMA synchronous=off")
        connection.execute("BEGIN")
        for number in range(size_bytes // (2 * half + 60)):
            at = number * 977 % (POOL_BYTES - half)
            content = number.to_bytes(8) + self._pool[at : at + half] + bytes(half)
            connection.execute("INSERT INTO t VALUES(?, ?)", (number + 1, content))
        connection.execute("INSERT INTO t VALUES(?, ?)", (number + 2, bytes.fromhex(last)))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=wal")

    def _insert(self, connection: sqlite3.Connection, rows: int, row_bytes: int, salt: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for row in range(rows):
            at = (salt * 7919 + row) * 1009 % (POOL_BYTES - row_bytes) if row_bytes < POOL_BYTES else 0
            connection.execute("INSERT INTO t(x) VALUES(?)", (self._pool[at : at + row_bytes],))
        connection.execute("COMMIT")

    def _wal_bytes(self, rows: int, row_bytes: int) -> float:
        """What one such transaction adds to the WAL, tried where nobody replicates."""
        with tempfile.TemporaryDirectory(dir=Path(self._paths[0]).parent) as folder:
            path = f"{folder}/trial.db"
            connection = open_database(path)
            before, count = os.path.getsize(f"{path}-wal"), max(1, TRIAL_BYTES // (rows * row_bytes))  # noqa: PTH202
            for number in range(count):
                self._insert(connection, rows, row_bytes, number)
            added = os.path.getsize(f"{path}-wal") - before  # noqa: PTH202
            connection.close()
        return added / count


def main() -> None:
    """Answer until stdin ends."""
    committer = Committer(sys.argv[1:])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        verb, arguments = json.loads(line)
        print(json.dumps(getattr(committer, verb)(**arguments)), flush=True)


if __name__ == "__main__":
    main()
