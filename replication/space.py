"""Room on a disk: asked for before it is used, less a reserve that is the application's.

Its promise: what we make beside the databases of others (restored files, kept ones, scratch copies) is begun only where
it fits and the reserve stays free, and ends where the reserve is reached. One look at the disk, and a pure decision.
A disk that does not tell how large it is counts as one with room. It leaves to the caller what a refusal means.

Three bounds on what is free, each for another use of the disk:

    last_part    a tenth: shadow WAL that only waits for a replica is given up below that (local/backlog.py)
    reserve      a tenth, or 256 MiB: restores and other files of ours end there (has_room)
    END_...      a 64th, or 64 MiB: not even what is committed is copied beyond that (holds)
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from replication.errors import NoRoomError

RESERVE_SHARE = 10
"""One part in so many of a disk is the application's."""
RESERVE_BYTES_MAX = 256 << 20
"""More than this is not kept free for it on a large disk."""
END_SHARE = 64
END_BYTES_MAX = 64 << 20
"""The last part in so many of a disk, and no more than so much, is not even taken by copies of what is committed."""
GUARD_BYTES = 4 << 20
"""The disk is looked at again after so many bytes were written."""


@dataclass(frozen=True, slots=True)
class Disk:
    """One file system, in bytes: its size, and what this user may still write."""

    total: int
    free: int

    @classmethod
    def of(cls, folder: Path) -> "Disk | None":
        """The disk of a folder, or of the one that it would be made in. None if the size of the disk is not known."""
        while not os.path.lexists(folder) and folder != folder.parent:
            folder = folder.parent
        try:
            found = os.statvfs(folder)
        except OSError:
            return None
        # Some network and user-space file systems do not tell: zero blocks in all.
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize) if found.f_blocks else None

    @property
    def reserve(self) -> int:
        """What is the application's."""
        return min(self.total // RESERVE_SHARE, RESERVE_BYTES_MAX)

    @property
    def last_part(self) -> int:
        """The last tenth of the disk, which nothing may take that only waits."""
        return self.total // RESERVE_SHARE

    def holds(self, needed: int) -> bool:
        """True if so many bytes of what is committed can be copied: the application writes to the rest."""
        return self.free - needed >= min(self.total // END_SHARE, END_BYTES_MAX)

    def has_room(self, needed: int) -> bool:
        """True if so many bytes can be written and the reserve stays free."""
        return self.free - needed >= self.reserve


def ask(folder: Path, needed: int, what: str, elsewhere: str) -> None:
    """Raise NoRoomError unless the disk of `folder` has so many bytes for `what`; `elsewhere` says where to go."""
    disk = Disk.of(folder)
    if disk is not None and not disk.has_room(needed):
        raise NoRoomError(
            f"{what} needs {_size(needed)}, and the disk of {folder} has {_size(disk.free)} free, of which "
            f"{_size(disk.reserve)} are left to the application. Free some space{elsewhere}"
        )


def guard(folder: Path, what: str, elsewhere: str) -> Callable[[int], None]:
    """To be called with the bytes of each write: raises NoRoomError once the reserve of the disk is reached.

    What a file comes to is not always known before, and others write to the disk as well.
    """
    since = 0

    def written(size: int) -> None:
        nonlocal since
        since += size
        if since >= GUARD_BYTES:
            since = 0
            disk = Disk.of(folder)
            if disk is not None and not disk.has_room(0):
                raise NoRoomError(
                    f"{what} was ended: the disk of {folder} has {_size(disk.free)} free, and "
                    f"{_size(disk.reserve)} are left to the application. Free some space{elsewhere}"
                )

    return written


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
