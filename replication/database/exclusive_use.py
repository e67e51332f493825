"""The right to replicate one database: the engine lock of its local folder, the claim on its file, waiting for both.

Its promise: nothing is copied, and nothing of the local folder is written, by two engines at once. It leaves to the
caller what is done while it has the database. Used under the lock of its database, but for `announce_end`.
"""

import time
from contextlib import suppress
from pathlib import Path

from replication.database.claim import Claim
from replication.database.handover import Successor
from replication.database.lock import EngineLock
from replication.database.path_target import PathTarget
from replication.local.shadow_wal import ShadowWAL
from replication.nofollow import without_links
from replication.permissions import Ownership
from replication.sqlite.connection import check_is_database

READER_WAIT_SECONDS_MAX = 1.0
"""So long, after its end was announced, a holder waits until its successor reads."""


class Custody:
    """The engine lock and the claim, while they are ours."""

    def __init__(self, path: Path, meta_path: Path) -> None:
        self.path = path
        self.meta_path = meta_path
        self.control = ""
        """The path of the engine's socket: named in the lock, so that others find it by the database."""
        self.lock: EngineLock | None = None
        self.was_killed = False
        """True if the last engine that had the lock did not end in good order."""
        self._claim: Claim | None = None
        self._target: PathTarget | None = None
        """Where the path led when the database was locked last."""
        self._successor: Successor | None = None
        """Waits in our name while another engine has the lock, and reads until our own pin is there."""
        self._reader_deadline = 0.0
        """Until when, of time.monotonic, a successor is waited for."""

    @property
    def stands_by(self) -> bool:
        """True while another engine has the database, and this one waits for its end."""
        return self._successor is not None and self.lock is None

    def take(self) -> ShadowWAL:
        """Lock the database that is there and its local folder. Return the folder's shadow WAL, ready for use.

        Raises DatabaseLockedError.
        """
        self.claim_file()
        try:
            if not self.meta_path.exists():
                # A path that was mistyped shall not get a folder beside it.
                check_is_database(self.path)
            shadow = ShadowWAL(self.meta_path, Ownership.of(self.path))
            shadow.make()
            taken = self.lock = EngineLock.take(self.meta_path, self.path, self.control)
            self.was_killed = taken.previous_inode is not None and not taken.previous_end
        except BaseException:
            self.release_claim()
            raise
        with suppress(OSError):
            self._target = PathTarget.of(self.path)
        shadow.sweep()
        return shadow

    def claim_file(self) -> None:
        """Claim the file that the path leads to now, in place of the one before. Raises DatabaseLockedError."""
        status = self.path.stat()
        if self._claim is not None:
            if self._claim.identity == (status.st_dev, status.st_ino):
                return
            self.release_claim()
        self._claim = Claim.take(self.path)

    def release_lock(self) -> None:
        if self.lock is not None:
            lock, self.lock = self.lock, None
            lock.release()

    def release_claim(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def what_became_of_the_path(self) -> str:
        """In words, which link, volume or folder on the path is another than when it was locked; "" if none is."""
        with suppress(OSError):
            return self._target.became(PathTarget.of(self.path)) if self._target is not None else ""
        return ""

    # -- from one engine to the next --------------------------------------------------------------------------------

    def stand_by(self) -> None:
        """Wait for the end of the engine that has the lock."""
        self._successor = Successor(without_links(self.path), self.meta_path)

    def may_take_over(self) -> bool:
        """True once the other engine lets go, or is not waited for any more."""
        return self._successor is None or self._successor.look()

    def handed_over(self) -> bool:
        """True if we were reading before the last holder copied for the last time."""
        reader = self._successor.token if self._successor is not None else None
        return reader is not None and self.lock is not None and reader == self.lock.handed_to

    def end_standing_by(self) -> None:
        if self._successor is not None:
            self._successor.close()
            self._successor = None

    def announce_end(self) -> None:
        """Say to an engine that stands by that this one is about to let go. Waits for nothing."""
        self._reader_deadline = time.monotonic() + READER_WAIT_SECONDS_MAX
        if (lock := self.lock) is not None:
            lock.announce_end()

    def wait_for_reader(self) -> int | None:
        """The token of the engine that takes over, once it reads the database, or None if there is none."""
        return self.lock.wait_for_reader(self._reader_deadline) if self.lock is not None else None
