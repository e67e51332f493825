"""One engine per database file, whatever path leads to it: links and mounts give one file many names.

The lock file in the local folder keeps engines apart that were given the same path. Another path has another meta
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
"""With the process id behind it: a second name, which only says who has the first."""
_SOCKETS = Path("/proc/net/unix")
_SAFE = Safe()
"""The sockets need no descriptor for as long as a database is claimed."""
_OURS: Counter[tuple[int, int]] = Counter()
"""Claims of this process, by device and inode, those that are refused in a moment among them."""
_OURS_LOCK = threading.Lock()


@contextmanager
def plainly(identity: tuple[int, int]) -> Iterator[bool]:
    """A block in which no file of that identity is claimed by this process; true if none was before.

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
        """What they are there under: what hangs at the end keeps its claim until the process ends."""

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
