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

from replication.errors import LocalFileError, OutputExistsError, RestoreError
from replication.nofollow import is_same, open_folder, open_plain, unlink
from replication.permissions import ACL, acl_of, mode_beside
from replication.restore.output import NO_LINKS, local_errors, sweep_unfinished
from replication.steps import reached

KEPT_NAMES_MAX = 100
"""Names tried for the old file before we give up."""
NAME_BYTES_MAX = 255
"""Bytes in a name where the file system does not say how many it takes."""
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
    """A context with the hidden file that becomes the kept one. Nothing of it is left at exit unless it got its name.

    Raises RestoreError at entry if another restore over the same database is under way, LocalFileError for whatever
    the file system refuses.
    """

    def __init__(self, live: Path) -> None:
        self._live = live
        self._temporary = f".{live.name}.keeping"
        self._folder = -1
        self._descriptor = -1
        self._kept: Path | None = None

    def __enter__(self) -> "Keeping":
        try:
            with local_errors(self._live):
                self._folder = open_folder(self._live.parent)
                for _ in range(_TRIES_MAX):
                    self._remove_dead()
                    if self._create():
                        return self
            raise self._another()
        except BaseException:
            self._close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            os.unlink(self._temporary, dir_fd=self._folder)
        self._close()

    def remove_fresh(self) -> None:
        """Remove what was restored for the live one, or what a killed process left of that.

        No other process uses it.
        """
        name = fresh_path(self._live).name
        with suppress(FileNotFoundError):
            unlink(self._folder, name)
        sweep_unfinished(self._folder, name)

    def copy(self, pieces: Iterable[bytes]) -> None:
        """Write the old database, and make it durable."""
        with local_errors(self._live.with_name(self._temporary)):
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            reached("replacement: old one copied")
            os.fsync(self._descriptor)
            reached("replacement: old one durable")

    def name(self, kept: Path) -> str:
        """Give the kept file its name, durably, and the live one's owner and permissions. Return a warning if it cannot
        get them.

        Raises OutputExistsError if the name was taken meanwhile.
        """
        with local_errors(kept):
            warning = self._dress(kept)
            names, folder = (self._temporary, kept.name), self._folder
            try:
                os.link(*names, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                raise _taken(kept) from None
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                # No hard links here: a look and a rename are the best there is.
                check_free_name(kept)
                os.rename(*names, src_dir_fd=folder, dst_dir_fd=folder)
            if not is_same(folder, kept.name, self._descriptor):
                raise LocalFileError(f"{kept} was exchanged by another program while it got its name. Try again.")
            self._kept = kept
            reached("replacement: old one named")
            with suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=folder)
            # Were the power lost, the live one could have its new content and the old one no name.
            os.fsync(folder)
        reached("replacement: old one kept")
        return warning

    def drop(self) -> None:
        """Remove the kept file: the live one still has all that it has."""
        if self._kept is not None:
            with suppress(OSError):
                os.unlink(self._kept.name, dir_fd=self._folder)

    def _remove_dead(self) -> None:
        """Remove what a killed process left: its lock is free."""
        try:
            # For reading: it may be the kept file's other name.
            left = open_plain(self._folder, self._temporary)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_same(self._folder, self._temporary, left):
                os.unlink(self._temporary, dir_fd=self._folder)
        except BlockingIOError:
            raise self._another() from None
        finally:
            os.close(left)

    def _create(self) -> bool:
        try:
            descriptor = open_plain(self._folder, self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, _KEPT_MODE)
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
        if not is_same(self._folder, self._temporary, descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _close(self) -> None:
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._folder = -1

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


def sweep_beside(live: Path) -> None:
    """Remove what a killed restore over `live` left beside it, unless another restore is at it."""
    real = Path(os.path.realpath(live))
    left = (fresh_path(real).name, f".{real.name}.keeping", f".{fresh_path(real).name}.restoring-")
    try:
        found = any(name.startswith(left) for name in os.listdir(real.parent))  # noqa: PTH208 (names alone)
    except OSError:
        return
    if found:
        with suppress(LocalFileError, RestoreError, OSError), Keeping(real) as keeping:
            keeping.remove_fresh()


def check_free_name(kept: Path) -> None:
    """Raise OutputExistsError if something has the name that the old database is to get."""
    if os.path.lexists(kept):
        raise _taken(kept)


def _taken(kept: Path) -> OutputExistsError:
    return OutputExistsError(f"{kept} exists already. Choose the restore again, and the old file gets another name.")
