"""The files of an open database: are they still the ones that were followed, written by SQLite alone?

Its promise: whatever else writes to the database file, exchanges it, or takes away -shm, is noticed before what comes
after it is copied. What proves it is who may write: while the pin is there, only a checkpoint writes the database
file, and one that copies anything back says so in the WAL index before it begins (nBackfillAttempted) and when it is
done (nBackfill). A file whose size or time of writing changed while both stood still was written past SQLite.
Where a checkpoint of others did run, the pages that it copied back are looked at (replication/database/copied_back.py).
While the pin moves others may copy back the rest of a life and then restart the WAL, by which nothing tells how far
they came: then the pages are those of the shadow WAL.
It leaves to the caller what to do then.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from replication.database.continuity import last_commit as last_commit_in
from replication.database.copied_back import CopiedBack, commits_counted_after, is_of_this_life
from replication.database.wal_copier import SHADOW_REMOVED, ContinuityLostError, WALCopier
from replication.database.wal_scanner import WALCursor
from replication.local.folder import LocalFile
from replication.sqlite.errors import DatabaseBusyError
from replication.sqlite.pin import Pin
from replication.sqlite.wal_index import WALIndexHeader

REMOVED = "database file removed"
REPLACED = "database file replaced"
SHM_REMOVED = "-shm removed or replaced by another process"
WRITTEN = "database file written to by another program than sqlite"
CHECK_TRIES_MAX = 20
"""How often the files are looked at anew because another process checkpointed or restarted the WAL meanwhile."""
COARSE_NS = 1_000_000_000
COARSE_SECONDS = 2.1
"""Some file systems keep times in whole seconds, or in two."""
COMPARED_FRAMES_MAX = 16
"""Frames copied back last, whose pages are looked at in the file after each checkpoint."""
COMPARED_FRAMES_FIRST = 8192
"""The same when the database is opened."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the kernel says of the database file: bytes, and when it was written to, in nanoseconds."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Written":
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class _Settled:
    """A moment in which no checkpoint was under way: the file as it was, and how much of which life of the WAL was in
    it."""

    written: Written
    salts: tuple[int, int]
    backfilled: int
    frames: int
    changes: int

    @classmethod
    def of(cls, written: Written, index: WALIndexHeader) -> "_Settled":
        return cls(written, index.salts, index.backfilled, index.frames, index.changes)

    @property
    def state(self) -> tuple[tuple[int, int], int, int]:
        """What the WAL index says at rest: salts, frames copied back, and frames that a checkpoint has begun to copy
        back."""
        return (self.salts, self.backfilled, self.backfilled)


class SourceFiles:
    """Watches the files while a database is open. Used under its lock; any thread may read `names` and `written`."""

    def __init__(self, path: Path, wal_path: Path, status: os.stat_result, pin: Pin) -> None:
        """`status` is the database file's, read after the pin was taken."""
        self.identity = (status.st_dev, status.st_ino)
        self.names = status.st_nlink
        """How many names (hard links) the file has. Each has a -wal of its own, and only ours is followed."""
        self.written = Written.of(status)
        """The file as it was last found right."""
        self._path = path
        self._wal_path = wal_path
        self._pin = pin
        self._settled: _Settled | None = None
        self._after_ours: WALIndexHeader | None = None
        self._again: tuple[float, WALIndexHeader] | None = None
        """When, of time.monotonic, to look at what a checkpoint of ours copied back, where times are coarse."""

    def check(self, copier: WALCopier | None) -> None:
        """Raise ContinuityLostError if the files are not the ones that were followed, by `copier` if there is one.

        Raises DatabaseBusyError if that cannot be found out just now.
        """
        for _ in range(CHECK_TRIES_MAX):
            index = self._pin.wal_index.read()
            try:
                status = os.stat(self._path)  # noqa: PTH116 (links are followed, as SQLite does)
            except FileNotFoundError:
                raise ContinuityLostError(REMOVED) from None
            if (status.st_dev, status.st_ino) != self.identity:
                raise ContinuityLostError(REPLACED)
            if not self._pin.wal_index.is_in_place():
                raise ContinuityLostError(SHM_REMOVED)
            self.names = status.st_nlink
            self._look_again_at_coarse_times()
            if index is None:
                self._pin.mend_index()
            elif self._is_as_known(index, Written.of(status)):
                return
            elif self._stood_still(index):
                self._look(index, Written.of(status), copier)
                return
        raise DatabaseBusyError(f"{self._path} is checkpointed without a pause; trying again")

    def _is_as_known(self, index: WALIndexHeader, written: Written) -> bool:
        known = self._settled
        return known is not None and (written, *_state(index)) == (known.written, *known.state)

    def _look(self, index: WALIndexHeader, written: Written, copier: WALCopier | None) -> None:
        if written != self.written and self._holds_the_life_that_ended(index, copier):
            # As it was left by that life, whatever SQLite has forgotten since.
            self._settled, self.written = None, written
        if index.attempted > index.backfilled:
            self._look_while_unsettled(index, written)
        else:
            self._look_when_settled(index, written)

    def look_again_seconds(self) -> float | None:
        """How soon to look at the file once more, where its times are too coarse to tell; None if they are not."""
        return max(0.0, self._again[0] - time.monotonic()) if self._again is not None else None

    def _look_again_at_coarse_times(self) -> None:
        """A write in the second of our checkpoint left the time as it was, so the pages are looked at after that
        second."""
        if self._again is not None and time.monotonic() >= self._again[0]:
            index, self._again = self._again[1], None
            if not self._holds(index, COMPARED_FRAMES_FIRST):
                raise ContinuityLostError(WRITTEN)

    def checkpointed(self) -> None:
        """Take the file as right: a checkpoint of ours has written to it, and writers are still kept out."""
        index = self._pin.wal_index.read()
        self._settled = self._after_ours = None
        if index is None or index.attempted > index.backfilled:
            return
        with suppress(OSError):
            written = Written.of(os.stat(self._path))  # noqa: PTH116 (writers wait)
            if self._stood_still(index):
                self.written, self._after_ours = written, index
                self._settled = _Settled.of(written, index)
                coarse = not written.modified_ns % COARSE_NS
                self._again = (time.monotonic() + COARSE_SECONDS, index) if coarse else None

    def check_after_checkpoint(self) -> None:
        """Raise ContinuityLostError if what the last checkpoint of ours has copied back is not in the file."""
        index, self._after_ours = self._after_ours, None
        if index is not None and index.backfilled and not self._holds(index, COMPARED_FRAMES_MAX):
            raise ContinuityLostError(WRITTEN)

    def has_what_was_copied_back(self) -> bool:
        """False if the file lacks what a checkpoint has put there: SQLite passes over those frames of the WAL."""
        index = self._read_index()
        if not index.backfilled or index.attempted > index.backfilled:
            return True
        return self._holds(index, COMPARED_FRAMES_FIRST)

    def were_left_alone(
        self, known: Written | None, cursor: WALCursor, life: LocalFile, life_before: LocalFile, exact: bool
    ) -> bool:
        """True if only SQLite wrote to the file since it was `known`. `cursor` is the end of the life that goes on.

        `life` is its shadow file, and `life_before` that of the life before, if it is still there. `exact` says that
        the file was `known` at just that end, after an orderly stop. Then one that looks otherwise is no proof, since
        nobody can tell what was written beside the pages of these two lives; unless the WAL has frames of yet another
        life, which the copy finds out. Raises DatabaseBusyError.
        """
        if known == self.written:
            return True
        index = self._read_index()
        if exact and (not index.frames or index.salts == cursor.header.salts):
            return False
        for _ in range(CHECK_TRIES_MAX):
            index = self._read_index()
            if self._looks_left_alone(index, cursor, life, life_before):
                return True
            if self._stood_still(index):
                return False
        raise DatabaseBusyError(f"{self._path} is checkpointed without a pause; trying again")

    def _looks_left_alone(
        self, index: WALIndexHeader, cursor: WALCursor, life: LocalFile, life_before: LocalFile
    ) -> bool:
        if index.frames and index.salts != cursor.header.salts:
            # The WAL was restarted, which the copy finds out.
            return True
        if index.attempted == index.backfilled > 0:
            return self._holds(index, COMPARED_FRAMES_FIRST)
        with suppress(FileNotFoundError), self._wal_path.open("rb") as wal:
            if not index.frames:
                # A restart was published, so all of that life had been copied back. The WAL may not hold it any more: a
                # large transaction may have written over it, of which nothing counts yet.
                return CopiedBack.whole(life, cursor).is_in(self._pin.read)
            if (end := last_commit_in(life_before)) is not None and end.frames:
                whole = left = CopiedBack.whole(life_before, end)
                if index.attempted > index.backfilled:
                    # Some of this life may have been copied back too; those pages are read from the WAL.
                    left = whole.without_what_changed(wal.fileno(), index)
                if left.pages:
                    return left.is_in(self._pin.read)
                if whole.pages and whole.is_in(self._pin.read):
                    # Each of its pages was written again in this life, of which nothing was copied back.
                    return True
            return is_of_this_life(wal.fileno(), index, self._pin.read)
        return True  # without its WAL nothing goes on

    def _read_index(self) -> WALIndexHeader:
        """The WAL index, made anew if its writer died in the middle. Raises DatabaseBusyError."""
        for _ in range(CHECK_TRIES_MAX):
            index = self._pin.wal_index.read()
            if index is not None:
                return index
            self._pin.mend_index()
        raise DatabaseBusyError(f"{self._path} is written to without a pause; trying again")

    def _stood_still(self, before: WALIndexHeader) -> bool:
        """True if the file was not written to by a checkpoint, nor the WAL restarted, since `before` was read."""
        after = self._pin.wal_index.read()
        return after is not None and _state(after) == _state(before)

    def _look_when_settled(self, index: WALIndexHeader, written: Written) -> None:
        """No checkpoint is under way.

        Find out whether one ran since the last such moment, and look at what it wrote.
        """
        known = self._settled
        if known is not None and written != known.written and self._recovered_since(known, index):
            # SQLite's recovery forgot what was copied back, and a checkpoint has copied it once more.
            known = None
        # A restart of the WAL writes nothing to the file, and until the pin moves nobody copies back what follows it.
        restarted = known is not None and index.salts != known.salts and not index.backfilled
        if known is not None and (restarted or (index.salts, index.backfilled) == (known.salts, known.backfilled)):
            if written != known.written:
                raise ContinuityLostError(WRITTEN)
        elif index.backfilled:
            if not self._holds(index, COMPARED_FRAMES_MAX):
                raise ContinuityLostError(WRITTEN)
        elif written != self.written:
            # Nothing was copied back of this life, and so nothing was written since.
            raise ContinuityLostError(WRITTEN)
        self._settled = _Settled.of(written, index)
        self.written = written

    def _look_while_unsettled(self, index: WALIndexHeader, written: Written) -> None:
        """A checkpoint of others runs, or one ended in the middle, or SQLite forgot how far the last one came."""
        # The next one may copy back what the file holds, and come as far as the last.
        self._settled = None
        if written == self.written or self._pin.wal_index.checkpoint_runs():
            return
        if not self._is_of_this_life(index):
            raise ContinuityLostError(WRITTEN)
        self.written = written

    def _holds_the_life_that_ended(self, index: WALIndexHeader, copier: WALCopier | None) -> bool:
        """True if the WAL was restarted since it was copied, and the file is as the life that ended there left it."""
        ended = copier.life_that_ended(index.salts) if copier is not None else None
        if ended is None:
            return False
        shadow, cursor = ended
        known = self._settled
        if known is not None and (known.salts, known.backfilled) == (cursor.header.salts, cursor.frames):
            # All of it was in the file, as it was known, and nobody had anything to write to it since.
            return False
        try:
            return CopiedBack.whole(shadow, cursor, COMPARED_FRAMES_FIRST).is_in(self._pin.read)
        except FileNotFoundError:
            raise ContinuityLostError(SHADOW_REMOVED) from None

    def _recovered_since(self, known: _Settled, index: WALIndexHeader) -> bool:
        """True if SQLite has made its index anew: then it has counted fewer commits than came since."""
        if index.salts != known.salts:
            return False
        try:
            with self._wal_path.open("rb") as wal:
                return index.changes < known.changes + commits_counted_after(wal.fileno(), index, known.frames)
        except FileNotFoundError:
            return False

    def _holds(self, index: WALIndexHeader, frames_max: int) -> bool:
        try:
            with self._wal_path.open("rb") as wal:
                copied_back = CopiedBack.read(wal.fileno(), index, frames_max)
        except FileNotFoundError:
            return True  # the next copy tells
        return copied_back is None or copied_back.is_in(self._pin.read)

    def _is_of_this_life(self, index: WALIndexHeader) -> bool:
        try:
            with self._wal_path.open("rb") as wal:
                return is_of_this_life(wal.fileno(), index, self._pin.read)
        except FileNotFoundError:
            return True


def _state(index: WALIndexHeader) -> tuple[tuple[int, int], int, int]:
    return (index.salts, index.backfilled, index.attempted)
