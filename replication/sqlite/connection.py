"""Connections to a source database that change nothing by being there.

They never create the file, never checkpoint on their own and never remove the WAL when closed.
https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html#sqlitefcntlpersistwal
"""

import ctypes
import os
from pathlib import Path
from urllib.parse import quote

import apsw

from replication.errors import DatabaseError
from replication.nofollow import without_links
from replication.sqlite.beside import check_beside
from replication.sqlite.errors import sqlite_errors
from replication.sqlite.opening import Opening

BUSY_TIMEOUT_MS = 1000
"""How long we wait for another connection's lock; the same as Litestream."""

_CACHE_PAGES_MAX = 16


def connect(at: Opening) -> apsw.Connection:
    """Open a database for reading and writing. Raises DatabaseError if it is missing or cannot be opened so.

    The connection has read: in WAL mode it opens no file later on.
    """
    connection = connect_unread(at)
    with sqlite_errors(at.path):
        try:
            connection.pragma("wal_autocheckpoint", 0)
            connection.pragma("cache_size", _CACHE_PAGES_MAX)
        except BaseException:
            connection.close()
            raise
        return connection


def connect_unread(at: Opening) -> apsw.Connection:
    """As `connect`, but nothing is read, so that a file opens which SQLite finds damaged."""
    path = at.path
    check_beside(path, at.name)
    with sqlite_errors(path):
        connection = apsw.Connection(at.name, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            if connection.readonly("main"):
                # SQLite opens it for reading only then; without checkpoints the WAL would grow for ever.
                raise DatabaseError(
                    f"{path} may not be written by this user; replication needs that for checkpoints: "
                    "give write permission on the database and its folder"
                )
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            persist = ctypes.c_int(1)
            connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(persist))
        except BaseException:
            connection.close()
            raise
        return connection


def begin_reading(connection: apsw.Connection) -> None:
    """Start a read transaction; the schema itself is not parsed, however large it is."""
    connection.execute("BEGIN")
    try:
        connection.pragma("schema_version")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def check_is_database(path: Path) -> None:
    """Raise DatabaseError if the file `path` is not a SQLite database; nothing is locked, changed or made for it.

    Whatever else may be wrong with it is left to `connect` and its users.
    """
    connection: apsw.Connection | None = None
    try:
        uri = f"file:{quote(os.fsencode(without_links(path)))}?immutable=1"
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        connection.pragma("schema_version")
    except apsw.NotADBError:
        with sqlite_errors(path):
            raise
    except apsw.Error:
        pass
    finally:
        if connection is not None:
            connection.close(True)


def sqlite_version() -> str:
    """The version of the SQLite library in use, such as 3.54.1."""
    return apsw.sqlite_lib_version()


def check_sqlite_version(version: str) -> None:
    """Raise DatabaseError if `version` has the WAL-reset bug, with which two checkpoints at once lose commits.

    Affected: 3.7.0 to 3.51.2, but for the fixed 3.44.6 and 3.50.7 and later of those lines.
    https://www.sqlite.org/wal.html
    """
    parts = tuple(int(part) for part in version.split(".")[:3])
    fixed = parts >= (3, 51, 3) or (3, 50, 7) <= parts < (3, 51, 0) or (3, 44, 6) <= parts < (3, 45, 0)
    if not fixed:
        raise DatabaseError(
            f"SQLite {version} can lose commits when two connections checkpoint at once; install apsw 3.51.3.0 or newer"
        )
