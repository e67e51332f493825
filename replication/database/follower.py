"""Following a held WAL into the shadow WAL, life after life.

One life of the WAL, from one restart to the next, is one index. The hold proves that a life that ends was copied
whole; what the hold cannot cover (files removed or replaced, bytes that changed) is looked for here, and ends the
generation.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from replication.database.shadow_wal import ShadowLostError, ShadowWAL
from replication.database.tail import RESCAN_BYTES, Mark, OverwrittenError, advance, still_there
from replication.errors import DatabaseError
from replication.position import INDEX_MAX, OFFSET_LIMIT_BYTES, Position
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader, salt_steps
from replication.steps import reached

INTERRUPTED = "wal held a commit that its writer did not live to finish"

_UNREADABLE_HEADERS_MAX = 10
"""A header found half written more often than this in a row is a damaged one."""


class ContinuityLostError(Exception):
    """Nothing proves that no commit was skipped: a new generation must begin. The text is the reason."""


class WALTooLongError(DatabaseError):
    """One life of the WAL reached 4 GiB, beyond which the replica format has no names."""


@dataclass(frozen=True, slots=True)
class LeftWAL:
    """A WAL with frames, known by its inode and header, whose database is gone: it must not get another one."""

    inode: int
    head: bytes

    @classmethod
    def of(cls, shadow: ShadowWAL, inode: int | None) -> "LeftWAL | None":
        """The WAL with that inode, in the life that was copied last; None if that is not known."""
        generation = shadow.current_generation()
        indexes = shadow.indexes(generation) if generation is not None else []
        if generation is None or inode is None or not indexes:
            return None
        with shadow.path(generation, indexes[-1]).open("rb") as file:
            return cls(inode, file.read(WAL_HEADER_SIZE))

    def is_at(self, path: Path) -> bool:
        """True if `path` is this WAL, in the same life."""
        try:
            with path.open("rb") as wal:
                return os.fstat(wal.fileno()).st_ino == self.inode and wal.read(WAL_HEADER_SIZE) == self.head
        except FileNotFoundError:
            return False


class Follower:
    """Where copying stands in one generation. Used by one thread at a time."""

    def __init__(self, shadow: ShadowWAL, wal_path: Path, generation: str, index: int, mark: Mark | None) -> None:
        self.generation = generation
        self.index = index
        self.mark = mark
        """None while the WAL has never held anything since the generation began."""
        self.wal_bytes = 0
        """Size of the WAL file when it was last looked at."""
        self._shadow = shadow
        self._wal_path = wal_path
        self.wal_inode = wal_path.stat().st_ino
        """The WAL is this file; another one at its path was made by somebody else."""
        self.doubted = False
        """More was copied than SQLite goes by: see replication/sqlite/counted.py."""
        self._copied: WALHeader | None = None
        """The header of the last life before this one of which anything was copied."""
        self._unreadable = 0
        self._may_restart = True
        self._batch: Mark | None = None
        """Where the last copy that found anything began."""
        self._modified_ns = 0
        """When the WAL was last written to, as seen before the last copy."""

    @property
    def position(self) -> Position:
        """The end of the last commit copied."""
        offset = self.mark.offset if self.mark is not None and self.mark.frames else 0
        return Position(self.generation, self.index, offset)

    @property
    def seen(self) -> tuple[int, int, int] | None:
        """The WAL before the last copy: inode, bytes, when it was written to; None if its header was not readable."""
        return (self.wal_inode, self.wal_bytes, self._modified_ns) if not self._unreadable else None

    @property
    def frames(self) -> int:
        """Frames copied of the current life."""
        return self.mark.frames if self.mark is not None else 0

    def copy(self, thorough: bool = False) -> None:
        """Bring every commit that is in the WAL into the shadow WAL; `thorough` is explained in tail.py.

        Raises ContinuityLostError, WALTooLongError, and LocalFileError if the shadow WAL cannot be written;
        after the last, the next copy goes on where this one stopped.
        """
        try:
            wal = os.open(self._wal_path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ContinuityLostError("wal removed by another process") from None
        try:
            status = os.fstat(wal)
            if status.st_ino != self.wal_inode:
                raise ContinuityLostError("wal replaced by another process")
            self.wal_bytes = status.st_size
            written = status.st_mtime_ns != self._modified_ns
            self._modified_ns = status.st_mtime_ns
            before = self.mark
            try:
                self._copy_life(wal, thorough)
                if written and before is not None and self.mark is not None and self.mark.offset == before.offset:
                    self._look_back(wal)
            except OverwrittenError:
                # A restart between our look at the header and at the frames is an ordinary one.
                head = os.pread(wal, WAL_HEADER_SIZE, 0)
                if self.mark is None or head == self.mark.header.pack():
                    raise
                self._copy_life(wal, thorough)
        except OverwrittenError:
            raise ContinuityLostError("wal overwritten by another process") from None
        except ShadowLostError:
            raise ContinuityLostError("shadow wal removed by another process") from None
        finally:
            os.close(wal)

    def wal_holds_anything(self) -> bool:
        """True unless the WAL is empty, so that the database file is all there is."""
        try:
            return self._wal_path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def copy_one_life(self) -> None:
        """The first copy after the pin was taken: the WAL must still be the life that is followed, to the end.

        A pin taken while all was backfilled lets the WAL be restarted at once, before its frames were copied here.
        """
        mark = self.mark
        assert mark is not None
        self._may_restart = False
        self.copy()
        # A restart during the copy may have cut it short.
        with self._wal_path.open("rb") as wal:
            if wal.read(WAL_HEADER_SIZE) != mark.header.pack():
                raise ContinuityLostError("wal restarted while it was opened")
        self._may_restart = True

    def compare(self, counted: int) -> None:
        """Told how many frames SQLite goes by, while nobody wrote: were more copied, no restart of the WAL is ordinary.

        What is too much the next commit takes the place of, and until then the WAL is as it was copied.
        """
        self.doubted = counted < self.frames

    def compare_with(self, count: Callable[[], int], copied_now: bool) -> None:
        """As `compare`, while others may write: only what is counted in the life that was copied says anything.

        A count of 0 is that of a WAL about to be restarted, which says nothing of frames `copied_now`.
        """
        counted = count()
        with self._wal_path.open("rb") as wal:
            same_life = self.mark is not None and wal.read(WAL_HEADER_SIZE) == self.mark.header.pack()
        if same_life and (counted or copied_now):
            self.compare(counted)

    def make_durable(self) -> None:
        """Make what was copied of the current life survive a power cut, before SQLite may forget it."""
        self._shadow.fsync(self.generation, self.index)

    def end_generation(self) -> None:
        """Nothing more comes to this generation: leave its last file whole for the replicas."""
        position = self.position
        self._shadow.seal(self.generation, position.index, position.offset)
        reached("shadow: generation sealed")

    def left_wal(self) -> LeftWAL | None:
        """The WAL as it is followed, if it holds any frame."""
        return LeftWAL(self.wal_inode, self.mark.header.pack()) if self.mark is not None and self.mark.frames else None

    def _parse(self, head: bytes) -> WALHeader | None:
        """The WAL's header, or None while it is being written: whoever writes it will wake us again."""
        try:
            header = WALHeader.parse(head)
        except ValueError as error:
            self._unreadable += 1
            if self._unreadable > _UNREADABLE_HEADERS_MAX:
                raise DatabaseError(f"{self._wal_path} is damaged: {error}; close every connection to it") from None
            return None
        self._unreadable = 0
        return header

    def _copy_life(self, wal: int, thorough: bool) -> None:
        """Copy of the life that the WAL is in now."""
        head = os.pread(wal, WAL_HEADER_SIZE, 0)
        if len(head) < WAL_HEADER_SIZE:
            # Emptied by a checkpoint of somebody's: by the hold's invariant all of it had been copied.
            return
        if self.mark is None or head != self.mark.header.pack():
            if (header := self._parse(head)) is None:
                return
            self._enter_life(header)
        self._append(wal, thorough)

    def _look_back(self, wal: int) -> None:
        """The WAL was written to: was it in the place of what was copied last?

        A commit may take the place of the first frames of one that its writer did not live to finish, and the last
        frame of that stays as it was.
        """
        batch, mark = self._batch, self.mark
        if batch is None or mark is None or mark.offset - batch.offset > RESCAN_BYTES:
            return
        if not still_there(wal, batch, mark):
            raise OverwrittenError(INTERRUPTED)

    def _enter_life(self, header: WALHeader) -> None:
        """The WAL was restarted: go on in the next index, unless nothing was ever copied into this one."""
        mark = self.mark
        if not self._may_restart:
            raise ContinuityLostError("wal restarted while it was opened")
        if self.doubted:
            raise ContinuityLostError(INTERRUPTED)
        if mark is not None:
            if header.page_size != mark.header.page_size:
                raise ContinuityLostError("page size changed")
            # A life without a commit leaves no trace: whoever comes next goes on from the one before.
            before = mark.header if mark.frames else self._copied
            if before is not None and not salt_steps(before, header) and not header.salts_by_chance:
                raise ContinuityLostError("wal made anew by another process")
            if mark.frames:
                self._copied = mark.header
                if self.index + 1 >= INDEX_MAX:
                    raise ContinuityLostError("max index exceeded")
                self._shadow.seal(self.generation, self.index, mark.offset)
                reached("shadow: index sealed")
                self.index += 1
        self.mark = Mark.start(header)
        self._batch = None

    def _append(self, wal: int, thorough: bool) -> None:
        mark = self.mark
        assert mark is not None
        limit = OFFSET_LIMIT_BYTES - 1
        with self._shadow.append(self.generation, self.index) as shadow:

            def sink(offset: int, frames: memoryview) -> None:
                if offset == WAL_HEADER_SIZE:
                    shadow.write(0, mark.header.pack())
                    reached("shadow: header written")
                shadow.write(offset, frames)

            after = advance(wal, mark, sink, limit, thorough)
            if after.offset != mark.offset:
                reached("shadow: frames written")
        if after.offset != mark.offset:
            self._batch = mark
        self.mark = after
        if after.scanned + after.header.frame_size > limit:
            raise WALTooLongError(
                f"{self._wal_path} has passed 4 GiB in one life because a reader keeps it from being checkpointed; "
                "end that reader, and replication begins a new generation"
            )
