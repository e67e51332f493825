"""The files that SQLite has beside a database, whose names anybody may take who may write to the folder."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from replication.errors import DatabaseError
from replication.nofollow import kind

SUFFIXES = ("-journal", "-wal", "-shm")


def check_beside(path: Path, name: str = "") -> None:
    """Raise DatabaseError if a WAL, -shm or journal beside a database is no plain file: at a pipe SQLite would wait.

    `path` is no link, and `name` what SQLite opens it by, if that is another.
    """
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            status = os.lstat((name or str(path)) + suffix)
            if not stat.S_ISREG(status.st_mode):
                raise DatabaseError(f"{path}{suffix} is {kind(status)}, and no file of SQLite's; remove it")
