"""Sole possession of a database: nobody else has it open, and all of it is in its one file.

Its promise: inside the block no other connection, here or in another process, reads or writes the database, and
its WAL and shared memory are gone, so that the file can be given another name. A block that is never entered has
changed nothing that a commit would show. It leaves to the caller what becomes of the file, and connections that
are open without ever having read: those hold no lock (replication/sqlite/openers.py finds them where it can).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from replication.errors import DatabaseError
from replication.sqlite.connection import connect
from replication.sqlite.errors import DatabaseBusyError, sqlite_errors
from replication.steps import reached

ALONE_BUSY_TIMEOUT_MS = 500
"""How long others may take to let go before we say that the database is in use."""
SIDE_SUFFIXES = ("-wal", "-shm")


class DatabaseInUseError(DatabaseError):
    """Another connection has the database open; the message says what to do."""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the database at `path` (no link) alone, its WAL folded into it and removed.

    Raises DatabaseInUseError if any other connection has it open, DatabaseError if SQLite cannot read it.
    """
    with _exclusive(path) as connection:
        with sqlite_errors(path):
            # The only connection: it waits for nobody, and nothing is left in the WAL.
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        if os.path.lexists(f"{path}-journal"):
            raise DatabaseError(
                f"{path}-journal lies beside {path}: a program did not end well. Open the database with it once, "
                "close it, and try again"
            )
        reached("replacement: wal folded in")
        for suffix in SIDE_SUFFIXES:
            # Whoever opens the file that comes next must not find the WAL of this one.
            with suppress(FileNotFoundError):
                os.unlink(f"{path}{suffix}")  # noqa: PTH108 (the name is a text)
        reached("replacement: alone")
        yield


def check_alone(path: Path) -> None:
    """Raise DatabaseInUseError or DatabaseError if `alone` would; nothing is changed."""
    with _exclusive(path):
        pass


def in_use(path: Path, by: str = "") -> DatabaseInUseError:
    """The error for a database that somebody has open; `by` names them if they are known."""
    return DatabaseInUseError(
        f"{path} is open in another program{f' ({by})' if by else ''}, which would go on writing to the old file. "
        "Stop it, then try again; nothing was changed"
    )


@contextmanager
def _exclusive(path: Path) -> Iterator[apsw.Connection]:
    """A connection that is the only one. Closing it neither checkpoints nor removes a file."""
    connection = connect(path)
    try:
        connection.set_busy_timeout(ALONE_BUSY_TIMEOUT_MS)
        try:
            with sqlite_errors(path):
                # Before its first read: then the index of the WAL is kept in memory of our own, and the lock on
                # the file shuts out everybody who has so much as read from it.
                connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")
        except DatabaseBusyError:
            raise in_use(path) from None
        yield connection
    finally:
        connection.close(True)
