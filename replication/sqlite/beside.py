"""The files that SQLite has beside a database, whose names anybody may take who may write to the folder."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from replication.errors import DatabaseError
from replication.nofollow import kind

SUFFIXES = ("-journal", "-wal", "-shm")


def check_beside(path: Path, name: str = "") -> None:
    """Raise DatabaseError if SQLite would open what is no plain file beside a database: at a pipe it would wait.

    `name` is what SQLite opens it by.
    """
    real = os.path.realpath(path)
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            status = os.lstat((name or real) + suffix)
            if not stat.S_ISREG(status.st_mode):
                raise DatabaseError(f"{real}{suffix} is {kind(status)}, and no file of SQLite's; remove it")
