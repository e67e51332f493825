"""What is wrong with the files of one database, in words for people, with what to do."""

import errno
import os
import stat
from pathlib import Path

from replication.database.open_database import OpenDatabase
from replication.errors import DatabaseError
from replication.nofollow import check_path
from replication.reserved import NOT_UTF8, not_utf8


def status_of(path: Path) -> os.stat_result | str:
    """The status of the database file, or in words why there is nothing to replicate yet. Raises DatabaseError."""
    if not_utf8(path):
        raise DatabaseError(f"{path} {NOT_UTF8}")
    try:
        status = path.stat()
        # A user who put a link there might make root replicate what only root may read.
        check_path(path)
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        raise DatabaseError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DatabaseError(f"{path} is not a plain file; name the file of a SQLite database")
    return status if status.st_size else "is empty"


def waiting(what: str, was_replicated: bool) -> str:
    """What is waited for, in words. `state` says what the file is: "does not exist" or "is empty"."""
    if not was_replicated:
        return f"{what} yet, waiting for it"
    what = "was emptied" if what == "is empty" else "was removed"
    return f"{what}; replication goes on with the next database at this path"


def other_names(path: Path, opened: OpenDatabase) -> str:
    """What to say if the file has more names than one. Commits by the configured name are replicated all the same."""
    if opened.files.names == 1:
        return ""
    return (
        f"{path} has {opened.files.names} names (hard links). Each name has a -wal of its own, and commits that "
        "an application makes by another name are not replicated: let all use this one, and remove the others"
    )


def passed_by(path: Path, opened: OpenDatabase) -> str:
    """What to say if an application commits without using the -shm that is there."""
    if opened.copier is None or not opened.copier.passed_by:
        return ""
    return (
        f"{opened.wal_path} gets commits that are not counted in {path.name}-shm: an application goes on with "
        "one that was removed. Restart it; until then nobody else sees its commits, and they are not replicated"
    )


def unusable(error: OSError, path: Path) -> DatabaseError:
    """The error for a file that the system refuses, with what to do."""
    where = error.filename or path
    remedy = "give this user access and replication goes on"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        remedy = "raise the limit of this process (ulimit -n)"
    return DatabaseError(f"{where} cannot be read: {error.strerror}; {remedy}")
