"""What is done to the WAL of a database that has no pin: a reader before there is one, and an empty WAL after it."""

from contextlib import closing, suppress
from pathlib import Path

import apsw

from replication.errors import DatabaseError
from replication.sqlite.connection import begin_reading, connect
from replication.sqlite.errors import sqlite_errors
from replication.sqlite.opening import opening


class Bridge:
    """A reader that keeps the WAL from being restarted unseen until a pin is there beside it, in this process.

    It changes nothing. Letting go of a pin of the same database meanwhile ends its locks as well: see WALIndex.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @classmethod
    def take(cls, path: Path) -> "Bridge":
        """Begin to read. Raises DatabaseError and, if another connection has the lock, DatabaseBusyError."""
        with opening(path) as at:
            connection = connect(at)
        try:
            with sqlite_errors(path):
                if connection.pragma("journal_mode") != "wal":
                    raise DatabaseError(f"{path} is not in WAL mode")
                begin_reading(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """End reading."""
        self._connection.close()


def empty_wal(path: Path) -> None:
    """Make the WAL of a database without a pin empty, if no other connection uses it just now. Waits for nothing."""
    with opening(path) as at, closing(connect(at)) as connection:
        connection.set_busy_timeout(0)
        with sqlite_errors(path), suppress(apsw.BusyError):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
