"""One engine per database file, whatever path leads to it: links and mounts give one file many names.

The lock file in the meta folder keeps engines apart that were given the same path. Another path has another meta
folder, so the file itself is claimed as well, by device and inode. Opening it for a lock would be wrong: closing it
again drops the locks that SQLite holds on it in this process. So the claim is the name of a socket in the kernel's
own name space, which goes with the process that has it. Where there are none, only the lock file is left.
"""

import errno
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from replication.errors import DatabaseLockedError

_CLAIM = "litestream-tui/database/{:x}-{:x}"
_HOLDER = "litestream-tui/holder/{:x}-{:x}/"
"""With the process id behind it: a second name, which only says who has the first."""
_SOCKETS = Path("/proc/net/unix")


class Claim:
    """The claim on one file. `identity` is its device and inode."""

    def __init__(self, identity: tuple[int, int]) -> None:
        self.identity = identity
        self._names: list[int] = []
        """Descriptors: what hangs at the end keeps its claim until the process ends, not until it is collected."""

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
            claim._enclose()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return claim
            claim.release()
            more = " (it may know the file by another path)"
            raise DatabaseLockedError(path, _holder(identity), more) from None
        return claim

    def release(self) -> None:
        """Let go."""
        while self._names:
            os.close(self._names.pop())

    def _enclose(self) -> None:
        """Keep the second name without a descriptor: its socket waits in the first one, to be received by nobody."""
        name, holder = self._names
        with socket.socket(fileno=os.dup(holder)) as sender, suppress(OSError):
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, holder.to_bytes(4, sys.byteorder))
            sender.sendmsg([b"\0"], [rights], socket.MSG_DONTWAIT, f"\0{_CLAIM.format(*self.identity)}")
            self._names = [name]
            os.close(holder)

    def _bind(self, name: str) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.bind(f"\0{name}")
        except OSError:
            made.close()
            raise
        self._names.append(made.detach())


def _holder(identity: tuple[int, int]) -> str:
    """The process that has a claim, as far as it can be told."""
    start = f"@{_HOLDER.format(*identity)}"
    try:
        names = [line.rpartition(" ")[2] for line in _SOCKETS.read_text(errors="replace").splitlines()]
    except OSError:
        names = []
    return next((name.removeprefix(start) for name in names if name.startswith(start)), "unknown")
