"""One database while it is open: the pin, the copier of its WAL, and how checkpoints went.

From when the pin is taken until it is let go of; the next time there is another OpenDatabase. It leaves to the caller
which generation is followed, and what becomes of the positions reached. Not safe to use from two threads, but for
`Image.chunks` of an image that was made.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from replication.database.checkpoint import CheckpointPolicy, CheckpointState, due, next_time, urgent
from replication.database.image import Image, Overlay
from replication.database.kept_pages import CannotKeepError, KeptPages
from replication.database.source_files import REMOVED, REPLACED, SHM_REMOVED, SourceFiles
from replication.database.wal_copier import UNREADABLE_LOOKS_MAX, ContinuityLostError, WALCopier, WALTooLongError
from replication.database.wal_scanner import WALCursor
from replication.local.shadow_wal import ShadowWAL
from replication.sqlite.errors import DatabaseBusyError
from replication.sqlite.pin import CheckpointResult, Pin
from replication.sqlite.wal_index import WALIndex
from replication.steps import reached


class OpenDatabase:
    """A pin, a copier, and the state that the checkpoint policy looks at. Times are seconds of one clock."""

    def __init__(self, path: Path, pin: Pin, wal_path: Path, status: os.stat_result, now: float) -> None:
        self.path = path
        self.wal_path = wal_path
        self.files = SourceFiles(path, wal_path, status, pin)
        self.copier: WALCopier | None = None
        self.lost_its_file = False
        """The path was found to lead to another file, or to none."""
        self.images: list[Image] = []
        """The images that are being read. A checkpoint runs only if it must, and keeps pages for them."""
        self.put_off = ""
        """Why the last checkpoint could not run, if images were in its way; else ""."""
        self._pin = pin
        self._checkpoint = CheckpointState(0, 0, now)

    @classmethod
    def take(cls, path: Path, now: float) -> "OpenDatabase":
        """Pin a reader. SQLite follows links and keeps the WAL beside the file. Raises as Pin.take does."""
        pin = Pin.take(path)
        real, status = pin.path, path.stat()
        if (status.st_dev, status.st_ino) != pin.identity or not real.samefile(path):
            pin.close()
            raise DatabaseBusyError(f"{path} was replaced while it was opened; trying again")
        return cls(path, pin, real.with_name(real.name + "-wal"), status, now)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode of the database file."""
        return self.files.identity

    @property
    def page_size(self) -> int:
        return self._pin.page_size

    @property
    def wal_index(self) -> WALIndex:
        """What SQLite counts."""
        return self._pin.wal_index

    @property
    def switched(self) -> bool:
        """True if the database was switched to WAL mode when it was opened."""
        return self._pin.switched

    def check_files(self) -> None:
        """Raise ContinuityLostError if the files are no longer the ones that were followed."""
        try:
            self.files.check(self.copier)
        except ContinuityLostError as lost:
            self.lost_its_file = str(lost) in (REMOVED, REPLACED)
            raise

    def copy(self) -> None:
        """Bring every commit into the shadow WAL. Raises as WALCopier.copy does; what was copied before that counts."""
        copier = self.copier
        if copier is None:
            return
        index, before = copier.index, copier.resume_point
        try:
            try:
                copier.copy()
            except WALTooLongError:
                if self.images and self.put_off:
                    raise WALTooLongError(
                        f"{self.wal_path} has passed 4 GiB in one index: {self.put_off}; when the snapshot is done "
                        "replication begins a new generation"
                    ) from None
                raise
            if copier.resume_point != before:
                self._check_what_was_copied(copier, before)
            if copier.unreadable > UNREADABLE_LOOKS_MAX:
                self._pin.mend_index()
        finally:
            if copier.index != index or copier.cursor is None:
                self._checkpoint = replace(self._checkpoint, done_offset=0, blocked_count=0)
            self._checkpoint = replace(self._checkpoint, offset=copier.position.offset)

    def _check_what_was_copied(self, copier: WALCopier, before: tuple[int, WALCursor | None]) -> None:
        """Commits over a file that another program put there are none of the database that was followed."""
        try:
            self.check_files()
        except ContinuityLostError as lost:
            if str(lost) != SHM_REMOVED:
                copier.go_back(before)
            raise

    def let_go_of_a_foreign_file(self) -> None:
        """Empty the WAL after another program wrote to the file, so that frames which SQLite passes over never count
        again.

        They would once the last connection is closed: the next one takes all that the WAL holds. It is only done where
        all was copied back, and writes nothing to the file.
        """
        self._pin.empty_wal()

    def checkpoint(self, now: float, copy_all: Callable[[], None]) -> CheckpointResult:
        """Checkpoint, and prove that every frame it counted had been copied, by `copy_all`, which calls `copy`.

        Raises ContinuityLostError without that proof, and PinLostError.
        """
        copier = self.copier
        assert copier is not None

        def copy() -> None:
            # A checkpoint opens connections by the path. Were another file there by now, with the WAL of this one
            # beside it, they would copy that WAL into it.
            self.check_files()
            copy_all()
            copier.make_durable()
            reached("shadow: durable")
            for image in self.images:
                image.keep(copier.position)

        self.put_off = ""
        try:
            result = self._pin.checkpoint(copy, self.files.checkpointed, self.check_files, exact=bool(self.images))
        except CannotKeepError as error:
            self.put_off = (
                f"a snapshot is being read, and what a checkpoint would write over cannot be kept for it ({error})"
            )
            return CheckpointResult(0, 0, 0.0, busy=True)
        if not result.busy and result.log_frames > copier.frames:
            raise ContinuityLostError(
                f"a checkpoint counted {result.log_frames} frames, of which {copier.frames} had been copied"
            )
        self.files.check_after_checkpoint()
        if result.complete:
            done = copier.position.offset
            self._checkpoint = replace(self._checkpoint, done_offset=done, last_time=now, blocked_count=0)
        else:
            blocked = self._checkpoint.blocked_count + 1
            self._checkpoint = replace(self._checkpoint, blocked_count=blocked, blocked_time=now)
        return result

    @property
    def blocked_count(self) -> int:
        """Checkpoints in a row that were not complete."""
        return self._checkpoint.blocked_count

    def backfill_what_is_not_copied(self) -> bool:
        """Let the WAL restart although not all of it was copied: the generation is at its end anyway.

        True if all of it is in the database file now.
        """
        try:
            return self._pin.checkpoint(self.check_files, self.files.checkpointed, self.check_files).complete
        except ContinuityLostError:
            # The path leads elsewhere, which the next sync tells.
            return False

    def due(self, policy: CheckpointPolicy, now: float) -> bool:
        """True if a checkpoint should run now: under an image only one that must run, if pages can be kept for that."""
        if self.images and not (urgent(self._checkpoint) and all(image.keeps for image in self.images)):
            return False
        return due(self._checkpoint, policy, self.page_size, now)

    def next_time(self, policy: CheckpointPolicy, now: float) -> float | None:
        """When to sync again unasked: for a checkpoint, or for frames that may come to count. None if not at all."""
        soon = self.copier.look_again_seconds if self.copier is not None else None
        again = self.files.look_again_seconds()
        times = [next_time(self._checkpoint, policy)]
        times += [now + wait for wait in (soon, again) if wait is not None]
        return min((time for time in times if time is not None), default=None)

    def image(self, shadow: ShadowWAL, check: Callable[[], None] = lambda: None) -> Image:
        """The database at the last commit copied, which is the newest if `copy` ran just before.

        `check` is called at its end: see Image.
        """
        copier = self.copier
        assert copier is not None
        position, cursor, pin = copier.position, copier.cursor, self._pin
        overlay = Overlay.read(shadow.file(position.generation, position.index), position.offset, pin.page_size)
        pages = cursor.database_pages if cursor is not None and cursor.frames else pin.page_count()
        kept = KeptPages(shadow, position, pin.page_size, pages)
        return Image(position, pages, pin.page_size, overlay, pin.read, self.files.written.size, check, kept)

    def close(self) -> None:
        """Let go."""
        self._pin.close()
