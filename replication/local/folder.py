"""The local folder of one database: the one place that reaches its files, whose names are in files.py.

    <meta>/generation, generations/           Litestream 0.3's own layout: see shadow_wal.py
    <meta>/litestream-tui.*                   private files, each for its owner alone
    <meta>/litestream-tui-validate-XXXXXXXX/  what is restored to be compared

Often another user owns the folder that it lies in, and we may be root. Its promise: every file is reached from the
open folder, one name at a time, through no link; what is not a plain file is not opened, what has another name is not
written to, and only files that are ours by their exact name are removed. A private file is written whole or not at
all, with mode 0600 whatever the umask. It leaves to the caller what the files hold, and what to do about an OSError.
"""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from replication.errors import LocalFileError
from replication.local.files import (
    DURABLE_NAMES,
    GENERATION_NAME,
    GENERATIONS_NAME,
    PAGES_PREFIX,
    PRIVATE_NAMES,
    STATUS_NAME,
    VALIDATION_PREFIX,
)
from replication.nofollow import (
    FILE_FLAGS,
    FOLDER_FLAGS,
    give,
    kind,
    make_folder,
    open_below,
    open_folder,
    open_nearest,
    open_plain,
    opened,
    read_plain,
    remove_tree,
    unlink,
    write_whole,
)
from replication.permissions import Ownership
from replication.steps import reached

PRIVATE_BYTES_MAX = 1 << 20
"""A private file larger than this is none of ours."""
_TEMPORARY = ".tmp"
_TEMPORARIES = (f"{GENERATION_NAME}{_TEMPORARY}", *(f"{name}{_TEMPORARY}" for name in PRIVATE_NAMES))
_BEFORE = (f"{STATUS_NAME}.new",)
"""Names of files that an earlier version left."""
_PAGES = re.compile(re.escape(PAGES_PREFIX) + r"[0-9a-f]{16}\.tmp")
_LITESTREAM = (GENERATION_NAME, GENERATIONS_NAME, "ltx")
"""Names by which a folder is known as one of Litestream 0.3 or 0.5, which we go on with."""
_NOT_ANYBODYS = re.compile(r"lost\+found|\.nfs[0-9a-f]+")
"""Names that a file system puts into an empty folder."""
_PRIVATE_MODE = 0o600
_PRIVATE = Ownership()
_KNOWN_MAX = 4
"""Files of one folder whose identity is kept: the index in use, and the one that is uploaded."""


class LocalFolder:
    """The folder at `path`, which need not exist. May be used by any thread; no descriptor is kept.

    All its methods raise OSError.
    """

    def __init__(self, path: Path, ownership: Ownership = _PRIVATE) -> None:
        self.path = path
        self.ownership = ownership
        self._identity: tuple[int, int] | None = None
        """Device and inode of the folder that was reached without a stranger's link."""
        self._known: dict[tuple[str, ...], tuple[int, int]] = {}
        """Device and inode of files in it, so that the next time one open and one fstat are enough."""

    def open(self) -> int:
        """A descriptor of the folder itself."""
        if self._identity is not None:
            folder = os.open(self.path, FOLDER_FLAGS)
            if _identity(os.fstat(folder)) == self._identity:
                return folder
            os.close(folder)
        folder = open_folder(self.path)
        self._identity = _identity(os.fstat(folder))
        return folder

    @contextmanager
    def below(self, *parts: str) -> Iterator[int]:
        """A descriptor of a folder below this one, for a block."""
        folder, where = self.open(), self.path
        try:
            for part in parts:
                above, folder = folder, open_below(folder, part)
                os.close(above)
                where /= part
            yield folder
        except OSError as error:
            # By its descriptor the folder has no name.
            if isinstance(error.filename, str) and not error.filename.startswith("/"):
                error.filename = str(where / error.filename)
            raise
        finally:
            os.close(folder)

    def make(self, *parts: str) -> None:
        """Make a folder below this one, or this one, durably, with all that is missing above it."""
        folder = self._make()
        for part in parts:
            with opened(folder) as above:
                folder = self._make_below(above, part, self.ownership)
        os.close(folder)

    def check(self) -> None:
        """Raise LocalFileError if this folder is not ours to use, or something stands in the place of our files.

        It is ours if it is not there, is empty, or holds what we or Litestream left.
        """
        try:
            with self.below() as folder, os.scandir(folder) as entries:
                found = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
        except FileNotFoundError:
            return
        for name, status in found.items():
            plain = stat.S_ISDIR if name == GENERATIONS_NAME else stat.S_ISREG
            ours = name in (GENERATION_NAME, GENERATIONS_NAME, *PRIVATE_NAMES)
            if ours and not plain(status.st_mode):
                wanted = "a folder" if name == GENERATIONS_NAME else "a plain file"
                raise LocalFileError(
                    f"{self.path / name} is {kind(status)} where {wanted} of litestream-tui should be. Nothing is "
                    "written to it or through it: find out who put it there, and remove it"
                )
        strange = [name for name in found if not _NOT_ANYBODYS.fullmatch(name) and not _is_ours(name)]
        if strange and not any(name in found for name in (*_LITESTREAM, *PRIVATE_NAMES)):
            raise LocalFileError(
                f"the local folder {self.path} holds {len(strange)} files or folders that are not litestream-tui's, "
                f"{min(strange)!r} among them, and nothing of its own. Name an empty folder, or one that does not "
                "exist yet, with meta-path"
            )

    def sweep(self) -> None:
        """Remove what a crash left half written: for the holder of the engine lock, for others may be writing."""
        with self.below() as folder:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
            for name in names:
                if name in _TEMPORARIES or name in _BEFORE or _PAGES.fullmatch(name):
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)

    def open_file(self, *parts: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of a plain file that exists."""
        known = self._known.get(parts)
        if known is not None:
            # What was reached safely once is known again by its identity, however the path leads there.
            with suppress(OSError):
                file = os.open(f"{self.path}/{'/'.join(parts)}", flags | FILE_FLAGS)
                status = os.fstat(file)
                if _identity(status) == known and status.st_nlink == 1:
                    return file
                os.close(file)
        with self.below(*parts[:-1]) as folder:
            file = open_plain(folder, parts[-1], flags)
        self._remember(parts, file)
        return file

    def create_file(self, *parts: str) -> int:
        """A descriptor for reading and writing a file that Litestream shares, made if it does not exist."""
        with suppress(FileNotFoundError):
            return self.open_file(*parts, flags=os.O_RDWR)
        own = self.ownership
        with self.below(*parts[:-1]) as folder:
            file = open_plain(folder, parts[-1], os.O_RDWR | os.O_CREAT | os.O_EXCL, own.file_mode)
        give(file, own.uid, own.gid)
        self._remember(parts, file)
        return file

    def open_private(self, name: str, flags: int) -> int:
        """A descriptor of a private file that is written in place. Its mode becomes 0600, whatever it was."""
        with self.below() as folder:
            file = open_plain(folder, name, flags, _PRIVATE_MODE)
        if flags & os.O_ACCMODE != os.O_RDONLY and stat.S_IMODE(os.fstat(file).st_mode) != _PRIVATE_MODE:
            with suppress(OSError):
                os.fchmod(file, _PRIVATE_MODE)
        return file

    def read(self, name: str) -> bytes:
        """The content of a file at the top of the folder."""
        with self.below() as folder:
            data = read_plain(folder, name, PRIVATE_BYTES_MAX + 1)
        if len(data) > PRIVATE_BYTES_MAX:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(self.path / name))
        return data

    def write(self, name: str, data: bytes, written: str = "", named: str = "") -> None:
        """Give a file at the top of the folder this content, whole or not at all; `written` and `named` are crash steps
        (replication/steps.py).

        What is not durable may be gone after a power cut, or the file before be back.
        """
        shared, durable = name == GENERATION_NAME, name in DURABLE_NAMES
        mode, own = (self.ownership.file_mode if shared else _PRIVATE_MODE), self.ownership
        temporary = f"{name}{_TEMPORARY}"
        with self.below() as folder:
            file = write_whole(folder, temporary, data, mode, *((own.uid, own.gid) if shared else ()))
            with opened(file):
                if not shared:
                    # Whatever the umask.
                    os.fchmod(file, mode)
                if durable:
                    os.fsync(file)
            if written:
                reached(written)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            if named:
                reached(named)
            if durable:
                os.fsync(folder)

    def remove(self, *parts: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError), self.below(*parts[:-1]) as folder:
            unlink(folder, parts[-1])
        self._known.pop(parts, None)

    def remove_folder(self, *parts: str) -> None:
        """Remove a folder with all that is in it."""
        with self.below(*parts[:-1]) as folder:
            remove_tree(folder, parts[-1])

    def entries(self, *parts: str) -> dict[str, os.stat_result]:
        """What is in a folder: names and what they are, links not followed; nothing if it does not exist."""
        found: dict[str, os.stat_result] = {}
        with suppress(FileNotFoundError), self.below(*parts) as folder, os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
        return found

    def names(self, *parts: str) -> list[str]:
        """The names in a folder; none if it does not exist."""
        with suppress(FileNotFoundError), self.below(*parts) as folder:
            return os.listdir(folder)  # noqa: PTH208 (a descriptor)
        return []

    def fsync(self, *parts: str) -> None:
        """Make the names in a folder durable."""
        with self.below(*parts) as folder:
            os.fsync(folder)

    def nameless(self) -> int:
        """A descriptor of a new private file that has no name, and goes with the process."""
        with self.below() as folder:
            if hasattr(os, "O_TMPFILE"):
                with suppress(OSError):
                    return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _PRIVATE_MODE, dir_fd=folder)
            # Where it has a name for a moment, the next start removes what a kill leaves.
            name = f"{PAGES_PREFIX}{secrets.token_hex(8)}{_TEMPORARY}"
            file = open_plain(folder, name, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE)
            os.unlink(name, dir_fd=folder)
            return file

    def _remember(self, parts: tuple[str, ...], file: int) -> None:
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[parts] = _identity(os.fstat(file))

    def _make(self) -> int:
        """A descriptor of this folder, made if need be with all that is missing above it."""
        try:
            return self.open()
        except FileNotFoundError:
            folder, missing = open_nearest(self.path)
        for left, name in zip(reversed(range(len(missing))), missing, strict=True):
            with opened(folder) as above:
                # Folders above it belong to the user who runs us.
                folder = self._make_below(above, name, None if left else self.ownership)
        if self._identity is None:
            self._identity = _identity(os.fstat(folder))
        return folder

    def _make_below(self, above: int, name: str, own: Ownership | None) -> int:
        folder, made = make_folder(above, name, own.folder_mode if own else 0o777, *((own.uid, own.gid) if own else ()))
        if made:
            # However often files below it are synced: without the name of the folder they are lost.
            with suppress(PermissionError):
                os.fsync(above)
        return folder


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file of a local folder, whether or not it exists."""

    folder: LocalFolder
    parts: tuple[str, ...]

    @classmethod
    def at(cls, path: Path) -> "LocalFile":
        """A file by its path, in a folder that is not a local folder."""
        return cls(LocalFolder(path.parent), (path.name,))

    def __str__(self) -> str:
        return str(self.folder.path.joinpath(*self.parts))

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor for reading, for a block. Raises OSError, with the path."""
        try:
            file = self.folder.open_file(*self.parts)
        except OSError as error:
            # Raised by OSError, which chooses the class by the number.
            raise OSError(error.errno, error.strerror, str(self)) from None
        with opened(file):
            yield file


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_ours(name: str) -> bool:
    return (
        name in (*PRIVATE_NAMES, *_TEMPORARIES, *_BEFORE)
        or _PAGES.fullmatch(name) is not None
        or name.startswith(VALIDATION_PREFIX)
    )
