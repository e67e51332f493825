"""Copying the WAL of an open database into the shadow WAL, life after life.

A life of the WAL is all that is written to it between two restarts, and becomes one index. Only frames that
SQLite counts are copied (replication/sqlite/wal_index.py). The pin proves that a life that ends was copied whole. If
the bytes are not the ones that SQLite counted, the generation ends.
"""

import os
import time
from pathlib import Path

from replication.database.left_wal import LeftWAL
from replication.database.wal_scanner import (
    OverwrittenError,
    WALCursor,
    commits_after,
    copy_frames,
    has_frame,
    last_commit,
)
from replication.errors import DatabaseError, LocalFileError
from replication.local.folder import LocalFile
from replication.local.shadow_wal import ShadowLostError, ShadowWAL
from replication.position import INDEX_MAX, OFFSET_LIMIT_BYTES, Position
from replication.space import Disk
from replication.sqlite.checksum import WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import WALHeader
from replication.sqlite.wal_index import WALIndex, WALIndexHeader
from replication.steps import reached

SHADOW_REMOVED = "shadow wal removed by another process"
OVERTAKEN = "sqlite counts fewer frames than were copied"

LOOK_AGAIN_SECONDS_MIN = 0.001
LOOK_AGAIN_SECONDS_MAX = 1.0
LOOK_AGAIN_GROWTH = 1.5
"""Between two looks while the WAL holds frames that SQLite does not count yet: no event tells that they count. A writer
publishes them once they are on the disk, which takes milliseconds, and each wait is longer than the one before."""
PASSED_BY_SECONDS = 1.0
"""Frames that SQLite still does not count after this are read: does their writer use another -shm (`passed_by`)?"""
PASSED_BY_BYTES_MAX = 16 << 20
"""Bytes of such frames that are read at a time."""
UNREADABLE_LOOKS_MAX = 5
"""A header of the WAL index found half written more often than this in a row has lost its writer."""
_COPY_TRIES_MAX = 10
"""How often a copy begins anew because the WAL was restarted meanwhile."""


class ContinuityLostError(Exception):
    """Nothing proves that no commit was skipped: a new generation must begin. The text is the reason."""


class WALTooLongError(DatabaseError):
    """One life of the WAL reached 4 GiB, beyond which the replica format has no names."""


class WALCopier:
    """Where copying stands in one generation. Used by one thread at a time."""

    def __init__(
        self,
        shadow: ShadowWAL,
        wal_path: Path,
        wal_index: WALIndex,
        generation: str,
        index: int = 0,
        cursor: WALCursor | None = None,
    ) -> None:
        self.generation = generation
        self.index = index
        self.cursor = cursor
        """None while nothing was committed to the WAL since the generation began."""
        self.wal_bytes = 0
        """Size of the WAL file when it was last looked at."""
        self.copied_bytes = 0  # Of frames; the database counts them and sets this to 0.
        self.look_again_seconds: float | None = None
        """How soon to copy again, for no event tells when frames begin to count. None if all in the WAL is copied."""
        self.unreadable = 0
        """How often in a row the header of the WAL index was found half written."""
        self._shadow = shadow
        self._wal_path = wal_path
        self._wal_index = wal_index
        self.wal_inode = wal_path.stat().st_ino
        """The WAL is this file. Another inode at its path is a file that another program made."""
        self.passed_by = False
        """True while commits come to the WAL of which SQLite counts none: their writer uses another -shm."""
        self._more_since: float | None = None
        self._more_than: tuple[tuple[int, int], int] | None = None
        """Since when (time.monotonic) the WAL holds more than SQLite counts; and the salts and count of then."""
        self._may_restart = True
        self._ended_before: WALHeader | None = None
        """The header of a life that had ended before the generation began. All of it is in the database file; should it
        count again, the generation ends."""
        self._modified_ns = 0
        """When the WAL was last written to, as seen before the last copy."""

    @property
    def position(self) -> Position:
        """The end of the last commit copied."""
        offset = self.cursor.offset if self.cursor is not None and self.cursor.frames else 0
        return Position(self.generation, self.index, offset)

    @property
    def seen(self) -> tuple[int, int, int] | None:
        """The WAL before the last copy: inode, bytes, when it was written to; None if no header could be read."""
        return (self.wal_inode, self.wal_bytes, self._modified_ns) if not self.unreadable else None

    @property
    def frames(self) -> int:
        """Frames copied of the current life."""
        return self.cursor.frames if self.cursor is not None else 0

    def copy(self) -> None:
        """Bring every commit that SQLite counts into the shadow WAL, and nothing else.

        Raises ContinuityLostError, WALTooLongError, DatabaseError if the WAL was overwritten before any was copied,
        and LocalFileError if the shadow WAL cannot be written: the next copy then goes on where this one stopped.
        """
        try:
            wal = os.open(self._wal_path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ContinuityLostError("wal removed by another process") from None
        try:
            status = os.fstat(wal)
            if status.st_ino != self.wal_inode:
                raise ContinuityLostError("wal replaced by another process")
            before = self.seen
            self.wal_bytes, self._modified_ns = status.st_size, status.st_mtime_ns
            counted = self._copy_counted(wal)
            self._plan_next_look(wal, counted, changed=before != self.seen)
        except ShadowLostError:
            raise ContinuityLostError(SHADOW_REMOVED) from None
        finally:
            os.close(wal)

    def wal_holds_anything(self) -> bool:
        """False if the WAL is empty, so that the database file is all there is."""
        try:
            return self._wal_path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def copy_one_life(self) -> None:
        """The first copy after the pin was taken: the WAL must still be the life that is followed, to the end.

        A pin taken while all was backfilled lets the WAL be restarted at once, before its frames were copied here.
        """
        cursor = self.cursor
        assert cursor is not None
        self._may_restart = False
        self.copy()
        counted = self._wal_index.read()
        if counted is None or (counted.salts != cursor.header.salts and not self._was_whole(counted)):
            raise ContinuityLostError("wal restarted while it was opened")
        self._may_restart = True

    @property
    def resume_point(self) -> tuple[int, WALCursor | None]:
        """Where copying stands, for `go_back`."""
        return (self.index, self.cursor)

    def go_back(self, point: tuple[int, WALCursor | None]) -> None:
        """Take back what was copied since: it was committed over a file that is not the one that was followed."""
        while self.index > point[0]:
            self._shadow.remove_index(self.generation, self.index)
            self.index -= 1
        self.index, self.cursor = point
        position = self.position
        self._shadow.seal(self.generation, position.index, position.offset)

    def life_that_ended(self, salts: tuple[int, int]) -> tuple[LocalFile, WALCursor] | None:
        """The shadow file of the life that was followed last, and its end, if the WAL is in another one by now.

        By the pin's invariant all of it was copied. None if nothing came in it, or if it is the one with these salts.
        """
        cursor = self.cursor
        if cursor is None or not cursor.frames or cursor.header.salts == salts:
            return None
        return self._shadow.file(self.generation, self.index), cursor

    def make_durable(self) -> None:
        """Make what was copied of the current life survive a power cut, before SQLite may forget it."""
        self._shadow.fsync(self.generation, self.index)

    def end_generation(self) -> None:
        """Seal the last file of this generation, to which nothing more comes, for the replicas."""
        position = self.position
        self._shadow.seal(self.generation, position.index, position.offset)
        reached("shadow: generation sealed")

    def left_wal(self) -> LeftWAL | None:
        """The WAL as it is followed, if it holds any frame."""
        cursor = self.cursor
        return LeftWAL(self.wal_inode, cursor.header.pack()) if cursor is not None and cursor.frames else None

    def _copy_counted(self, wal: int) -> WALIndexHeader | None:
        """Copy what SQLite counted at one moment during this call. Return the header of then, None if unreadable."""
        counted = self._wal_index.read()
        for _ in range(_COPY_TRIES_MAX):
            self.unreadable = self.unreadable + 1 if counted is None else 0
            if counted is None or not counted.frames:
                # Between two lives: by the pin's invariant all of the one that ended had been copied.
                if counted is not None and self.cursor is None:
                    self._pass_over(_parse(wal), counted)
                return counted
            try:
                self._copy_life(wal, counted)
            except OverwrittenError:
                # A restart between our look at the count and at the frames is an ordinary one.
                again = self._wal_index.read()
                if again is not None and again.raw == counted.raw:
                    if not self.frames:  # Nothing of it was copied: a new generation would only meet the same bytes.
                        raise DatabaseError(
                            f"{self._wal_path} does not hold what SQLite counts in it: it was overwritten. Replication "
                            "goes on once the application has closed every connection, which makes it anew"
                        ) from None
                    raise ContinuityLostError("wal overwritten by another process") from None
                counted = again
            else:
                return counted
        raise ContinuityLostError("wal restarted without end while it was copied")

    def _pass_over(self, header: WALHeader | None, counted: WALIndexHeader) -> None:
        """Remember the header of a WAL that was just restarted: a restart adds one to the first salt."""
        if header is not None and (header.salt1 + 1) & 0xFFFFFFFF == counted.salts[0]:
            self._ended_before = header

    def _copy_life(self, wal: int, counted: WALIndexHeader) -> None:
        """Copy up to what counts of the life that the WAL is in."""
        cursor = self.cursor
        if cursor is None or counted.salts != cursor.header.salts:
            cursor = self._enter_life(_header(wal, counted))
        elif os.pread(wal, WAL_HEADER_SIZE, 0) != cursor.header.pack():
            raise OverwrittenError("the header is not that of the life that was copied")
        if counted.end < cursor.offset:
            raise ContinuityLostError(OVERTAKEN)
        if counted.end > OFFSET_LIMIT_BYTES - 1:
            last = last_commit(wal, cursor, OFFSET_LIMIT_BYTES - 1)
            self._append(wal, cursor, last.offset, last.sums)
            raise WALTooLongError(
                f"{self._wal_path} has passed 4 GiB in one index because a reader keeps it from being checkpointed; "
                "end that reader, and replication begins a new generation"
            )
        self._append(wal, cursor, counted.end, counted.sums)

    def _enter_life(self, header: WALHeader) -> WALCursor:
        """The WAL was restarted: go on in the next index, unless nothing was ever copied into this one."""
        cursor = self.cursor
        if not self._may_restart:
            raise ContinuityLostError("wal restarted while it was opened")
        if header == self._ended_before:
            # SQLite's recovery, after a death in the middle of emptying the WAL.
            raise ContinuityLostError("wal of before the generation counts again")
        if cursor is not None:
            if header.page_size != cursor.header.page_size:
                raise ContinuityLostError("page size changed")
            if cursor.frames:
                if self.index + 1 >= INDEX_MAX:
                    raise ContinuityLostError("max index exceeded")
                self._shadow.seal(self.generation, self.index, cursor.offset)
                reached("shadow: index sealed")
                self.index += 1
        self.cursor = WALCursor.start(header)
        return self.cursor

    def _append(self, wal: int, cursor: WALCursor, end: int, sums: Sums) -> None:
        self._leave_room(end - cursor.offset)
        with self._shadow.append(self.generation, self.index) as shadow:

            def sink(offset: int, frames: memoryview) -> None:
                if offset == WAL_HEADER_SIZE:
                    shadow.write(0, cursor.header.pack())
                    reached("shadow: header written")
                shadow.write(offset, frames)

            after = copy_frames(wal, cursor, end, sums, sink)
            if after.offset != cursor.offset:
                reached("shadow: frames written")
        self.copied_bytes += after.offset - cursor.offset
        self.cursor = after

    def _leave_room(self, size: int) -> None:
        """Raise LocalFileError if a copy of so many bytes would take the end of the disk, which others need."""
        disk = Disk.of(self._shadow.meta_path) if size else None
        if disk is not None and not disk.holds(size):
            raise LocalFileError(
                f"no space left for the shadow WAL at {self._shadow.path(self.generation, self.index)}: "
                f"{size / 1e6:,.1f} MB are to be copied, and {disk.free / 1e6:,.1f} MB are free, the last of which are "
                "left to the application; free some, replication goes on by itself"
            )

    def _was_whole(self, counted: WALIndexHeader) -> bool:
        """True if the life that is followed had ended where it was copied to, and nobody has written to the WAL since.

        So it is when a restart was published and no frame was written yet: the WAL still holds the life before.
        """
        cursor = self.cursor
        assert cursor is not None
        if counted.frames:
            return False
        with self._wal_path.open("rb") as wal:
            more = has_frame(wal.fileno(), cursor.header, cursor.offset, cursor.sums)
            # In this order: a writer of another life writes its header before its frames.
            return not more and os.pread(wal.fileno(), WAL_HEADER_SIZE, 0) == cursor.header.pack()

    def _plan_next_look(self, wal: int, counted: WALIndexHeader | None, changed: bool) -> None:
        """Set when to look again for frames that may come to count: more and more rarely while nothing changes."""
        if counted is not None and not self._holds_more(wal, counted):
            self.look_again_seconds, self._more_since, self.passed_by = None, None, False
            return
        self._look_whether_passed_by(wal, counted)
        if changed or self.look_again_seconds is None:
            self.look_again_seconds = LOOK_AGAIN_SECONDS_MIN
        else:
            self.look_again_seconds = min(LOOK_AGAIN_GROWTH * self.look_again_seconds, LOOK_AGAIN_SECONDS_MAX)

    def _look_whether_passed_by(self, wal: int, counted: WALIndexHeader | None) -> None:
        """See if writers use another -shm: a writer that died leaves one commit uncounted, such writers leave more."""
        now = time.monotonic()
        if counted is None or self._more_since is None or (counted.salts, counted.frames) != self._more_than:
            self._more_since, self.passed_by = now, False
            self._more_than = (counted.salts, counted.frames) if counted is not None else None
        elif now - self._more_since > PASSED_BY_SECONDS and self.cursor is not None and not self.passed_by:
            self._more_since = now
            self.passed_by = commits_after(wal, self.cursor, self.cursor.offset + PASSED_BY_BYTES_MAX) > 1

    def _holds_more(self, wal: int, counted: WALIndexHeader) -> bool:
        """True if the WAL holds a frame that may come to count."""
        if counted.frames:
            cursor = self.cursor
            return cursor is not None and has_frame(wal, cursor.header, cursor.offset, cursor.sums)
        header = _parse(wal)
        ended = self.cursor.header if self.cursor is not None else self._ended_before
        return header not in (None, ended) and has_frame(wal, header, WAL_HEADER_SIZE, header.sums)


def _parse(wal: int) -> WALHeader | None:
    """The header that a WAL has, None if it has none that is right."""
    try:
        return WALHeader.parse(os.pread(wal, WAL_HEADER_SIZE, 0))
    except ValueError:
        return None


def _header(wal: int, counted: WALIndexHeader) -> WALHeader:
    """The header of the life that counts. Raises OverwrittenError if it is not in the WAL."""
    header = _parse(wal)
    if header is None or header.salts != counted.salts or header.page_size != counted.page_size:
        raise OverwrittenError("the header is not that of the life that SQLite counts")
    return header
