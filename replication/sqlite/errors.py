"""SQLite's errors in our words: the one place where apsw's exceptions are mapped."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from replication.errors import DatabaseError, LocalFileError

_FILES_OF_A_CONNECTION = 4


class DatabaseBusyError(DatabaseError):
    """Another connection holds a lock for longer than we wait; trying again later is right."""


def no_descriptor_is_left() -> bool:
    """True if this process may open hardly any more files, which SQLite does not tell from a file that is not there."""
    opened: list[int] = []
    try:
        # A failed open has closed the descriptors that it had opened so far.
        for _ in range(_FILES_OF_A_CONNECTION):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False


def cannot_be_opened(path: Path, error: OSError | None = None) -> DatabaseError:
    """The error for a database that cannot be opened; `error` says why, where it is not SQLite that tried."""
    if (error is not None and error.errno in (errno.EMFILE, errno.ENFILE)) or no_descriptor_is_left():
        return DatabaseError(
            f"{path} cannot be opened: too many open files in this process; raise its limit (ulimit -n)"
        )
    why = f": {error.strerror}" if error is not None and error.errno != errno.ENOENT else ""
    return DatabaseError(
        f"{path} cannot be opened{why}; check that it exists and that this user may write to it and its folder"
    )


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Run a block of SQLite work on the database at `path`; its apsw errors leave as DatabaseError."""
    try:
        yield
    except apsw.BusyError:
        raise DatabaseBusyError(f"{path} is locked by another process; trying again") from None
    except apsw.LockedError:
        raise DatabaseBusyError(f"{path} is locked; trying again") from None
    except apsw.NotADBError:
        raise DatabaseError(f"{path} is not a SQLite database, or it is encrypted; check the path") from None
    except apsw.CorruptError as error:
        raise DatabaseError(
            f"{path} is damaged ({error}); restore it from a replica, or repair it with sqlite3's .recover"
        ) from None
    except apsw.CantOpenError:
        raise cannot_be_opened(path) from None
    except (apsw.ReadOnlyError, apsw.PermissionsError):
        raise DatabaseError(
            f"{path} cannot be written; replication needs write permission on the database and its folder"
        ) from None
    except apsw.FullError:
        raise LocalFileError(f"the disk of {path} is full") from None
    except apsw.Error as error:
        raise DatabaseError(f"{path}: SQLite says: {error}") from None
