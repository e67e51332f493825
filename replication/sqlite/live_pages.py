"""The pages of a database that others write to, as it stood at one moment: a read transaction, and nothing copied.

Its promise: every page is that of one commit, for as long as the block lasts; nothing is written to the database, and
in WAL mode its writers wait for nothing. SQLite gives no page by its number, so it is read where SQLite would read it:
in the WAL up to the frame at which the transaction began, or in the file. Both are read through descriptors of SQLite's
own: closing another would drop the locks of this process, which may be an engine's.

Which frames those are is asked of SQLite before and after the transaction begins (a checkpoint that does nothing). Two
facts of SQLite do the rest (sqlite/pin.py): a reader that began when all frames were copied back keeps everybody from
writing to the file, and any other reader keeps the WAL from being restarted.
"""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import apsw

from replication.errors import DatabaseError
from replication.sqlite.beside import check_beside
from replication.sqlite.errors import DatabaseBusyError, sqlite_errors
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.opening import Opening, opening

TRIES_MAX = 1000
"""How often a read begins anew because another connection committed meanwhile."""
_BUSY_TIMEOUT_MS = 1000
_FRAME = struct.Struct(">II8s")
"""The first fields of a frame's header: the page, the size of the database if it is a commit, the salts."""
_FILE, _WAL = 0, 1
"""How apsw's `read` numbers the database file and its WAL."""


@dataclass(frozen=True, slots=True)
class LivePages:
    """The database at one commit: pages from 1 on. Used by one thread."""

    path: Path
    page_size: int
    pages: int
    at: datetime
    """When the transaction began, by the clock here."""
    _connection: apsw.Connection
    _frames: dict[int, int]
    """Where in the WAL the newest version of a page lies, if it lies there."""

    def page(self, number: int) -> bytes:
        """The page of this number. Raises DatabaseError."""
        size = self.page_size
        offset = self._frames.get(number)
        with sqlite_errors(self.path):
            if offset is not None:
                return bytes(self._connection.read("main", _WAL, offset, size)[1])
            # What the file lacks of its last page SQLite reads as zeros.
            return bytes(self._connection.read("main", _FILE, (number - 1) * size, size)[1])


@contextmanager
def live_pages(path: Path) -> Iterator[LivePages]:
    """The pages of the database at `path` as it is now. Raises DatabaseError."""
    with opening(path) as at, ExitStack() as stack:
        reader = stack.enter_context(closing(connect_to_write(at)))
        asked = stack.enter_context(closing(connect_to_write(at)))
        with sqlite_errors(path):
            is_wal = reader.pragma("journal_mode") == "wal"
            asked.pragma("schema_version")
            page_size = int(reader.pragma("page_size"))
            frames = _begin_in_wal(path, reader, asked, page_size) if is_wal else _begin(reader)
            now = datetime.now(UTC)
            pages = int(reader.pragma("page_count"))
        yield LivePages(at.path, page_size, pages, now, reader, frames)


def connect_to_write(at: Opening) -> apsw.Connection:
    """A connection as an application's, which leaves a WAL that is there where and as it is.

    Raises DatabaseError, in words, if this user may not write there.
    """
    is_kept = os.path.lexists(f"{at.name}-wal")
    check_beside(at.path, at.name)
    with sqlite_errors(at.path):
        connection = apsw.Connection(at.name, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
        try:
            if connection.readonly("main"):
                raise DatabaseError(
                    f"{at.path} may not be written by this user: bring rows back as one who may write to it and to "
                    "its folder, or write them to a file with -o"
                )
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            if is_kept:
                # Whoever replicates it has no use for a checkpoint of ours, nor for a WAL that went.
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                persist = ctypes.c_int(1)
                connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(persist))
            connection.pragma("wal_autocheckpoint", 0)
        except BaseException:
            connection.close(True)
            raise
        return connection


def wal_life(connection: apsw.Connection) -> tuple[bytes, int]:
    """The salts of the WAL that a connection uses, and how many frames count in it. It may not be in a transaction."""
    frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
    return bytes(connection.read("main", _WAL, 0, WAL_HEADER_SIZE)[1][16:24]), max(0, frames)


def _begin(reader: apsw.Connection) -> dict[int, int]:
    """Begin to read; in another mode than WAL nobody can commit until this ends."""
    reader.execute("BEGIN")
    reader.pragma("schema_version")
    return {}


def _begin_in_wal(path: Path, reader: apsw.Connection, asked: apsw.Connection, page_size: int) -> dict[int, int]:
    """Begin to read. Return where in the WAL pages are."""
    for _ in range(TRIES_MAX):
        before, head = _counts(asked), _head(asked)
        _begin(reader)
        after = _counts(asked)
        if before[0] == after[0] and head == _head(asked):
            frames, copied_back = after
            if before[1] == frames or not frames:
                # All of it is in the file, where nobody writes until this ends; the WAL may be restarted.
                return {}
            if copied_back < frames:
                return _places(reader, head, frames, page_size)
        reader.execute("ROLLBACK")
    raise DatabaseBusyError(f"{path} is written to without a pause; try again")


def _counts(connection: apsw.Connection) -> tuple[int, int]:
    """Frames that count, and how many of them are in the file."""
    return connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)


def _head(connection: apsw.Connection) -> bytes:
    return bytes(connection.read("main", _WAL, 0, WAL_HEADER_SIZE)[1])


def _places(reader: apsw.Connection, head: bytes, frames: int, page_size: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for number in range(frames):
        offset = WAL_HEADER_SIZE + number * (FRAME_HEADER_SIZE + page_size)
        page, _, salts = _FRAME.unpack(reader.read("main", _WAL, offset, _FRAME.size)[1])
        if salts != head[16:24]:
            raise DatabaseBusyError("the WAL was replaced while it was read; try again")
        found[page] = offset + FRAME_HEADER_SIZE
    return found
