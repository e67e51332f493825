"""What is committed while a database is let go of, as far as its WAL tells without SQLite and without a lock.

For whoever has paused it and must see what no replica has grow. It proves nothing, and rather says too much: a database
whose WAL was folded in and is gone may have got commits.
"""

import os
from contextlib import suppress
from pathlib import Path

from replication.database.wal_scanner import WALCursor
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader

FRAMES_AT_ONCE_MAX = 1000
"""Frames looked at in one go; what is beyond is counted the next time."""


class Missed:
    """Counts from the end of what was copied on. Safe for one thread at a time."""

    def __init__(self, database: Path, cursor: WALCursor | None) -> None:
        # SQLite follows links, and keeps the WAL beside the file.
        self._path = os.path.realpath(database)
        self._salts = cursor.header.salts if cursor is not None else None
        self._offset = cursor.offset if cursor is not None else WAL_HEADER_SIZE
        self._file = _written(self._path)
        self.some = False
        """True once something was committed, or may have been."""
        self.bytes = 0
        """Bytes of frames that nobody has copied, at least."""

    def look(self) -> None:
        """Count what is new. Nothing is raised."""
        with suppress(OSError, ValueError):
            # The WAL carries no locks, so that opening and closing it harms nobody.
            wal = os.open(f"{self._path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._count(wal)
            finally:
                os.close(wal)
            return
        if _written(self._path) != self._file:
            self.some = True

    def _count(self, wal: int) -> None:
        header = WALHeader.parse(os.pread(wal, WAL_HEADER_SIZE, 0))
        if header.salts != self._salts:
            self._salts, self._offset = header.salts, WAL_HEADER_SIZE
        for _ in range(FRAMES_AT_ONCE_MAX):
            frame = os.pread(wal, FRAME_HEADER_SIZE, self._offset)
            salts = int.from_bytes(frame[8:12], "big"), int.from_bytes(frame[12:16], "big")
            if len(frame) < FRAME_HEADER_SIZE or salts != header.salts:
                return
            self.some = True
            self.bytes += header.frame_size
            self._offset += header.frame_size


def _written(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)
