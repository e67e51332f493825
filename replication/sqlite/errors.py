"""SQLite's errors in our words: the one place where apsw's exceptions are mapped."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from replication.errors import DatabaseError, LocalFileError


class DatabaseBusyError(DatabaseError):
    """Another connection holds a lock for longer than we wait; trying again later is right."""


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
        raise DatabaseError(
            f"{path} cannot be opened; check that it exists and that this user may write to it and its folder"
        ) from None
    except (apsw.ReadOnlyError, apsw.PermissionsError):
        raise DatabaseError(
            f"{path} cannot be written; replication needs write permission on the database and its folder"
        ) from None
    except apsw.FullError:
        raise LocalFileError(f"the disk of {path} is full") from None
    except apsw.Error as error:
        raise DatabaseError(f"{path}: SQLite says: {error}") from None
