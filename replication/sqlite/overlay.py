"""A database that can be written to and that nobody else sees: pages of another one, and over them what was written.

Its promise: whatever is done on the connection happens in temporary files without a name, of a bounded size, and the
pages below are only read. So a transaction can be tried out on the very state that it is meant for, with all that
SQLite does in it, while the application goes on. What the pages raise is raised by the block.
"""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apsw

from replication.errors import ReplicationError
from replication.sqlite.lone_file import LoneFile
from replication.sqlite.moment import Pages
from replication.sqlite.temporary import Room, TemporaryFile

OVERLAY_BYTES_MAX = 16 << 30
"""Bytes that may be written over the pages, and to temporary files, together."""
_NAME = "overlay"
_VERSIONS_AT, _ROLLBACK_MODE = 18, b"\1\1"
"""Where the header says that the database is in WAL mode, and what is read there instead: there is no WAL here."""


@contextmanager
def overlay(
    pages: Pages, written: Callable[[int], None] = lambda size: None, limit: int = OVERLAY_BYTES_MAX
) -> Iterator[apsw.Connection]:
    """A connection to the pages as to a database of its own. `written` is told what each write takes, and may raise.

    Raises what the pages raise, and OSError.
    """
    with tempfile.TemporaryFile() as file:
        over = _Over(pages, file.fileno(), written, Room(limit))
        vfs = _VFS(over)
        try:
            flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
            connection = apsw.Connection(f"file:{_NAME}", flags=flags, vfs=vfs.name)
            try:
                for name, value in (("synchronous", 0), ("temp_store", 1), ("mmap_size", 0)):
                    connection.pragma(name, value)
                yield connection
            finally:
                connection.close(True)
        except apsw.Error:
            # SQLite makes an error code of what the pages raised.
            if over.failure is not None:
                raise over.failure from None
            raise
        finally:
            vfs.unregister()


@dataclass(slots=True)
class _Over:
    """The pages, and those that were written: each lies where it would in the database, in a file with holes."""

    pages: Pages
    file: int
    written: Callable[[int], None]
    room: Room
    failure: ReplicationError | None = None
    is_over: bytearray = field(default_factory=bytearray)
    """For each page from 0 on whether it is in the file."""
    count: int = 0
    """Pages of the database now."""
    below: int = 0
    """Pages up to this number may still be read from `pages`; one that was cut off and comes back is empty."""

    def __post_init__(self) -> None:
        self.count = self.below = self.pages.pages

    def page(self, number: int) -> bytes:
        size = self.pages.page_size
        if number < len(self.is_over) and self.is_over[number]:
            return os.pread(self.file, size, number * size)
        page = self.pages.page(number) if number <= self.below else bytes(size)
        if number == 1:
            page = page[:_VERSIONS_AT] + _ROLLBACK_MODE + page[_VERSIONS_AT + 2 :]
        return page

    def write(self, number: int, page: bytes) -> None:
        if number >= len(self.is_over):
            self.is_over.extend(bytes(number + 1 - len(self.is_over)))
        if not self.is_over[number]:
            self.room.take(len(page))
        os.pwrite(self.file, page, number * len(page))
        self.is_over[number] = 1
        self.count = max(self.count, number)
        self.written(len(page))

    def cut(self, pages: int) -> None:
        """Make the database so many pages long; what comes beyond is new."""
        self.room.taken -= sum(self.is_over[pages + 1 :]) * self.pages.page_size
        del self.is_over[pages + 1 :]
        self.count, self.below = pages, min(self.below, pages)


class _VFS(apsw.VFS):
    """The one database, its journal and temporary files."""

    def __init__(self, over: _Over) -> None:
        self._over = over
        self.name = f"overlay-{secrets.token_hex(8)}"
        super().__init__(self.name, "")

    def xFullPathname(self, name: str) -> str:  # noqa: N802 (SQLite's)
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        return False

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """The journal, which has no name."""

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:  # noqa: N802
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _File(self._over)
        kinds = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_DELETEONCLOSE
        if flags[0] & kinds:
            flags[0] = (
                apsw.SQLITE_OPEN_READWRITE
                | apsw.SQLITE_OPEN_CREATE
                | apsw.SQLITE_OPEN_EXCLUSIVE
                | apsw.SQLITE_OPEN_DELETEONCLOSE
                | apsw.SQLITE_OPEN_TEMP_JOURNAL
            )
            return TemporaryFile(self._over.room, flags)
        raise apsw.CantOpenError


class _File(LoneFile):
    """The database file: nobody else has it, so nothing is locked."""

    def __init__(self, over: _Over) -> None:
        self._over = over

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        over = self._over
        size = over.pages.page_size
        found = bytearray()
        try:
            while amount > 0 and (number := offset // size + 1) <= over.count:
                inside = offset % size
                part = over.page(number)[inside : inside + amount]
                found += part
                offset, amount = offset + len(part), amount - len(part)
        except ReplicationError as error:
            over.failure = error
            raise apsw.IOError(str(error)) from None
        return bytes(found)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        over = self._over
        size = over.pages.page_size
        try:
            for at in range(0, len(data), size):
                assert not offset % size, "SQLite writes whole pages"
                over.write((offset + at) // size + 1, data[at : at + size])
        except ReplicationError as error:
            over.failure = error
            raise apsw.FullError(str(error)) from None

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._over.cut(size // self._over.pages.page_size)

    def xFileSize(self) -> int:  # noqa: N802
        return self._over.count * self._over.pages.page_size

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return 0
