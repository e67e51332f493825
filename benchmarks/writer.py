"""The application of the benchmarks: commits to databases, evenly spread, until it is ended or has written enough.

writer.py BYTES RATE TOTAL PATH...: a commit of BYTES to each database in turn, at RATE bytes a second (0: as fast as
SQLite goes), until TOTAL bytes are written (0: for ever) or the process that started it has gone. It never
checkpoints, as an application beside Litestream should not.
"""

import os
import sqlite3
import sys
import time

ROWS = 32
"""Rows of a database, written again and again, so that its size stands still."""


def main() -> None:
    """Write, as the arguments say."""
    size, rate, total = (int(word) for word in sys.argv[1:4])
    parent = os.getppid()
    connections = []
    for path in sys.argv[4:]:
        connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("PRAGMA synchronous=normal")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, x BLOB)")
        connections.append(connection)
    began, written, commits = time.monotonic(), 0, 0
    while (not total or written < total) and os.getppid() == parent:
        row = commits // len(connections) % ROWS
        # Noise, so that what is uploaded is as large as what was committed.
        values = (row, size)
        connections[commits % len(connections)].execute("REPLACE INTO t VALUES(?, randomblob(?))", values)
        commits += 1
        written += size
        if rate:
            time.sleep(max(0.0, began + written / rate - time.monotonic()))


if __name__ == "__main__":
    main()
