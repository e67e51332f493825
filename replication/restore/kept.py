"""The old database, kept beside the live one before that gets another content.

Its promise: the kept file is there whole and durable or not at all, it is a file of its own and no name of the live
one, and nobody may read it who may not read that. Until it has its name it is hidden, and locked, so that what a
killed process left is told from what a living one makes; the lock also keeps a second restore over the same database
away. It leaves to the caller that the pieces do not change while they are copied.
"""

import fcntl
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from replication.errors import OutputExistsError, RestoreError
from replication.permissions import ACL, acl_of, mode_beside
from replication.restore.output import NO_LINKS, local_errors, sync_folder
from replication.steps import reached

KEPT_NAMES_MAX = 100
"""Names tried for the old file before we give up."""
NAME_BYTES_MAX = 255
"""Where the file system does not tell."""
SQLITE_PATH_BYTES_MAX = 512
"""SQLite on Unix opens no longer path, with the longest suffix that it may need."""
_SUFFIX_BYTES = len("-journal")
_TRIES_MAX = 10
_KEPT_MODE = 0o600


def kept_path(live: Path, now: datetime) -> Path:
    """The name that the old database gets at `now`: free, beside it, and saying what it is.

    Raises RestoreError if the name of `live` leaves no room for it, OutputExistsError if too many are there.
    """
    real = Path(os.path.realpath(live))
    stem = f"{real.name}.before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    for number in range(1, KEPT_NAMES_MAX + 1):
        kept = real.with_name(stem if number == 1 else f"{stem}-{number}")
        check_names(real, kept)
        if not os.path.lexists(kept):
            return kept
    raise OutputExistsError(f"{real.with_name(stem)} and its like are all taken. Move old copies away, and try again.")


def fresh_path(live: Path) -> Path:
    """Where the restored file is until its content is in `live`: one name, so that no leftover stays for ever."""
    return live.with_name(f".{live.name}.replacement")


def check_names(live: Path, kept: Path) -> None:
    """Raise RestoreError if a name that is needed for replacing `live` would be too long."""
    try:
        longest = os.pathconf(live.parent, "PC_NAME_MAX")
    except (OSError, ValueError):
        longest = NAME_BYTES_MAX
    for path in (kept, fresh_path(live)):
        over = max(
            len(os.fsencode(path.name)) + _SUFFIX_BYTES - longest,
            len(os.fsencode(path)) + _SUFFIX_BYTES - SQLITE_PATH_BYTES_MAX,
        )
        if over > 0:
            more = len(os.fsencode(path.name)) - len(os.fsencode(live.name)) + _SUFFIX_BYTES
            raise RestoreError(
                f"The database's name is too long by {over} bytes: a file beside it, and SQLite's own for that, need "
                f"{more} bytes more. Restore to a new file with a shorter name instead; nothing was changed. "
                f"It is {live}"
            )


class Keeping:
    """A context: the hidden file that becomes the kept one; nothing of it is left at exit unless it got its name.

    Raises RestoreError at entry if another restore over the same database is under way, LocalFileError for whatever
    the file system refuses.
    """

    def __init__(self, live: Path) -> None:
        self._live = live
        self._temporary = live.with_name(f".{live.name}.keeping")
        self._descriptor = -1
        self._kept: Path | None = None

    def __enter__(self) -> "Keeping":
        with local_errors(self._live):
            for _ in range(_TRIES_MAX):
                self._remove_dead()
                if self._create():
                    return self
        raise self._another()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._temporary.unlink()
        os.close(self._descriptor)

    def copy(self, pieces: Iterable[bytes]) -> None:
        """Write the old database, and make it durable."""
        with local_errors(self._temporary):
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            reached("replacement: old one copied")
            os.fsync(self._descriptor)
            reached("replacement: old one durable")

    def name(self, kept: Path) -> str:
        """Give it its name, durably, and the live one's owner and permissions; a warning if that cannot be.

        Raises OutputExistsError if the name was taken meanwhile.
        """
        with local_errors(kept):
            warning = self._dress(kept)
            try:
                os.link(self._temporary, kept, follow_symlinks=False)
            except FileExistsError:
                raise _taken(kept) from None
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                # No hard links here: a look and a rename are the best there is.
                check_free_name(kept)
                self._temporary.rename(kept)
            self._kept = kept
            reached("replacement: old one named")
            with suppress(FileNotFoundError):
                self._temporary.unlink()
            # Were the power lost, the live one could have its new content and the old one no name.
            sync_folder(kept.parent)
        reached("replacement: old one kept")
        return warning

    def drop(self) -> None:
        """Remove the kept file: the live one still has all that it has."""
        if self._kept is not None:
            with suppress(OSError):
                self._kept.unlink()

    def _remove_dead(self) -> None:
        """Remove what a killed process left: its lock is free."""
        try:
            left = os.open(self._temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may be the kept file's other name, so that it is never written to again.
            if self._is(left):
                self._temporary.unlink()
        except BlockingIOError:
            raise self._another() from None
        finally:
            os.close(left)

    def _create(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._temporary, flags, _KEPT_MODE)
        except FileExistsError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            # No locks here: the exclusive creation must do.
            pass
        # Another restore may have taken the new file for a dead one before the lock was held.
        if not self._is(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _is(self, descriptor: int) -> bool:
        with suppress(FileNotFoundError):
            found, own = self._temporary.lstat(), os.fstat(descriptor)
            return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
        return False

    def _another(self) -> RestoreError:
        return RestoreError(
            f"Another restore over {self._live} is under way. Wait until it has ended, then try again; nothing was "
            "changed."
        )

    def _dress(self, kept: Path) -> str:
        """The owner, the permission bits and the access list of the live file for the kept one."""
        live, file = self._live.stat(), self._descriptor
        for uid, gid in ((live.st_uid, live.st_gid), (-1, live.st_gid)):
            with suppress(OSError):
                os.fchown(file, uid, gid)
                break
        own = os.fstat(file)
        if own.st_gid != live.st_gid:
            return f"{kept} can be read by its owner alone: the group of the live file could not be given to it."
        mode = mode_beside(self._live)
        os.fchmod(file, mode)
        with suppress(OSError):
            acl = acl_of(self._live)
            if acl is not None:
                os.setxattr(file, ACL, acl)
                os.fchmod(file, stat.S_IMODE(live.st_mode))
        if own.st_uid != live.st_uid:
            return f"{kept} belongs to another user than the live file: its owner could not be given to it."
        return ""


def check_free_name(kept: Path) -> None:
    """Raise OutputExistsError if something has the name that the old database is to get."""
    if os.path.lexists(kept):
        raise _taken(kept)


def _taken(kept: Path) -> OutputExistsError:
    return OutputExistsError(f"{kept} exists already. Choose the restore again, and the old file gets another name.")
