"""A WAL that cannot be copied for lack of space: how long it is held, and when it may be held again.

While it is held and not copied nobody can restart it, and it grows on the disk of the application, which comes first.
"""

import os
from contextlib import suppress
from pathlib import Path

from replication import space
from replication.database.current import CurrentGeneration
from replication.database.open_database import OpenDatabase
from replication.database.opening import Opening
from replication.database.wal_copier import WALTooLongError
from replication.errors import DatabaseError, LocalFileError
from replication.local.backlog import INDEXES_KEPT, Backlog
from replication.nofollow import without_links
from replication.space import Disk
from replication.sqlite.unheld import empty_wal

CANNOT_COPY = "wal could not be copied for lack of space, and was let go of"
ROOM_PAGES_MAX = 1000
"""Before a database is opened again, at most room for an index of so many pages is waited for."""
_PAGE_BYTES = 4096


def ask_for_wal(path: Path, meta_path: Path, pages_min: int, page_size: int) -> None:
    """Raise LocalFileError while a copy of the WAL has no room.

    Opening the database only to find that out makes it grow.
    """
    with suppress(FileNotFoundError):
        size = os.stat(f"{without_links(path)}-wal").st_size  # noqa: PTH116
        # Room for each index that is kept and for the next one: else the database would be let go of again at once.
        pages = (INDEXES_KEPT + 1) * min(pages_min, ROOM_PAGES_MAX)
        growth = pages * (page_size or _PAGE_BYTES)
        space.ask(meta_path, size + growth, f"The {CANNOT_COPY}. To replicate again", "")


def is_held_too_long(opened: OpenDatabase, error: Exception, limit: int, current: CurrentGeneration) -> bool:
    """True if the WAL must not be held any longer although it was not copied, and no image is in the way.

    `limit` is how many bytes may wait; with 0 only the disk limits it. Images for which too much waits are ended.
    """
    if isinstance(error, LocalFileError):
        with suppress(OSError):
            why = Backlog(opened.wal_path.stat().st_size).too_much(limit, Disk.of(opened.wal_path.parent))
            if not why:
                return False
            for image in opened.images:
                image.ended = why
            current.wanted = CANNOT_COPY
    elif not isinstance(error, WALTooLongError):
        return False
    return not opened.images


def give_up_wal(opened: OpenDatabase, opening: Opening) -> None:
    """Let the WAL be restarted although not all of it was copied."""
    all_is_in_the_file = False
    # The disk may be too full for that as well: then SQLite does it in its own time.
    with suppress(DatabaseError):
        all_is_in_the_file = opened.backfill_what_is_not_copied()
    opening.let_go()
    if all_is_in_the_file:
        # The next sync begins a generation; else the last commits would wait for another one.
        with suppress(DatabaseError):
            empty_wal(opening.path)
