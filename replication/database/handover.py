"""How one engine takes over from another without a gap: a deploy starts the next one while the last one still runs.

Between the end of one engine and the start of another nobody pins the WAL, and an application may checkpoint and
restart it: then a new generation must begin. So the next one begins to read before the last one lets go, and the last
one copies once more after that. That is how a pin is always changed (ARCHITECTURE.md), here from process to process:
a second reader is there, then everything is copied, then the first reader ends.

The two talk by locks on single bytes of the lock file, far beyond its text (open file description locks): they need no
writing, go with the process that has them, and work between containers, which share no sockets. The last engine
writes down in the lock file which byte it found locked, so that its promise holds for that one successor alone.
Without such locks, or with a file system on which flock() is one of them, the next one just waits for the lock.
"""

import fcntl
import os
import secrets
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from replication.errors import ReplicationError
from replication.local.files import LOCK_NAME
from replication.local.folder import LocalFolder

if TYPE_CHECKING:
    from replication.sqlite.unheld import Bridge

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock on 64-bit Linux: type, whence, start, length, pid."""
_NOBODY, _WAITING, _ENDING = 1 << 40, (1 << 40) + 1, (1 << 40) + 2
"""Bytes of the lock file.

The first is never locked, the engine with the second is next, that with the third is ending.
"""
_TOKENS, _TOKENS_COUNT = 1 << 41, 1 << 31
"""The engine that is next locks one of these bytes, chosen by chance, while it reads the database."""
UNSEEN_SECONDS = 0.2
"""Between two tries for a lock whose file is not there."""
WORKS = sys.platform == "linux" and sys.maxsize > 1 << 32 and hasattr(fcntl, "F_OFD_SETLK")


class Successor:
    """Waits for the lock of a database that another engine has. Used by one thread at a time."""

    def __init__(self, database: Path, meta_path: Path) -> None:
        self.token: int | None = None
        """The last engine writes this down if it copied everything after we began to read.

        None while we do not read.
        """
        self._database = database
        self._folder = LocalFolder(meta_path)
        self._descriptor: int | None = None
        self._bridge: Bridge | None = None
        self._try_at = 0.0
        """When to try for the lock next while its file cannot be opened, of time.monotonic."""

    def look(self) -> bool:
        """True if the caller should try to take the lock: it is free, or cannot be looked at.

        Once the holder says that it ends, this begins to read.
        """
        try:
            descriptor = self._open()
        except OSError:
            # The other engine may have another local folder, which the claim tells, at some cost.
            due = time.monotonic() >= self._try_at
            self._try_at = time.monotonic() + UNSEEN_SECONDS if due else self._try_at
            return due
        with suppress(OSError):
            if self.token is None and _become_next(descriptor) and _first_locked(descriptor, _ENDING) is not None:
                self._read(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return True

    def close(self) -> None:
        """End reading, and wait no more."""
        bridge, self._bridge, self.token = self._bridge, None, None
        if bridge is not None:
            bridge.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        there = os.stat(self._folder.path / LOCK_NAME, follow_symlinks=False)  # noqa: PTH116 (again and again)
        if self._descriptor is not None:
            ours = os.fstat(self._descriptor)
            if (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino):
                return self._descriptor
            self.close()
        self._descriptor = self._folder.open_private(LOCK_NAME, os.O_RDWR)
        return self._descriptor

    def _read(self, descriptor: int) -> None:
        """Keep the WAL from being restarted unseen from now on, and say so."""
        # Loaded when there is something to read: who only asks for the holder needs no SQLite.
        from replication.sqlite.unheld import Bridge

        try:
            self._bridge = Bridge.take(self._database)
        except ReplicationError:
            return  # busy, as a rule: the next look tries again
        token = secrets.randbelow(_TOKENS_COUNT)
        if _lock(descriptor, _TOKENS + token):
            self.token = token
        else:
            self._bridge.close()
            self._bridge = None


def announce_end(descriptor: int) -> None:
    """For the holder of the lock on `descriptor`: say that it is about to let go."""
    if WORKS:
        with suppress(OSError):
            _lock(descriptor, _ENDING)


def successor_waits(descriptor: int) -> bool:
    """True if another engine is next, and may come to read in a moment."""
    with suppress(OSError):
        return _works_on(descriptor) and _first_locked(descriptor, _WAITING) is not None
    return False


def is_awaited(meta_path: Path) -> bool:
    """True if another engine is next for the lock in this folder."""
    try:
        descriptor = LocalFolder(meta_path).open_private(LOCK_NAME, os.O_RDWR)
    except OSError:
        return False
    try:
        return successor_waits(descriptor)
    finally:
        os.close(descriptor)


def token_of_reader(descriptor: int) -> int | None:
    """The token of the engine that is next, once it reads the database, or None."""
    with suppress(OSError):
        if _works_on(descriptor) and (start := _first_locked(descriptor, _TOKENS, _TOKENS_COUNT)) is not None:
            return start - _TOKENS
    return None


def _become_next(descriptor: int) -> bool:
    """Lock the byte of the engine that is next. Return False if another has it, or the locks do not work here."""
    return _works_on(descriptor) and _lock(descriptor, _WAITING)


def _works_on(descriptor: int) -> bool:
    # Where flock() is a lock of all bytes, as over NFS, the holder seems to have this one as well.
    return WORKS and _first_locked(descriptor, _NOBODY) is None


def _lock(descriptor: int, start: int) -> bool:
    """Lock a byte. Return False if another process has it. A byte that this process has locked stays locked."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _first_locked(descriptor: int, start: int, count: int = 1) -> int | None:
    """A byte among these that another process has locked, or None."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, count, 0)
    kind, _, found, _, _ = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else max(found, start)
