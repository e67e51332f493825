"""One database while it is held: the pinned reader, who follows its WAL, and how checkpoints went.

From taking hold until letting go; the next hold begins with a Held of its own. It leaves to the caller which
generation is followed, and what becomes of the positions reached. Not safe to use from two threads, but for
`Image.chunks` of an image that was made.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from replication.database.checkpoint import CheckpointPolicy, CheckpointState, due, next_time
from replication.database.follower import ContinuityLostError, Follower
from replication.database.image import Image, Overlay
from replication.database.shadow_wal import ShadowWAL
from replication.sqlite.counted import frames_counted
from replication.sqlite.hold import CheckpointResult, Hold
from replication.steps import reached


class Held:
    """A hold, its follower, and the state that the checkpoint policy looks at. Times are of one clock, in seconds."""

    def __init__(self, path: Path, hold: Hold, wal_path: Path, identity: tuple[int, int], now: float) -> None:
        self.path = path
        self.wal_path = wal_path
        self.identity = identity
        """Device and inode of the database file."""
        self.follower: Follower | None = None
        self.lost_its_file = False
        """The path was found to lead to another file, or to none."""
        self._hold = hold
        self._checkpoint = CheckpointState(0, 0, now)

    @classmethod
    def take(cls, path: Path, now: float) -> "Held":
        """Pin a reader. SQLite follows links and keeps the WAL beside the file. Raises as Hold.take does."""
        real = Path(os.path.realpath(path))
        before = real.stat()
        identity = (before.st_dev, before.st_ino)
        return cls(path, Hold.take(real), real.with_name(real.name + "-wal"), identity, now)

    @property
    def page_size(self) -> int:
        return self._hold.page_size

    @property
    def switched(self) -> bool:
        """True if the database was not in WAL mode before it was held."""
        return self._hold.switched

    def check_identity(self) -> None:
        """Raise ContinuityLostError if the path no longer leads to the file that is held."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            reason = "database file removed"
        else:
            if (status.st_dev, status.st_ino) == self.identity:
                return
            reason = "database file replaced"
        self.lost_its_file = True
        raise ContinuityLostError(reason)

    def copy(self, thorough: bool = False) -> None:
        """Bring every commit into the shadow WAL; raises as Follower.copy does, and then what was copied counts."""
        follower = self.follower
        if follower is None:
            return
        index = follower.index
        try:
            follower.copy(thorough)
        finally:
            if follower.index != index or follower.mark is None:
                self._checkpoint = replace(self._checkpoint, done_offset=0, blocked_count=0)
            self._checkpoint = replace(self._checkpoint, offset=follower.position.offset)

    def checkpoint(self, now: float, copy_all: Callable[[bool], None]) -> CheckpointResult:
        """Checkpoint, and prove that every frame it counted had been copied, by `copy_all`, which calls `copy`.

        Raises ContinuityLostError without that proof, and HoldLostError.
        """
        follower = self.follower
        assert follower is not None

        def copy() -> None:
            # A checkpoint opens connections by the path. Were another file there by now, with the WAL of this one
            # beside it, they would copy that WAL into it.
            self.check_identity()
            copy_all(True)
            follower.make_durable()
            reached("shadow: durable")

        result = self._hold.checkpoint(copy)
        if not result.busy and result.log_frames > follower.frames:
            raise ContinuityLostError(
                f"a checkpoint counted {result.log_frames} frames, of which {follower.frames} had been copied"
            )
        if not result.busy and result.log_frames:
            follower.compare(result.log_frames)
        if result.complete:
            done = follower.position.offset
            self._checkpoint = replace(self._checkpoint, done_offset=done, last_time=now, blocked_count=0)
        else:
            blocked = self._checkpoint.blocked_count + 1
            self._checkpoint = replace(self._checkpoint, blocked_count=blocked, blocked_time=now)
        return result

    def compare_with_sqlite(self, copied_now: bool) -> None:
        """After a first copy, `copied_now` if it found anything: was more copied than SQLite goes by?"""
        assert self.follower is not None
        self.follower.compare_with(lambda: frames_counted(self._hold.path), copied_now)

    @property
    def blocked_count(self) -> int:
        """Checkpoints in a row that were not complete."""
        return self._checkpoint.blocked_count

    def backfill_what_is_not_copied(self) -> bool:
        """Let the WAL restart although not all of it was copied: the generation is at its end anyway.

        True if all of it is in the database file now.
        """
        try:
            return self._hold.checkpoint(self.check_identity).complete
        except ContinuityLostError:
            # The path leads elsewhere, which the next sync tells.
            return False

    def due(self, policy: CheckpointPolicy, now: float) -> bool:
        """True if a checkpoint should run now."""
        return due(self._checkpoint, policy, self.page_size, now)

    def next_time(self, policy: CheckpointPolicy) -> float | None:
        """When time alone may make a checkpoint due, or None."""
        return next_time(self._checkpoint, policy)

    def image(self, shadow: ShadowWAL) -> Image:
        """The database at the last commit copied, which is the newest if `copy` ran just before."""
        follower = self.follower
        assert follower is not None
        position, mark, hold = follower.position, follower.mark, self._hold
        overlay = Overlay.read(shadow.path(position.generation, position.index), position.offset, hold.page_size)
        pages = mark.database_pages if mark is not None and mark.frames else hold.page_count()
        return Image(position, pages, hold.page_size, overlay, hold.read)

    def close(self) -> None:
        """Let go."""
        self._hold.close()
