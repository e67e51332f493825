"""What SQLite itself counts: the header of its WAL index, which lies in the -shm file.

A writer puts the frames of a commit into the WAL and then publishes them here: their number, and the checksum of
the last one. What is in the WAL beyond that was never committed: a writer that died between the two leaves frames
that look whole, and the next one puts its own in their place. https://www.sqlite.org/walformat.html#the_wal_index_file_format

It promises that a header it returns was published whole. It leaves to the caller to close it after every connection of
this process to the database: POSIX locks go when any descriptor of their file is closed.
"""

import fcntl
import os
import stat
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from replication.errors import DatabaseError
from replication.sqlite.beside import check_beside
from replication.sqlite.checksum import Sums
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE

_HEADER = struct.Struct("=IIIBBHIIII8sII")
"""WalIndexHdr: version, unused, change, initialized, big-endian checksums, page size, mxFrame, nPage, aFrameCksum,
aSalt, aCksum. Two copies of it stand at the start of the file."""
_CHECKPOINT_INFO = struct.Struct("=I20s8sI")
"""WalCkptInfo, right behind them: nBackfill, aReadMark, aLock, nBackfillAttempted."""
_SIZE = 2 * _HEADER.size + _CHECKPOINT_INFO.size
_VERSION = 3007000
_CHECKPOINT_LOCK = 121
"""The byte that is locked while a checkpoint runs (WALINDEX_LOCK_OFFSET + WAL_CKPT_LOCK)."""
_FLOCK = struct.Struct("hhqqi4x")
"""struct flock on 64-bit Linux: type, whence, start, length, pid."""


@dataclass(frozen=True, slots=True)
class WALIndexHeader:
    """What counts of one life of the WAL, and how much of it checkpoints have copied back."""

    frames: int
    """Committed frames (mxFrame); 0 once the WAL was restarted, until the first commit of the new life."""
    pages: int
    """Size of the database in pages after the last committed frame."""
    sums: Sums
    """The checksum of the last frame, which proves all before it."""
    salts: tuple[int, int]
    page_size: int
    backfilled: int
    """Frames that are in the database file (nBackfill)."""
    attempted: int
    """Frames that a checkpoint has begun to copy back (nBackfillAttempted); more than `backfilled` while one is under
    way, after one that failed, and after SQLite's recovery."""
    changes: int
    """Commits since SQLite's last recovery made this index anew (iChange)."""
    raw: bytes
    """The published bytes, to see whether anything was published since."""

    @property
    def end(self) -> int:
        """The offset in the WAL at which the committed frames end."""
        return WAL_HEADER_SIZE + self.frames * (FRAME_HEADER_SIZE + self.page_size) if self.frames else 0


class WALIndex:
    """The -shm file of one database, kept open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self.identity = (status.st_dev, status.st_ino)
        self._last: tuple[bytes, WALIndexHeader | None] = (b"", None)
        """What was read last, and what it says."""

    @classmethod
    def open(cls, database: Path, name: str = "") -> "WALIndex":
        """Open the -shm of a database. Raises FileNotFoundError, and DatabaseError in words.

        `database` is the path without links, for messages and `is_in_place`. `name` is what SQLite has it open by, such
        as /proc/self/fd/9/app.db (opening.py): the -shm is opened in that very folder, whatever became of the path.
        """
        path = Path(f"{database}-shm")
        try:
            # A pipe would be waited for.
            descriptor = os.open(f"{name or database}-shm", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                check_beside(database)
                # By now a plain file is there, whatever was opened.
                raise DatabaseError(f"{path} was no plain file when it was opened")
            return cls(path, descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            check_beside(database)
            raise DatabaseError(f"{path} cannot be read: {error.strerror}") from None

    def read(self) -> WALIndexHeader | None:
        """The header now; None while it is being written, or if its writer died in the middle."""
        data = os.pread(self._descriptor, _SIZE, 0)
        read, header = self._last
        if data != read:
            header = _parse(data)
            self._last = (data, header)
        return header

    def is_in_place(self) -> bool:
        """True while the name leads to this file: SQLite's other connections then use it as well."""
        try:
            status = os.stat(self.path)  # noqa: PTH116 (called at every sync)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity

    def checkpoint_runs(self) -> bool:
        """True while another process checkpoints; also where that cannot be asked for."""
        if sys.platform != "linux" or sys.maxsize < 1 << 32:
            return True
        asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, _CHECKPOINT_LOCK, 1, 0)
        return bool(_FLOCK.unpack(fcntl.fcntl(self._descriptor, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)

    def close(self) -> None:
        """Let go; every connection of this process to the database must be closed before."""
        os.close(self._descriptor)


def _parse(data: bytes) -> WALIndexHeader | None:
    size = _HEADER.size
    if len(data) < _SIZE or data[:size] != data[size : 2 * size]:
        return None
    version, _, changes, initialized, _, coded, frames, pages, sum0, sum1, salts, _, _ = _HEADER.unpack_from(data)
    if version != _VERSION or not initialized:
        return None
    backfilled, _, _, attempted = _CHECKPOINT_INFO.unpack_from(data, 2 * size)
    # The salts are bytes of the WAL's header, and those are big-endian.
    salt1, salt2 = struct.unpack(">2I", salts)
    # 65536 does not fit, and stands as 1.
    page_size = (coded & 0xFE00) + ((coded & 0x0001) << 16)
    return WALIndexHeader(
        frames, pages, (sum0, sum1), (salt1, salt2), page_size, backfilled, attempted, changes, data[:size]
    )
