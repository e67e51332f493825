"""How a WAL is held, so that nobody can restart it before every commit in it was copied.

One reader is pinned at all times. Two facts of SQLite carry everything (tests/sqlite/test_pin.py shows them):

* A reader that began while frames were pending holds a read mark; until it ends no writer restarts the WAL,
  and every blocking checkpoint answers busy.
* A reader that began when the whole WAL was backfilled holds mark 0; until it ends nobody backfills anything.

From them follows the invariant. Between two changes of the pin there is always one complete copy of the WAL.
When a new pin is taken beside the old one, either frames are pending, and the new pin keeps the WAL from being
restarted; or none are, and then all of them are older than the old pin's copy. So at any restart that a writer
makes, every committed frame of the old life has been copied, whatever the salts say.

It leaves to the caller what "copy" is, and when to checkpoint. Not safe to use from two threads, `read` aside.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import apsw

from replication.errors import DatabaseError
from replication.sqlite.barrier import TRY_SECONDS, keep_writers_out
from replication.sqlite.connection import begin_reading, connect, connect_unread
from replication.sqlite.errors import DatabaseBusyError, sqlite_errors
from replication.sqlite.opening import Opening, opening
from replication.sqlite.wal_index import WALIndex
from replication.steps import reached

BARRIER_TRIES = 3
"""Tries to keep writers out. Before each the large part is done again, so that the short part stays short."""
BARRIER_HELD_SECONDS_MAX = 0.02
"""How long writers wait, at most, only because another process is checkpointing when we want to."""
LARGE_PART_ROUNDS_MAX = 6
TAIL_FRAMES = 250
"""At most so many frames are left to the short part of a checkpoint, if we can catch up with the writers."""


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """What a checkpoint did: frames in the WAL, frames backfilled, and for how long writers waited."""

    log_frames: int
    backfilled_frames: int
    barrier_seconds: float
    busy: bool = False
    """A writer, or a checkpoint of another process, held its lock for longer than we wait. Try again later."""

    @property
    def complete(self) -> bool:
        """True when all was backfilled, so that the next writer may restart the WAL."""
        return self.backfilled_frames >= self.log_frames and not self.busy


class Pin:
    """The pinned reader of one database, and the checkpoints that it permits."""

    def __init__(
        self,
        path: Path,
        identity: tuple[int, int],
        reader: apsw.Connection,
        wal_index: WALIndex,
        page_size: int,
        switched: bool = False,
    ) -> None:
        self.path = path
        """The path of the database, without links."""
        self.identity = identity
        """Device and inode of the database file."""
        self.wal_index = wal_index
        """The WAL index, which can be read as long as there is the pin."""
        self.page_size = page_size
        """Bytes of one page."""
        self.switched = switched
        """True if the database was not in WAL mode before."""
        self._reader = reader
        self._read_lock = threading.Lock()

    @classmethod
    def take(cls, path: Path) -> "Pin":
        """Open the database, turn on WAL mode if it is off, and pin a reader.

        Links are followed: the WAL is beside the file that they lead to. Raises DatabaseError and, if another
        connection has the lock, DatabaseBusyError.
        """
        with opening(path) as at:
            return cls._take(at.path, at)

    @classmethod
    def _take(cls, path: Path, at: Opening) -> "Pin":
        # Opened before SQLite opens it and found in its place afterwards, it is the one that SQLite has.
        wal_index = _open_index(path, at)
        connection: apsw.Connection | None = None
        try:
            connection = connect(at)
            with sqlite_errors(path):
                mode = before = connection.pragma("journal_mode")
                if mode != "wal":
                    mode = connection.pragma("journal_mode", "wal")
                if mode != "wal":
                    raise DatabaseError(f"{path} stays in journal mode {mode!r}; replication needs WAL mode")
                page_size = connection.pragma("page_size")
                begin_reading(connection)
            if wal_index is None:
                wal_index = WALIndex.open(path, at.name)
            if not wal_index.is_in_place():
                raise DatabaseBusyError(f"{wal_index.path} was replaced while {path.name} was opened; trying again")
            return cls(path, at.identity, connection, wal_index, int(page_size), before != "wal")
        except BaseException:
            if connection is not None:
                connection.close()
            if wal_index is not None:
                wal_index.close()
            raise

    def page_count(self) -> int:
        """Pages of the database as the pin sees it."""
        with self._read_lock, sqlite_errors(self.path):
            return int(self._reader.pragma("page_count"))

    def read(self, offset: int, size: int) -> tuple[bool, bytes]:
        """Whether the database file has all `size` bytes from `offset`, and those, with zeros beyond its end.

        Safe from any thread. Read through SQLite's own descriptor: opening and closing the file would drop the
        locks of this process.
        """
        with self._read_lock, sqlite_errors(self.path):
            try:
                return self._reader.read("main", 0, offset, size)
            except apsw.ConnectionClosedError:
                raise DatabaseError(
                    f"{self.path} was let go of while a snapshot was read, as when a new generation begins; "
                    "the snapshot is taken again"
                ) from None

    def checkpoint(
        self,
        copy: Callable[[], None],
        done: Callable[[], None] = lambda: None,
        before: Callable[[], None] = lambda: None,
        exact: bool = False,
    ) -> CheckpointResult:
        """Backfill as much as other readers allow. Writers wait only for the short second part.

        `copy` must bring every committed frame into the shadow WAL before it returns; if it raises, the pin
        is still held. `before` is called right before anything is copied back, and may raise; `done` right after it,
        in the second part while writers are still kept out.
        With `exact` nobody may copy a frame back that was not there when `copy` ran: so the pin never moves past a
        commit that `copy` has not seen, and writers wait for a moment at each of its moves.
        When the pin itself is lost (an error inside SQLite), PinLostError is raised.
        """
        with (
            self._opening() as at,
            closing(connect(at)) as helper,
            closing(connect(at)) as barrier,
            sqlite_errors(self.path),
        ):
            for _ in range(BARRIER_TRIES):
                large_part = self._large_part(helper, copy, barrier if exact else None, before, done)
                if large_part is not None and keep_writers_out(barrier):
                    break
            else:
                return replace(large_part or CheckpointResult(0, 0, 0.0), busy=True)
            started = time.monotonic()
            reached("checkpoint: writers kept out")
            # The barrier's own read mark is the pin while the real one is moved.
            copy()
            reached("checkpoint: tail copied")
            before()
            with self._lost_on_error():
                self._reader.execute("COMMIT")
                reached("checkpoint: pin let go")
                result = _passive(helper)
                while result.busy and time.monotonic() < started + BARRIER_HELD_SECONDS_MAX:
                    time.sleep(TRY_SECONDS)
                    result = _passive(helper)
                reached("checkpoint: backfilled")
                begin_reading(self._reader)
            reached("checkpoint: pinned anew")
            done()
            barrier.execute("ROLLBACK")
            reached("checkpoint: writers let in")
            return replace(result, barrier_seconds=time.monotonic() - started)

    def empty_wal(self) -> bool:
        """Make the WAL empty if all of it was copied back, writing nothing to the database file.

        Return True if it is now.

        The pin is let go of. Nobody is waited for.
        """
        with (
            self._opening() as at,
            closing(connect_unread(at)) as reader,
            closing(connect_unread(at)) as helper,
            sqlite_errors(self.path),
        ):
            # A reader that needs no frame keeps every checkpoint from copying some back. If the file does not fit the
            # count of pages that SQLite remembers there can be no such reader, and then the pin does that.
            with suppress(apsw.CorruptError):
                begin_reading(reader)
            index = self.wal_index.read()
            if index is None or index.backfilled < index.frames:
                return False
            if self._reader.in_transaction:
                self._reader.execute("COMMIT")
            helper.set_busy_timeout(0)
            with suppress(apsw.CorruptError):
                helper.pragma("schema_version")
            with suppress(apsw.BusyError):
                helper.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            index = self.wal_index.read()
            return index is not None and not index.frames

    def mend_index(self) -> None:
        """Let SQLite read the WAL index, which it makes anew if a writer died in the middle of its header."""
        with self._opening() as at, closing(connect(at)) as connection, sqlite_errors(self.path):
            begin_reading(connection)

    def close(self) -> None:
        """Let go. SQLite neither checkpoints nor removes the WAL, so the next start can continue."""
        self._reader.close()
        # In this order: see WALIndex.
        self.wal_index.close()

    def _large_part(
        self,
        helper: apsw.Connection,
        copy: Callable[[], None],
        barrier: apsw.Connection | None,
        before_it: Callable[[], None],
        done: Callable[[], None],
    ) -> CheckpointResult | None:
        """Backfill while writers are free, again and again until what they add meanwhile is little.

        With `barrier` they are kept out while the pin moves; None if they left no room for that.
        """
        before, pending, result = 0, 0, None
        for _ in range(LARGE_PART_ROUNDS_MAX):
            if barrier is None:
                self._move_pin(helper, copy)
            elif not self._move_pin_exactly(barrier, copy):
                break
            reached("checkpoint: pin moved")
            before_it()
            result = _passive(helper)
            done()
            reached("checkpoint: large part done")
            added = result.log_frames - before
            # A writer that adds more than before will not be caught up with, nor a reader that keeps frames here.
            if added <= TAIL_FRAMES or result.busy or not result.complete or 0 < pending <= added:
                break
            before, pending = result.backfilled_frames, added
        return result

    def _move_pin(self, helper: apsw.Connection, copy: Callable[[], None]) -> None:
        """Bring the pin up to the newest commit, with `helper` pinned meanwhile, and a copy in between."""
        begin_reading(helper)
        try:
            self._copy_and_pin(copy)
        finally:
            helper.execute("COMMIT")

    def _move_pin_exactly(self, barrier: apsw.Connection, copy: Callable[[], None]) -> bool:
        """Bring the pin up to a commit that `copy` has seen, with none after it. Return False if writers left no room.

        Meanwhile `barrier` is the second reader. What there is much of is copied before.
        """
        for _ in range(LARGE_PART_ROUNDS_MAX):
            before = self._frames()
            copy()
            if self._frames() - before <= TAIL_FRAMES:
                break
        if not keep_writers_out(barrier):
            return False
        try:
            self._copy_and_pin(copy)
        finally:
            barrier.execute("ROLLBACK")
        return True

    def _copy_and_pin(self, copy: Callable[[], None]) -> None:
        """Copy, and then pin the newest commit. Another reader is there meanwhile."""
        copy()
        with self._lost_on_error():
            self._reader.execute("COMMIT")
            begin_reading(self._reader)

    def _frames(self) -> int:
        index = self.wal_index.read()
        return index.frames if index is not None else 0

    def _opening(self) -> AbstractContextManager[Opening]:
        """For connections to the file that is pinned, and to no other."""
        return opening(self.path, self.identity)

    def _lost_on_error(self) -> "_LostOnError":
        return _LostOnError(self.path)


def _open_index(path: Path, at: Opening) -> WALIndex | None:
    """The WAL index, if there is one already."""
    try:
        return WALIndex.open(path, at.name)
    except FileNotFoundError:
        return None


class PinLostError(DatabaseError):
    """The pin may have been let go of: nothing that came after the last copy is proven."""


class _LostOnError:
    """Turns any error inside SQLite, while the pin changes, into PinLostError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, apsw.Error | DatabaseBusyError):
            raise PinLostError(f"{self._path}: the pinned reader was lost: {error}") from None


def _passive(connection: apsw.Connection) -> CheckpointResult:
    """Backfill what may be backfilled without waiting for anyone."""
    try:
        log, backfilled = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:
        return CheckpointResult(0, 0, 0.0, busy=True)
    return CheckpointResult(log, backfilled, 0.0)
