"""How many frames of a WAL SQLite goes by: what is in the file beyond them was never committed.

A writer puts the frames of a commit into the WAL, and then says in shared memory that they count. Killed between the
two, it leaves a commit that looks whole to whoever reads the file, and in whose place the next writer puts another.
"""

from pathlib import Path

import apsw

from replication.sqlite.connection import connect
from replication.sqlite.errors import sqlite_errors


def frames_counted(path: Path) -> int:
    """The frames that count now; 0 if the next writer begins the WAL anew. Raises DatabaseError.

    Asked through a connection of its own, for one that is reading knows only what there was when it began.
    """
    connection = connect(path)
    try:
        with sqlite_errors(path):
            # Before its first read a connection has not looked for a WAL.
            connection.pragma("schema_version")
            return max(0, connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0])
    finally:
        connection.close()
