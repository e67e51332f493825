"""A database at rest, looked at from outside: what the kernel tells of its files, without opening any of them.

It promises to ask for a sync whenever one may find something: at the next check if the WAL is another than the last
sync saw, and soon after any change once more, since times of writing are coarse. It costs one call of the kernel.
"""

import os

from replication.database.database import Database

SETTLE_SECONDS = 2.0
"""The coarsest that a file system keeps times: what is written later than this after a change has another time."""
PATHS_CHECKS = 10
"""Every so many checks the file and the lock are looked for at their paths as well, if no event told of them."""
WHOLE_SECONDS = 300.0
"""After so long a sync is asked for, whatever the kernel says of the files."""


class WALStat:
    """Checks of one database. Used by one thread at a time, none of which waits for the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._path = ""
        self._seen: tuple[int, int, int] | None = None
        """The WAL as the last sync saw it."""
        self._wal: tuple[int, int, int] | None = None
        """The WAL at the last check."""
        self._whole_at = 0.0

    def begin(self, path: str, seen: tuple[int, int, int]) -> None:
        """Begin to check: a sync has seen the WAL at `path` so (WALCopier.seen), and left nothing else to do."""
        self._path, self._seen = path, seen

    def finds_something(self, now: float, paths: bool) -> bool:
        """True if a sync may find something at `now`, of time.monotonic.

        With `paths`, what the paths lead to is looked at too.
        """
        if not self._database.is_quiet:
            return True
        try:
            status = os.stat(self._path)  # noqa: PTH116 (called a thousand times a second)
            if paths and not self._database.is_in_place:
                return True
        except OSError:
            return True
        wal = (status.st_ino, status.st_size, status.st_mtime_ns)
        if wal != self._wal:
            self._wal, self._whole_at = wal, now + SETTLE_SECONDS
        elif now >= self._whole_at:
            self._whole_at = now + WHOLE_SECONDS
            return True
        return wal != self._seen
