"""A database standing still for one reader, and exactly which commit that is: its place in the WAL.

Its promise: nothing is written, nobody is waited for, and `end` and `salts` name the commit whose pages are read.
SQLite does not tell them, but the header of its WAL index does: if it is the same before and after a read
transaction begins, it is what the reader has. The -shm file stays open for as long as the connection, because
closing it earlier would drop the connection's locks. Only for a process that holds the database in no other way.
"""

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import apsw

from replication.errors import DatabaseError
from replication.sqlite.beside import check_beside
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.errors import DatabaseBusyError, sqlite_errors
from replication.sqlite.integrity import Thoroughness, problems_of
from replication.sqlite.opening import Opening, opening
from replication.sqlite.wal_index import WALIndex, WALIndexHeader

TRIES_MAX = 1000
"""How often a read begins anew because another connection committed meanwhile."""
_BUSY_TIMEOUT_MS = 1000


class Still:
    """The database at one commit. `end` is the offset in the WAL, 0 if the WAL holds nothing; `pages` its size."""

    def __init__(self, path: Path, wal_path: Path, connection: apsw.Connection, index: WALIndexHeader | None) -> None:
        self.path = path
        self.wal_path = wal_path
        self.is_held = index is not None
        """False if there is no WAL: then nobody has the database open, or did a moment ago, and nothing is certain."""
        self.salts = index.salts if index is not None else (0, 0)
        with sqlite_errors(path):
            self.page_size = int(connection.pragma("page_size"))
            self.pages = int(connection.pragma("page_count"))
        frames = index.frames if index is not None else 0
        self.end = WAL_HEADER_SIZE + frames * (FRAME_HEADER_SIZE + self.page_size) if frames else 0
        self._connection = connection

    def read(self, offset: int, size: int) -> tuple[bool, bytes]:
        """Return whether the database file has all of these bytes, and the bytes, with zeros beyond its end.

        The WAL is not looked at.
        """
        with sqlite_errors(self.path):
            return self._connection.read("main", 0, offset, size)

    def problems(self, thoroughness: Thoroughness, stop: Callable[[], bool]) -> list[str]:
        """What SQLite finds wrong with the commit that is read. Raises as integrity.problems does."""
        return problems_of(self._connection, thoroughness, stop)

    def was_restarted(self) -> bool:
        """True if the WAL was restarted since the commit was chosen.

        Then all of the commit was in the database file from the beginning, and nobody writes there until we end.
        """
        with self.wal_path.open("rb") as wal:
            head = wal.read(WAL_HEADER_SIZE)
        return len(head) < WAL_HEADER_SIZE or struct.unpack(">2I", head[16:24]) != self.salts


@contextmanager
def still(path: Path) -> Iterator[Still]:
    """Read `path` at its newest commit. Raises DatabaseError, also if it is not in WAL mode."""
    with opening(path) as at:
        yield from _still(path, at)


def _still(path: Path, at: Opening) -> Iterator[Still]:
    real = at.path
    wal_path = Path(f"{real}-wal")
    wal_index: WALIndex | None = None
    # SQLite would make a WAL where there is none, and leave it behind.
    is_held = wal_path.exists()
    how = "mode=ro" if is_held else "immutable=1"
    check_beside(path, at.name)
    with sqlite_errors(path):
        connection = apsw.Connection(
            f"file:{quote(os.fsencode(at.name))}?{how}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
    try:
        if not is_held:
            yield Still(path, wal_path, connection, None)
            return
        with sqlite_errors(path):
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            mode = connection.pragma("journal_mode")
        if mode != "wal":
            raise DatabaseError(f"{path} is not in WAL mode, so that nobody replicates it")
        try:
            wal_index = WALIndex.open(real, at.name)
        except FileNotFoundError:
            raise DatabaseError(f"{real}-shm was removed while {path} was opened; try again") from None
        index = _begin(path, connection, wal_index)
        yield Still(path, wal_path, connection, index)
    finally:
        connection.close(True)
        if wal_index is not None:
            wal_index.close()


def _begin(path: Path, connection: apsw.Connection, wal_index: WALIndex) -> WALIndexHeader:
    for _ in range(TRIES_MAX):
        before = wal_index.read()
        with sqlite_errors(path):
            connection.execute("BEGIN")
            connection.pragma("schema_version")
        after = wal_index.read()
        if before is not None and after is not None and after.raw == before.raw:
            return before
        connection.execute("ROLLBACK")
    raise DatabaseBusyError(f"{path} is written to without a pause; try again")
