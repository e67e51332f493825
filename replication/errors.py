"""Every error this program knows, as one tree. Foreign exceptions are mapped at the border where they arise.

    ReplicationError                     1   anything else that went wrong
    ├── UsageError                       2   invalid command line
    ├── ConfigError                      3   the configuration, with file and line
    ├── DatabaseError                    4   the source database
    │   ├── DatabaseLockedError          5   another engine replicates it already
    │   └── PausedError                  4   it was let go of while something was done with it
    ├── StorageError                     6   the store did not answer, or answered with a fault
    │   ├── AccessDeniedError            7   wrong credentials or no permission
    │   ├── BucketNotFoundError          8   the bucket does not exist
    │   ├── PlaceLostError               6   the folder of a replica is not the one it was
    │   ├── NotListedError               6   its listings do not show what is there
    │   ├── ObjectNotFoundError         11   one object is not there
    │   └── ObjectExistsError            6   an object that was to be made is there already
    ├── LocalFileError                  14   disk full, read-only folder, no permission here
    │   └── NoRoomError                 14   it would take what the disk must keep free for the application
    ├── BringBackError                  22   rows were not brought back; nothing was changed
    ├── InconclusiveError               18   a verification, or a search, that could not be brought to its end
    ├── EngineError                     20   a running engine was asked, and did not do it
    │   ├── NoEngineError               20   none answers there
    │   ├── NotAllowedError             20   it does not do that for this caller
    │   ├── BusyError                   20   it does as much as it can at once already
    │   └── NoJobError                  20   it has no job of that id
    └── RestoreError                    15   a restore that could not be done
        ├── OutputExistsError            9   the output path is taken
        ├── NoRestorePointError         10   no such generation, index, time or position
        │   ├── NoBackupError           10   nothing at all was ever replicated there
        │   ├── UnprovenSnapshotError   10   a snapshot of Litestream may hold more than was asked for
        │   └── MayBeOlderError         10   what can be restored may be older than a snapshot that cannot be used
        ├── ReplicaGapError             11   the replica lacks an object that the restore needs
        ├── CorruptObjectError          12   an object is truncated or damaged
        ├── IntegrityCheckError         13   SQLite's own check of the restored file failed
        ├── RestoreCancelledError       16   the user stopped the restore
        └── ReplicaDiffersError         17   what was restored is not the source at the same commit

The number is the exit code of the command that ends with the error.
Messages are whole sentences for a person: what is wrong, where, and what to do next. They never hold secrets.
"""

from pathlib import Path
from typing import ClassVar, TypeVar

E = TypeVar("E", bound=BaseException)


class ReplicationError(Exception):
    """The root: everything raised on purpose is one of these."""

    exit_code: ClassVar[int] = 1


def words_of(error: Exception) -> str:
    """An error in words, with its class if it is none of ours."""
    return str(error) if isinstance(error, ReplicationError) else f"{type(error).__name__}: {error}"


def without_frames(error: E) -> E:
    """The error, to be kept: without the frames that it came through, and what those hold in memory."""
    error.__cause__ = error.__context__ = error.__traceback__ = None
    return error


class UsageError(ReplicationError):
    """The command line is invalid."""

    exit_code = 2


class ConfigError(ReplicationError):
    """The configuration cannot be used; the message names file and line."""

    exit_code = 3


class DatabaseError(ReplicationError):
    """The source database cannot be read or is not one."""

    exit_code = 4


class DatabaseLockedError(DatabaseError):
    """Another engine replicates this database already; the message names its process."""

    exit_code = 5

    def __init__(self, database: Path, holder: str, more: str = "") -> None:
        self.holder = holder
        super().__init__(
            f"{database} is replicated already by litestream-tui, pid {holder}; stop that one first, or watch it "
            f"with litestream-tui attach{more}; with -wait, replicate waits for its end"
        )


class PausedError(DatabaseError):
    """The database was paused while something was done with it."""


class StorageError(ReplicationError):
    """The store did not do what it was asked.

    `throttled` is true when the store asked for fewer requests, so that the next try waits longer.
    """

    exit_code = 6
    throttled: bool = False


class AccessDeniedError(StorageError):
    """Wrong credentials, or credentials without permission."""

    exit_code = 7


class BucketNotFoundError(StorageError):
    """The bucket does not exist; the message says how to make it."""

    exit_code = 8


class PlaceLostError(StorageError):
    """Where the replica was there is nothing, or something else, such as the mount point of a disk that is away."""


class NotListedError(StorageError):
    """Listings go on leaving out what is there: nothing can be restored from it, whatever arrives."""


class ObjectNotFoundError(StorageError):
    """One object is not there."""

    exit_code = 11

    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"{name} is not in {where}")
        self.name = name


class ObjectExistsError(StorageError):
    """An object of this name is there already, and was left as it is."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"{name} is in {where} already, and is not written over")
        self.name = name


class LocalFileError(ReplicationError):
    """A local file or folder could not be written: disk full, read-only, no permission."""

    exit_code = 14


class NoRoomError(LocalFileError):
    """Something of ours would not fit on a disk, or take what is the application's; the message says how much."""


class InconclusiveError(ReplicationError):
    """A verification, or a search, could not be brought to its end: the message says why and what is not known."""

    exit_code = 18


class NotWellError(ReplicationError):
    """A check of health found trouble; the message says what is not well."""

    exit_code = 19


class EngineError(ReplicationError):
    """A running engine was asked for something, and its answer cannot be used."""

    exit_code = 20


class NoEngineError(EngineError):
    """No engine answers there: none runs, or it has ended."""


class NotAllowedError(EngineError):
    """The engine does not do that for this caller."""


class BusyError(EngineError):
    """The engine does as much as it can at once already."""


class NoJobError(EngineError):
    """The engine has no job of that id, or keeps it no longer."""


class QueryError(ReplicationError):
    """A query that SQLite refused, that would have written, or that was ended by one of its bounds."""

    exit_code = 21


class StatementError(QueryError):
    """SQLite refused the statement itself: a table that is not there, or a mistake in it."""


class BringBackError(ReplicationError):
    """Rows could not be brought back into a database, or were not to be; nothing was changed."""

    exit_code = 22


class RestoreError(ReplicationError):
    """A restore that could not be done; nothing was put in place."""

    exit_code = 15


class OutputExistsError(RestoreError):
    """The output path, or a WAL beside it, is taken."""

    exit_code = 9


class NoRestorePointError(RestoreError):
    """No such generation, index, time or position; the message says what there is."""

    exit_code = 10


class NoBackupError(NoRestorePointError):
    """Every replica was asked, and none holds anything at all."""


class UnprovenSnapshotError(NoRestorePointError):
    """A snapshot of Litestream may hold later commits than was asked for, and nothing proves that it does not."""


class MayBeOlderError(NoRestorePointError):
    """A snapshot of Litestream in an index may hold later commits than all that can be restored."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class ReplicaGapError(RestoreError):
    """The replica lacks an object that the restore needs."""

    exit_code = 11


class CorruptObjectError(RestoreError):
    """An object is truncated or damaged; the message names it."""

    exit_code = 12

    def __init__(self, name: str, why: str, remedy: str = "") -> None:
        super().__init__(f"{name} is damaged: {why}" + (f". {remedy}" if remedy else ""))
        self.name = name
        self.why = why
        self.remedy = remedy


class IntegrityCheckError(RestoreError):
    """SQLite's own check of the restored file failed, and it is not known whether the source fails it as well."""

    exit_code = 13


class RestoreCancelledError(RestoreError):
    """The user stopped the restore; what was written was removed."""

    exit_code = 16


class ReplicaDiffersError(RestoreError):
    """What was restored is whole, and is not what the source holds at the same commit."""

    exit_code = 17


def with_words(error: ReplicationError, before: str, after: str) -> ReplicationError:
    """An error of the same class whose message has something before and after it."""
    if isinstance(error, CorruptObjectError):
        return CorruptObjectError(error.name, error.why, f"{error.remedy} {after}".strip())
    if isinstance(error, MayBeOlderError):
        return MayBeOlderError(f"{before}{error} {after}", error.index)
    kind: type[ReplicationError] = StorageError if isinstance(error, ObjectNotFoundError) else type(error)
    return kind(f"{before}{error} {after}")
