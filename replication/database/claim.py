"""One engine per database file, whatever path leads to it: links and mounts give one file many names.

The lock file in the meta folder keeps engines apart that were given the same path. Another path has another meta
folder, so the file itself is claimed as well, by device and inode. Opening it for a lock would be wrong: closing it
again drops the locks that SQLite holds on it in this process. So the claim is the name of a socket in the kernel's
own name space, which goes with the process that has it. Where there are none, only the lock file is left.
"""

import errno
import os
import socket
import struct
import sys
from pathlib import Path

from replication.errors import DatabaseLockedError

_NAME = "\0litestream-tui/database/{:x}-{:x}"
_CREDENTIALS = struct.Struct("3i")
_WAIT_SECONDS_MAX = 0.5
"""How long the holder's kernel may take to say who it is."""


class Claim:
    """The claim on one file. `identity` is its device and inode."""

    def __init__(self, identity: tuple[int, int], holder: socket.socket | None) -> None:
        self.identity = identity
        self._holder = holder

    @classmethod
    def take(cls, path: Path) -> "Claim":
        """Claim the file at `path`, which exists; raise DatabaseLockedError, naming the holder, if it is taken."""
        status = os.stat(path)  # noqa: PTH116 (links are followed, as SQLite does)
        identity = (status.st_dev, status.st_ino)
        if sys.platform != "linux":
            return cls(identity, None)
        name = _NAME.format(*identity)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.bind(name)
            made.listen(1)
        except OSError as error:
            made.close()
            if error.errno != errno.EADDRINUSE:
                return cls(identity, None)
            raise DatabaseLockedError(
                f"{path} is replicated already by litestream-tui, pid {_holder(name)}, maybe under another name of the "
                "same file; stop that one first, or watch it instead"
            ) from None
        return cls(identity, made)

    def release(self) -> None:
        """Let go."""
        if self._holder is not None:
            self._holder.close()


def _holder(name: str) -> str:
    """The process that has a claim, as far as it can be told."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(_WAIT_SECONDS_MAX)
            asking.connect(name)
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return str(_CREDENTIALS.unpack(credentials)[0])
    except OSError:
        return "unknown"
