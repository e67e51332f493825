"""Opening one database, and finding out whether its generation goes on.

It promises that what the WAL holds is never read over a file that it does not belong to, and that a generation goes on
only where the files prove that nobody but SQLite wrote meanwhile. What was opened stays so until `let_go`,
whatever fails. Used under the lock of its database.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from replication.database.continuity import Begin, Continue, decide
from replication.database.current import CurrentGeneration
from replication.database.exclusive_use import Custody
from replication.database.left_wal import LeftWAL
from replication.database.open_database import OpenDatabase
from replication.database.source_files import SHM_REMOVED, WRITTEN, Written
from replication.database.wal_copier import ContinuityLostError, WALTooLongError
from replication.errors import DatabaseError
from replication.events import Emit
from replication.local.shadow_wal import ShadowWAL
from replication.nofollow import without_links
from replication.permissions import Ownership
from replication.sqlite.openers import openers_of_removed

WRITTEN_MEANWHILE = f"{WRITTEN}, while not replicating"
REPLACED_MEANWHILE = "database file replaced while not replicating"


class Opening:
    """Opens one database, again and again."""

    def __init__(self, custody: Custody, current: CurrentGeneration, emit: Emit, clock: Callable[[], float]) -> None:
        self.path = custody.path
        self.opened: OpenDatabase | None = None
        self.page_size = 0
        """The page size of the file that was open last."""
        self._custody = custody
        self._current = current
        self._emit = emit
        self._clock = clock
        self._left_wal: LeftWAL | None = None
        """The WAL of a database file that is no longer there."""
        self._left_file: tuple[tuple[int, int], Written] | None = None
        """The identity, size and time of that file, if it was seen to go.

        It may come back, as with a volume mounted again.
        """

    def open(self, status: os.stat_result, lock: Callable[[], None]) -> None:
        """Open the database and go on with its generation, or begin one. `lock` keeps other engines away.

        Raises DatabaseError and LocalFileError, and WALTooLongError, after which the database is still open.
        """
        try:
            self._current.shadow = ShadowWAL(self._custody.meta_path, Ownership.of(self.path))
            lock()
            if self._custody.lock is None:
                raise DatabaseError(f"{self.path} was removed while it was opened; trying again")
            self._go_on_or_begin(status)
        except ContinuityLostError as lost:
            self.let_go()
            raise DatabaseError(f"{self.path} changed while it was opened ({lost}); trying again") from None
        except WALTooLongError:
            # The sync lets go of the database, once the WAL can be restarted.
            raise
        except BaseException:
            self.let_go()
            raise
        finally:
            self._custody.end_standing_by()

    def open_pinned(self) -> OpenDatabase:
        """Open the database and pin it, unless SQLite would mix the file with the WAL of another."""
        wal_path = Path(f"{without_links(self.path)}-wal")
        if self._left_wal is not None and self._left_wal.is_at(wal_path) and not self._came_back():
            raise DatabaseError(
                f"{self.path} was replaced, but {wal_path.name} still belongs to the file before, and SQLite would mix "
                f"the two; if a restored or copied file was put there, stop the application and remove "
                f"{wal_path.name} and {wal_path.name[:-4]}-shm beside it"
            )
        self._left_wal = self._left_file = None
        self._check_shm(wal_path)
        self._custody.claim_file()
        opened = self.opened = OpenDatabase.take(self.path, self._clock())
        if not opened.files.has_what_was_copied_back():
            opened = self._leave_foreign_wal(opened)
        self.page_size = opened.page_size
        if opened.switched:
            self._emit("info", "database switched to WAL mode")
        return opened

    def leave(self, opened: OpenDatabase) -> None:
        """Remember the file that is no longer at the path, and its WAL, which may still be there."""
        if opened.copier is not None:
            self._left_wal = opened.copier.left_wal()
            self._left_file = (opened.identity, opened.files.written)

    def describe(self, opened: OpenDatabase, end: str = "", handed_to: int | None = None) -> None:
        """Write down what the next start compares the files with.

        `end` is the position of the copy at an orderly end, and `handed_to` the token of a reader that was there before
        it.
        """
        written, lock = (opened.files.written.size, opened.files.written.modified_ns), self._custody.lock
        if opened.copier is not None and lock is not None and (end or lock.previous_written != written):
            # If it cannot be written, the next start may begin a generation for nothing, and nothing is lost.
            with suppress(OSError):
                lock.describe(opened.identity[1], opened.copier.wal_inode, written, end, handed_to)

    def let_go(self) -> None:
        if self.opened is not None:
            opened, self.opened = self.opened, None
            opened.close()

    def _go_on_or_begin(self, status: os.stat_result) -> None:
        lock, current = self._custody.lock, self._current
        assert lock is not None
        previous_inode = lock.previous_inode
        known, end = lock.previous_written, lock.previous_end
        handed = self._custody.handed_over()
        replaced = previous_inode not in (None, status.st_ino)
        if replaced and self._left_wal is None:
            self._left_wal = LeftWAL.of(current.shadow, lock.previous_wal_inode)
        opened = self.open_pinned()
        decision: Continue | Begin | None = decide(current.shadow, opened.wal_path, self.page_size, handed)
        if replaced:
            decision = Begin(REPLACED_MEANWHILE)
        if isinstance(decision, Continue) and not opened.files.were_left_alone(
            Written(*known) if known is not None else None,
            decision.cursor,
            current.shadow.file(decision.generation, decision.index),
            current.shadow.file(decision.generation, decision.index - 1),
            exact=not handed and end == f"{decision.generation}/{decision.index:08x}:{decision.cursor.offset}",
        ):
            decision = Begin(WRITTEN_MEANWHILE)
        if current.wanted:
            decision = Begin(current.wanted)
        if isinstance(decision, Continue):
            decision = current.go_on(decision, opened, handed)
        elif current.go_on_unwritten(opened, handed and known is not None and Written(*known) == opened.files.written):
            decision = None
        if isinstance(decision, Begin):
            current.begin(decision.reason, opened)

    def _came_back(self) -> bool:
        """True if the file at the path is the one that was there before it went: its WAL is its own."""
        status = self.path.stat()
        return self._left_file == ((status.st_dev, status.st_ino), Written.of(status))

    def _check_shm(self, wal_path: Path) -> None:
        """Raise DatabaseError while another process uses a -shm that was removed."""
        if self._current.wanted == SHM_REMOVED and (users := openers_of_removed(Path(f"{str(wal_path)[:-4]}-shm"))):
            # With a -shm of ours in its place, what they have committed would not count, even after they end.
            raise DatabaseError(
                f"{self.path}-shm was removed, and {users[0]} still goes by it, so that nobody else sees its commits. "
                "Restart it: then they count, and replication begins a new generation"
            )

    def _leave_foreign_wal(self, opened: OpenDatabase) -> OpenDatabase:
        """Empty a WAL under which another file was put, so that SQLite reads none of its frames over that file.

        Frames that were not copied back are read over that file by every connection. We must not write them into it.
        """
        wal_name = opened.wal_path.name
        self._current.wanted = self._current.wanted or WRITTEN
        opened.let_go_of_a_foreign_file()
        self.let_go()
        opened = self.opened = OpenDatabase.take(self.path, self._clock())
        if not opened.files.has_what_was_copied_back():
            raise DatabaseError(
                f"{self.path} was written to by another program than SQLite, as when a copy is put over it, and "
                f"{wal_name} still holds commits of the file before, which SQLite mixes with it. Stop the "
                f"application; to keep the file as it was put there, remove {wal_name} and "
                f"{wal_name[:-4]}-shm. Replication then begins a new generation"
            )
        return opened
