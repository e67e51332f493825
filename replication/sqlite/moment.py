"""A database that is nowhere on a disk, opened read-only by SQLite: its pages come from whoever has them.

Its promise: nothing is written but what SQLite sorts with, in temporary files of a bounded size, and nothing but the
pages is read. A statement that would write or attach is refused; one that runs too long, or is to stop, is ended. What
the pages raise is raised by the statement that needed them. As the restored file would, it opens with the WAL mode that
its header says, and without any WAL.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import apsw

from replication.errors import QueryError, ReplicationError, RestoreCancelledError, StatementError
from replication.sqlite.lone_file import LoneFile
from replication.sqlite.temporary import Room, TemporaryFile

TEMPORARY_BYTES_MAX = 1 << 30
"""Bytes that one connection may write to temporary files, as when it sorts."""
CACHE_KIB = 16 << 10
"""Memory for pages that SQLite keeps."""
VALUE_BYTES_MAX = 64 << 20
"""The largest value, and the largest row of a table."""
MEMORY_BYTES_MAX = 256 << 20
"""What SQLite may have in a process that only asks: the values of one row, and what it works with."""
STEPS_BETWEEN_LOOKS = 2_000
PRAGMAS_OF_SCHEMA = frozenset(
    ("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list")
)
"""What is asked of tables. Any other pragma may tell what the header of the file counts, such as the freelist."""
_JULIAN_DAY_OF_1970_MS = 210_866_760_000_000
_NAME = "moment"
_IMMUTABLE = apsw.SQLITE_IOCAP_IMMUTABLE

Value = int | float | bytes | str | None


class Pages(Protocol):
    """A database at one commit: pages from 1 on."""

    @property
    def page_size(self) -> int:
        """Bytes of a page."""

    @property
    def pages(self) -> int:
        """How many pages the database has."""

    def page(self, number: int) -> bytes:
        """The page of this number. Raises ReplicationError."""


@dataclass(slots=True)
class Query:
    """One connection to such a database, used by one thread."""

    _connection: apsw.Connection
    _files: "_Files"
    _stop: Callable[[], bool]
    columns: tuple[str, ...] = ()
    """The names of the columns of the last statement, from its first row on, or from its end."""
    _statements: int = 0
    reads_header: bool = False
    """True once a statement may have read counters in the header of the file, beside tables."""

    def rows(self, sql: str, seconds: float | None = None, bindings: Sequence[Value] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement, with a value for each of its parameters, as they are found.

        Raises QueryError for what SQLite refuses and when `seconds` are over, RestoreCancelledError when it is to stop,
        and what the pages raise.
        """
        deadline = time.monotonic() + seconds if seconds is not None else None

        def over() -> bool:
            return self._stop() or (deadline is not None and time.monotonic() > deadline)

        self._connection.set_progress_handler(over, STEPS_BETWEEN_LOOKS)
        self._files.over = over
        self._statements = 0
        cursor = self._connection.cursor()
        cursor.exec_trace = self._allowed
        try:
            for row in cursor.execute(sql, bindings):
                if over():
                    raise apsw.InterruptError
                yield row
                # Its values may be large, and the next ones come now.
                del row
        except apsw.Error as error:
            raise self._error(error) from None
        except UnicodeEncodeError:
            raise QueryError("The question has bytes in it that are no text: it has to be UTF-8.") from None
        except UnicodeDecodeError:
            raise QueryError("A text there is not UTF-8: ask for CAST(… AS BLOB) in its place.") from None
        finally:
            # Whoever went away in the midst of it has closed all.
            with suppress(apsw.ConnectionClosedError, apsw.CursorClosedError):
                self._connection.set_progress_handler(None)
                cursor.close(True)

    def _noted(self, action: int, first: str | None, second: str | None, schema: str | None, by: str | None) -> int:
        """Called by SQLite for what a statement is about to use, in views and in what pragmas ask too."""
        is_pragma = action == apsw.SQLITE_PRAGMA and (first or "").lower() not in PRAGMAS_OF_SCHEMA
        self.reads_header |= is_pragma or (action == apsw.SQLITE_READ and first == "dbstat")
        return int(apsw.SQLITE_OK)

    def _allowed(self, cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        if not cursor.is_readonly:
            raise QueryError(
                f"{_start_of(sql)} would write, and this only reads: restore the database to change a copy of it."
            )
        self._statements += 1
        if self._statements > 1:
            raise QueryError("One statement is asked at a time: what follows the first was not asked.")
        self.columns = tuple(str(column[0]) for column in cursor.get_description())
        return True

    def _error(self, error: apsw.Error) -> ReplicationError:
        failure, self._files.failure = self._files.failure, None
        if failure is not None:
            return failure
        if isinstance(error, apsw.InterruptError):
            if self._stop():
                return RestoreCancelledError("The query was cancelled.")
            return QueryError("The query was ended: its time is over. Ask for less, or give it more with -timeout.")
        if isinstance(error, apsw.FullError):
            return QueryError(
                f"The query was ended: it needs more than {TEMPORARY_BYTES_MAX >> 20} MiB to sort with. Ask for less, "
                "or restore the database and ask that."
            )
        if isinstance(error, apsw.NoMemError):
            return QueryError(
                f"The query was ended: it needs over {MEMORY_BYTES_MAX >> 20} MiB of memory. Ask for fewer columns, "
                "or for parts of values, as by substr()."
            )
        if isinstance(error, apsw.SQLError):
            return StatementError(f"SQLite says: {error}")
        return QueryError(f"SQLite says: {error}")


def bound_memory() -> None:
    """Bound what SQLite takes in this process. It is for a process that has nothing but questions."""
    apsw.hard_heap_limit(MEMORY_BYTES_MAX)


@contextmanager
def opened(pages: Pages, stop: threading.Event, now: float | None = None) -> Iterator[Query]:
    """A block in which the pages can be asked as a database. Raises what they raise, and QueryError.

    `now`, in seconds since 1970, is what SQL calls so; by default it is what the clock says.
    """
    files = _Files(pages, now)
    vfs = _VFS(files)
    try:
        query = _query(vfs, files, stop.is_set)
        try:
            yield query
        finally:
            query._connection.close(True)
    finally:
        vfs.unregister()


def _query(vfs: "_VFS", files: "_Files", stop: Callable[[], bool]) -> Query:
    try:
        uri = f"file:{_NAME}?immutable=1"
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(uri, flags=flags, vfs=vfs.name, statementcachesize=0)
    except apsw.Error as error:
        raise files.failure or QueryError(f"SQLite says: {error}") from None
    query = Query(connection, files, stop)
    # What a schema says is data, not a program, and nothing else is opened.
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    connection.limit(apsw.SQLITE_LIMIT_WORKER_THREADS, 0)
    try:
        for name, value in (("query_only", 1), ("temp_store", 1), ("cache_size", -CACHE_KIB), ("mmap_size", 0)):
            connection.pragma(name, value)
    except apsw.Error as error:
        connection.close(True)
        raise query._error(error) from None
    connection.authorizer = query._noted
    return query


def _start_of(sql: str) -> str:
    word = sql.split(None, 1)[0] if sql.split() else ""
    return word.upper()[:20] or "that"


@dataclass(slots=True)
class _Files:
    """What the files of one connection share. `failure` is what the pages raised; SQLite makes an error code of it."""

    pages: Pages
    now: float | None = None
    failure: ReplicationError | None = None
    room: Room = field(default_factory=lambda: Room(TEMPORARY_BYTES_MAX))
    over: Callable[[], bool] = field(default=lambda: False)


class _VFS(apsw.VFS):
    """The one database, and temporary files as those of the operating system. Nothing else is there."""

    def __init__(self, files: _Files) -> None:
        self._files = files
        self.name = f"moment-{secrets.token_hex(8)}"
        super().__init__(self.name, "")

    def xFullPathname(self, name: str) -> str:  # noqa: N802 (SQLite's)
        return name

    def xCurrentTimeInt64(self) -> int:  # noqa: N802
        now = self._files.now if self._files.now is not None else time.time()
        return int(now * 1000) + _JULIAN_DAY_OF_1970_MS

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        return False

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        raise apsw.IOError

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:  # noqa: N802
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            flags[1] = apsw.SQLITE_OPEN_READONLY
            return _PagesFile(self._files)
        if name is None and flags[0] & apsw.SQLITE_OPEN_DELETEONCLOSE:
            return TemporaryFile(self._files.room, flags)
        raise apsw.CantOpenError


class _PagesFile(LoneFile):
    """The database file, of which nothing is written and nothing is locked."""

    def __init__(self, files: _Files) -> None:
        self._files = files

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        files = self._files
        size, pages = files.pages.page_size, files.pages.pages
        found = bytearray()
        try:
            while amount > 0 and (number := offset // size + 1) <= pages:
                if files.over():
                    raise apsw.InterruptError
                inside = offset % size
                part = files.pages.page(number)[inside : inside + amount]
                found += part
                offset, amount = offset + len(part), amount - len(part)
        except ReplicationError as error:
            files.failure = error
            raise apsw.IOError(str(error)) from None
        return bytes(found)

    def xFileSize(self) -> int:  # noqa: N802
        return self._files.pages.page_size * self._files.pages.pages

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return _IMMUTABLE

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        raise apsw.ReadOnlyError

    def xTruncate(self, size: int) -> None:  # noqa: N802
        raise apsw.ReadOnlyError
