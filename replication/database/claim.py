"""One engine per database file, whatever path leads to it: links and mounts give one file many names.

The lock file in the local folder keeps engines apart that were given the same path. Another path has another local
folder, so the file itself is claimed as well, by device and inode. Opening it for a lock would be wrong: closing it
again drops the locks that SQLite holds on it in this process. So the claim is the name of a socket in the kernel's
own name space, which goes with the process that has it. Where there are none, only the lock file is left.
"""

import errno
import os
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replication.database.safe import Safe
from replication.errors import DatabaseLockedError

_CLAIM = "litestream-tui/database/{:x}-{:x}"
_HOLDER = "litestream-tui/holder/{:x}-{:x}/"
"""A second socket name, with the process id behind it: it only says who has the first one."""
_SOCKETS = Path("/proc/net/unix")
_SAFE = Safe()
"""Keeps the sockets open without a descriptor for each."""
_OURS: Counter[tuple[int, int]] = Counter()
"""How many claims this process has of each device and inode, also those that are about to be refused."""
_OURS_LOCK = threading.Lock()


@contextmanager
def plainly(identity: tuple[int, int]) -> Iterator[bool]:
    """A block in which this process makes no claim on the file of that identity. Gives False if it has one already.

    Only then may it be opened without SQLite: to close such a descriptor ends all locks that this process has on it.
    """
    with _OURS_LOCK:
        yield not _OURS[identity]


class Claim:
    """The claim on one file. `identity` is its device and inode."""

    def __init__(self, identity: tuple[int, int]) -> None:
        self.identity = identity
        self._names: list[int] = []
        """Descriptors of sockets, until they are in the safe."""
        self._is_ours = True
        with _OURS_LOCK:
            _OURS[identity] += 1
        self._key: int | None = None
        """The key of the sockets in the safe. A claim that is not released lasts until the process ends."""

    @classmethod
    def take(cls, path: Path) -> "Claim":
        """Claim the file at `path`, which exists; raise DatabaseLockedError, naming the holder, if it is taken."""
        status = os.stat(path)  # noqa: PTH116 (links are followed, as SQLite does)
        identity = (status.st_dev, status.st_ino)
        claim = cls(identity)
        if sys.platform != "linux":
            return claim
        try:
            claim._bind(_CLAIM.format(*identity))
            claim._bind(f"{_HOLDER.format(*identity)}{os.getpid()}")
            claim._key, claim._names = _SAFE.keep(claim._names), []
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return claim
            claim.release()
            more = " (it may know the file by another path)"
            raise DatabaseLockedError(path, _holder(identity), more) from None
        return claim

    def release(self) -> None:
        """Let go."""
        if self._is_ours:
            self._is_ours = False
            with _OURS_LOCK:
                _OURS[self.identity] -= 1
                if not _OURS[self.identity]:
                    del _OURS[self.identity]
        while self._names:
            os.close(self._names.pop())
        if self._key is not None:
            key, self._key = self._key, None
            _SAFE.let_go(key)

    def _bind(self, name: str) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.bind(f"\0{name}")
        except OSError:
            made.close()
            raise
        self._names.append(made.detach())


def _holder(identity: tuple[int, int]) -> str:
    """The process that has a claim, as far as that can be found out."""
    start = f"@{_HOLDER.format(*identity)}"
    try:
        names = [line.rpartition(" ")[2] for line in _SOCKETS.read_text(errors="replace").splitlines()]
    except OSError:
        names = []
    return next((name.removeprefix(start) for name in names if name.startswith(start)), "unknown")
