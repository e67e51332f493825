"""What waits on the local disk for the destinations of a database, and what happens if it is too much (promise 6)."""

from collections.abc import Sequence

from replication.replica.destination import Waiting
from replication.replica.source import KeptWAL
from replication.space import Disk

NOTED_SHARE = 8
"""The position of a replica is written down once the WAL that waits is more than the limit divided by this."""


def clean(database: KeptWAL, replicas: Sequence[Waiting]) -> None:
    """Remove shadow WAL that no replica needs, and leave behind replicas for which too much waits.

    Raises LocalFileError.
    """
    waiting = [replica for replica in replicas if not replica.is_left_behind]
    limit = database.backlog_limit
    backlogs = database.backlogs([replica.needed_from for replica in waiting])
    disk = Disk.of(database.meta_path) if any(item.size for item in backlogs) else None
    for replica, backlog in zip(waiting, backlogs, strict=True):
        if why := backlog.too_much(limit, disk, living=not replica.failing):
            replica.leave_behind(why)
        elif backlog.size and backlog.size >= limit // NOTED_SHARE:
            replica.save_position()
        elif not backlog.size:
            replica.forget_position()
    database.end_images()
    database.clean([replica.needed_from for replica in replicas if not replica.is_left_behind])
