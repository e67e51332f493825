"""A database at rest, looked at from outside: what the kernel tells of its files, without opening any of them.

It promises to ask for a sync whenever one may find something: at the next glance if the WAL is another than the last
sync saw, and soon after any change once more, since times of writing are coarse. It costs one call of the kernel.
"""

import os

from replication.database.database import Database

SETTLE_SECONDS = 2.0
"""The coarsest that a file system keeps times: what is written later than this after a change has another time."""
PLACES_GLANCES = 10
"""Every so many glances the file and the lock are looked for in their places as well, if no event told of them."""
WHOLE_SECONDS = 300.0
"""After so long a sync is asked for whatever the kernel tells."""


class Glance:
    """Glances at one database. Used by one thread at a time, none of which waits for the database."""

    def __init__(self, database: Database, number: int) -> None:
        self._database = database
        self._glances = number
        """Counted from a number of its own, so that not all databases have their places looked at in one go."""
        self._wal: tuple[int, int, int] | None = None
        """The WAL at the last glance."""
        self._whole_at = 0.0

    def finds_something(self, now: float) -> bool:
        """True if a sync may find something at `now`, of time.monotonic."""
        last = self._database.last_look
        if last is None:
            return True
        path, seen = last
        self._glances += 1
        try:
            status = os.stat(path)  # noqa: PTH116 (called a thousand times a second)
            if self._glances % PLACES_GLANCES == 0 and not self._database.is_in_place:
                return True
        except OSError:
            return True
        wal = (status.st_ino, status.st_size, status.st_mtime_ns)
        if wal != self._wal:
            self._wal, self._whole_at = wal, now + SETTLE_SECONDS
        elif now >= self._whole_at:
            self._whole_at = now + WHOLE_SECONDS
            return True
        return wal != seen
