"""Sole possession of a database, and a new content for it in the same file.

Its promise: inside the block no other connection, here or in another process, reads or writes the database, and a
connection that comes meanwhile waits in its busy timeout. `write` exchanges the content as one transaction of SQLite,
so that at any end of this process, and for everybody who waits, it is the old one or the new one, whole. The file stays
the same file, with its owner, its permissions and its other names. It leaves to the caller to keep the old content
first, and connections that are open without ever having read: those hold no lock, have nothing to forget, and read what
is there then (replication/sqlite/openers.py finds them where it can).
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import apsw

from replication.errors import DatabaseError, ReplicationError
from replication.sqlite.connection import connect
from replication.sqlite.errors import DatabaseBusyError, sqlite_errors
from replication.sqlite.opening import opening
from replication.steps import reached

ALONE_BUSY_TIMEOUT_MS = 500
"""How long others may take to let go before we say that the database is in use."""
READ_BYTES = 1 << 20
WRITE_PAGES = 256
"""Pages that are written between two looks at whether to go on."""
_CACHE_KIB = 16 << 10
"""Through a rollback journal, each time that the cache is full costs a sync."""
_BESIDE_PAGE_BYTES = 24
"""The WAL has a header of so many bytes before each page. A journal has less."""
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


_PAGE_BYTES_MIN = 512


def room_to_write(old: int, size: int) -> int:
    """As Alone.room_to_write, before the database is held and its page size is known: the most that it can be.

    It is for a file of `size` bytes over one of `old`, in WAL mode and with the same pages.
    """
    return max(0, size - old) + size + size // _PAGE_BYTES_MIN * _BESIDE_PAGE_BYTES + READ_BYTES


class DatabaseInUseError(DatabaseError):
    """Another connection has the database open; the message says what to do."""


class Alone:
    """The database at `path`, held by nobody else."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self.path = path
        self._connection = connection
        self._folded = False
        """True once nothing is left in the WAL, so that SQLite may remove it."""
        self._journaled = False
        """True once the new content went through a rollback journal."""
        self._left_wal = False
        """True once the database was taken out of WAL mode, for another page size."""

    def room_to_write(self, size: int, page_size: int) -> int:
        """Bytes of the disk that `write` takes for a file of `size`, besides what the database has already."""
        with sqlite_errors(self.path):
            old, own = self.path.stat().st_size, int(self._connection.pragma("page_size"))
            through_wal = self._connection.pragma("journal_mode") == "wal" and own == page_size
        # The WAL gets every new page, a rollback journal every old one.
        written, each = (size, page_size) if through_wal else (old, own)
        return max(0, size - old) + written + written // each * _BESIDE_PAGE_BYTES + READ_BYTES

    def fold_in(self) -> None:
        """Copy the whole WAL into the database file, durably, and empty it."""
        self._folded = True
        with sqlite_errors(self.path):
            # This is the only connection, so it waits for none, and nothing is left in the WAL.
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def pieces(self, go_on: Callable[[], None]) -> Iterator[bytes]:
        """The database file, read through SQLite's own descriptor: closing another would drop its lock.

        All of the database once it was folded in. What `go_on` raises ends it.
        """
        size = self.path.stat().st_size
        for offset in range(0, size, READ_BYTES):
            go_on()
            with sqlite_errors(self.path):
                yield bytes(self._connection.read("main", 0, offset, min(READ_BYTES, size - offset))[1])

    def write(self, fresh: Path, go_on: Callable[[], None]) -> str:
        """Make the content that of the file `fresh`, which nobody else uses. Return why it is still in the WAL, or "".

        `go_on` is called again and again, and what it raises ends it. Whatever is raised, nothing was committed; only
        `undo` tells whether SQLite could take back what it had written.
        """
        uri = f"file:{quote(bytes(fresh.absolute()))}?immutable=1"
        connection = self._connection
        with sqlite_errors(fresh):
            source = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            with sqlite_errors(fresh):
                page_size = source.pragma("page_size")
            with sqlite_errors(self.path):
                if connection.pragma("journal_mode") != "wal":
                    self._journaled = True
                elif connection.pragma("page_size") != page_size:
                    # In WAL mode the size of pages cannot follow. The new content brings the mode back with it.
                    self._journaled = self._left_wal = True
                    if connection.pragma("journal_mode", "delete") != "delete":
                        raise DatabaseError(f"{self.path} could not be taken out of WAL mode to change its page size")
                with connection.backup("main", source, "main") as backup:
                    backup.step(1)
                    while not backup.done:
                        reached("replacement: partly written")
                        go_on()
                        backup.step(WRITE_PAGES)
        finally:
            source.close(True)
        reached("replacement: committed")
        try:
            self.fold_in()
        except ReplicationError as error:
            # Durable all the same: the next connection reads it from there.
            return str(error)
        reached("replacement: folded in")
        return ""

    def undo(self) -> bool:
        """After `write` has raised: True if it is certain that the next connection finds the old content."""
        try:
            with sqlite_errors(self.path):
                if self._left_wal:
                    self._connection.pragma("journal_mode", "wal")
                # Frames that were written and do not count go with the WAL: they cannot be taken for a commit.
                self.fold_in()
                self._connection.execute("BEGIN EXCLUSIVE")
                self._connection.execute("ROLLBACK")
        except ReplicationError:
            return False
        return True

    def tidy(self) -> None:
        """Let SQLite remove a WAL that was folded in when the connection is closed, as any last connection does."""
        if not self._folded:
            return
        with suppress(apsw.Error):
            persist = ctypes.c_int(0)
            self._connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(persist))
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        if self._journaled:
            _remove_dead_journal(Path(f"{self.path}-journal"))


@contextmanager
def alone(path: Path) -> Iterator[Alone]:
    """Hold the database at `path` (no link) alone. Nothing is changed by that.

    Raises DatabaseInUseError if any other connection has it open, DatabaseError if SQLite cannot read it. SQLite
    rolls back a journal that a program left when it gets the lock.
    """
    with _exclusive(path) as connection:
        with sqlite_errors(path):
            connection.pragma("cache_size", -_CACHE_KIB)
        reached("replacement: alone")
        held = Alone(path, connection)
        try:
            yield held
        finally:
            held.tidy()


def check_alone(path: Path) -> None:
    """Raise DatabaseInUseError or DatabaseError if `alone` would; nothing is changed."""
    with _exclusive(path):
        pass


def in_use(path: Path, by: str = "") -> DatabaseInUseError:
    """The error for a database that other processes have open. `by` names them if they are known."""
    return DatabaseInUseError(
        f"{path} is open in another program{f' ({by})' if by else ''}, which would go on with what it read before. "
        "Stop it, then try again; nothing was changed"
    )


@contextmanager
def _exclusive(path: Path) -> Iterator[apsw.Connection]:
    """A connection that is the only one. Closing it neither checkpoints nor removes a file."""
    with opening(path) as at, ExitStack() as always:
        connection = connect(at)
        always.callback(connection.close, True)
        connection.set_busy_timeout(ALONE_BUSY_TIMEOUT_MS)
        try:
            with sqlite_errors(path):
                # The lock on the file itself, and not only on its WAL: it shuts out everybody who has so much as
                # read from it, and is held until the connection is closed.
                connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")
        except DatabaseBusyError:
            raise in_use(path) from None
        yield connection


def _remove_dead_journal(journal: Path) -> None:
    """Remove what an exclusive connection leaves of its journal, unless it is needed to take something back."""
    with suppress(OSError):
        with journal.open("rb") as file:
            begin = file.read(len(_JOURNAL_MAGIC))
        if begin != _JOURNAL_MAGIC:
            journal.unlink()
