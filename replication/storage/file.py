"""A replica in a folder: one plain file per object, as Litestream's file replica keeps it.

Its promises: an object is there whole and durable or not at all, and nothing outside
the root is ever touched.
Below the root no symbolic link is followed: every folder is opened from the one above it. As root, a link of another
user on the way to it leads only to that user's own folders, and what is given to an owner is what is open.
A root that was written to is never made anew, nor exchanged for another folder: that may be an empty mount point.
What goes wrong with the folder, a full disk included, is a StorageError, for it is the store that failed.
"""

import builtins
import errno
import fcntl
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from replication.errors import ObjectExistsError, ObjectNotFoundError, PlaceLostError, StorageError
from replication.nofollow import FOLDER_FLAGS, make_folder, open_folder, open_nearest, open_plain, opened
from replication.steps import reached
from replication.storage.base import (
    ObjectInfo,
    Storage,
    check_name,
    check_prefix,
    check_range,
    is_object_name,
)
from replication.storage.links import name_new

TEMPORARY_SUFFIX = ".tmp"
"""The end of the names of unfinished writes, ours and Litestream's; no listing shows them."""

_OUR_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")
_READ_CHUNK_BYTES = 1 << 20
_DEPTH_MAX = 32
"""Folders nested deeper than this below the root are not looked into: a replica has four levels."""
_MAKE_TRIES_MAX = 10
"""How often a folder is made anew when another thread's delete removes it, empty, at the same moment."""
_LEFTOVER_AGE_SECONDS_MIN = 60
"""An unfinished write younger than this is left alone: it may be about to take its lock."""
_SWEEP_SECONDS = 3600.0
"""Between two looks for unfinished writes of processes that died."""
_SWEPT_FOLDERS_MAX = 1000
_STEP_FLAGS = FOLDER_FLAGS | os.O_NOFOLLOW
# A pipe in the place of an object must not make the reader wait for a writer.
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_Entries = list[tuple[str, bool, os.stat_result]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied; give this user read and write access",
    errno.EPERM: "permission denied; give this user read and write access",
    errno.ELOOP: "a symbolic link stands in the way, and none is followed inside a replica",
    errno.ENOTDIR: "a file or symbolic link stands where a folder should be",
    errno.EMFILE: "too many open files in this process",
}


@dataclass(frozen=True, slots=True)
class FilePermissions:
    """Mode and owner of what is written, under the umask; an owner that cannot be set is left as it is."""

    file_mode: int = 0o600
    folder_mode: int = 0o700
    uid: int = -1
    gid: int = -1


class FileStorage(Storage):
    """A folder of this machine. Its lock covers only the note of when which folders are swept of leftovers."""

    type = "file"

    def __init__(self, root: Path, permissions: FilePermissions = FilePermissions()) -> None:
        self.root = root
        self.address = f"file://{root}"
        self._permissions = permissions
        self._home: tuple[int, int] | None = None
        """Device and inode of the root that was written to."""
        self._reached: tuple[int, int] | None = None
        """The same of the root that was last reached through no link of a stranger: it is known again by them."""
        self._lock = threading.Lock()
        self._swept: dict[str, float] = {}

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._walk(check_prefix(prefix))

    def folders(self, prefix: str) -> builtins.list[str]:
        check_prefix(prefix)
        found = [name for name, is_folder, _ in self._entries(prefix) if is_folder]
        return sorted(name for name in found if any(True for _ in self._walk(f"{prefix}{name}/")))

    def passed_over(self, prefix: str) -> builtins.list[str]:
        check_prefix(prefix)
        return sorted(prefix + name for name in self._strange(prefix))

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        *folders, base = check_name(name).split("/")
        if base.endswith(TEMPORARY_SUFFIX):
            raise ValueError(f"{name!r} is the name of an unfinished write")
        folder, temporary, file = self._create_temporary(folders, name)
        reached("object: begun")
        size = 0
        try:
            with os.fdopen(file, "wb", buffering=0) as output:
                # What the chunks raise is the caller's own and passes as it is.
                for chunk in chunks:
                    with self._mapped("write", name):
                        _write_all(output.fileno(), chunk)
                    reached("object: partly written")
                    size += len(chunk)
                with self._mapped("write", name):
                    reached("object: written")
                    os.fsync(output.fileno())
            reached("object: durable")
            with self._mapped("write", name):
                if create:
                    self._name_new(temporary, base, folder, name)
                else:
                    os.rename(temporary, base, src_dir_fd=folder, dst_dir_fd=folder)
                reached("object: named")
                if create:
                    with suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=folder)
                temporary = ""
                os.fsync(folder)
                reached("object: stored")
        finally:
            if temporary:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
            os.close(folder)
        return size

    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        check_range(offset, length)
        return self._read(check_name(name), offset, length)

    def delete(self, names: Iterable[str]) -> None:
        for name in [check_name(name) for name in names]:
            *folders, base = name.split("/")
            with self._mapped("remove", name):
                try:
                    folder = self._open_folder(folders)
                except FileNotFoundError:
                    continue
                try:
                    with suppress(FileNotFoundError):
                        os.unlink(base, dir_fd=folder)
                        reached("object: removed")
                finally:
                    os.close(folder)
            self._remove_empty(folders)

    def check_place(self) -> None:
        if self._home is not None:
            with self._mapped("read", ""):
                os.close(self._open_home())

    def accept_place(self) -> None:
        self._home = None

    def _read(self, name: str, offset: int, length: int | None) -> Iterator[bytes]:
        *folders, base = name.split("/")
        with self._mapped("read", name):
            try:
                folder = self._open_folder(folders)
                try:
                    file = os.open(base, _READ_FLAGS, dir_fd=folder)
                finally:
                    os.close(folder)
            except FileNotFoundError:
                raise ObjectNotFoundError(name, self.address) from None
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise StorageError(f"cannot read {self._path(name)}: it is not a plain file")
            end = status.st_size if length is None else min(status.st_size, offset + length)
            while offset < end:
                with self._mapped("read", name):
                    chunk = os.pread(file, min(_READ_CHUNK_BYTES, end - offset), offset)
                if not chunk:
                    raise StorageError(f"{self._path(name)} became shorter while it was read, at byte {offset}")
                yield chunk
                offset += len(chunk)
        finally:
            os.close(file)

    def _walk(self, prefix: str) -> Iterator[ObjectInfo]:
        if prefix.count("/") > _DEPTH_MAX:
            return
        # A folder sorts as its name with the slash that follows it in the names of its objects.
        for name, is_folder, status in sorted(
            self._entries(prefix), key=lambda entry: entry[0] + "/" if entry[1] else entry[0]
        ):
            if is_folder:
                yield from self._walk(f"{prefix}{name}/")
            else:
                modified = _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
                yield ObjectInfo(prefix + name, status.st_size, modified)

    def _entries(self, prefix: str) -> _Entries:
        """Plain files and folders right below a folder, without links, leftovers and impossible names."""
        return [
            (name, stat.S_ISDIR(status.st_mode), status) for name, status in self._scan(prefix) if _plain(name, status)
        ]

    def _strange(self, prefix: str) -> builtins.list[str]:
        """The names right below a folder that `_entries` leaves out."""
        return [name for name, status in self._scan(prefix) if not _plain(name, status)]

    def _scan(self, prefix: str) -> builtins.list[tuple[str, os.stat_result]]:
        """Whatever is right below a folder, but for unfinished writes."""
        found: builtins.list[tuple[str, os.stat_result]] = []
        with self._mapped("list", prefix):
            try:
                folder = self._open_folder(prefix.split("/")[:-1])
            except FileNotFoundError:
                return found
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name.endswith(TEMPORARY_SUFFIX):
                            continue
                        with suppress(FileNotFoundError):
                            found.append((entry.name, entry.stat(follow_symlinks=False)))
            finally:
                os.close(folder)
        return found

    def _create_temporary(self, folders: Sequence[str], name: str) -> tuple[int, str, int]:
        """Descriptor of the folder, made if need be; name and descriptor of a new locked file in it."""
        temporary = f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._sweep(folders)
        with self._mapped("write", name):
            for remaining in reversed(range(_MAKE_TRIES_MAX)):
                try:
                    folder = self._make_folder(folders)
                except FileNotFoundError:
                    if not remaining:
                        raise
                    continue
                try:
                    file = os.open(temporary, flags, self._permissions.file_mode, dir_fd=folder)
                    break
                except FileNotFoundError:
                    os.close(folder)
                    if not remaining:
                        raise
                except BaseException:
                    os.close(folder)
                    raise
            with suppress(OSError):
                # The lock tells a later run that this write is alive; some network folders have no locks.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):
                os.fchown(file, self._permissions.uid, self._permissions.gid)
        return folder, temporary, file

    def _open_folder(self, parts: Sequence[str]) -> int:
        """A descriptor of a folder below the root; raises OSError."""
        folder = self._open_root()
        for part in parts:
            folder = _step(folder, part)
        return folder

    def _make_folder(self, parts: Sequence[str]) -> int:
        """As `_open_folder`, making what is missing so that it outlives a power cut."""
        folder = self._make_root() if self._home is None else self._open_home()
        for part in parts:
            folder = self._make_step(folder, part)
        return folder

    def _make_step(self, folder: int, part: str) -> int:
        """As `_step`, making the folder if it is missing, so that it outlives a power cut."""
        try:
            with suppress(FileNotFoundError):
                return os.open(part, _STEP_FLAGS, dir_fd=folder)
            return self._make_below(folder, part, "object: folder made")
        finally:
            os.close(folder)

    def _make_below(self, folder: int, name: str, step: str = "") -> int:
        """A descriptor of a folder of an open folder, made durably if it is missing; `step` is reached if it was."""
        own = self._permissions
        below, made = make_folder(folder, name, own.folder_mode, own.uid, own.gid)
        try:
            if made:
                if step:
                    reached(step)
                os.fsync(folder)
        except BaseException:
            os.close(below)
            raise
        return below

    def _open_root(self) -> int:
        """A descriptor of the root, whichever folder that is now; raises OSError."""
        if self._reached is not None:
            root = os.open(self.root, FOLDER_FLAGS)
            if _place(root) == self._reached:
                return root
            os.close(root)
        root = open_folder(self.root)
        self._reached = _place(root)
        return root

    def _open_home(self) -> int:
        """A descriptor of the root that was written to before."""
        try:
            # Known by what it is: however the path leads there, it is no other.
            root = os.open(self.root, FOLDER_FLAGS)
        except FileNotFoundError:
            raise self._lost() from None
        return self._checked(root)

    def _make_root(self) -> int:
        """A descriptor of the root, made if need be with all that is missing above it, and remembered."""
        root, missing = open_nearest(self.root)
        for name in missing:
            with opened(root) as above:
                root = self._make_below(above, name)
        with self._lock:
            if self._home is None:
                self._home = self._reached = _place(root)
        return self._checked(root)

    def _checked(self, root: int) -> int:
        if _place(root) == self._home:
            return root
        os.close(root)
        raise self._lost()

    def _lost(self) -> PlaceLostError:
        return PlaceLostError(
            f"{self.root} is not the folder that was replicated to before: its disk is not mounted, or it was removed "
            "or replaced. Bring it back and replication goes on; to begin anew in an empty folder, restart"
        )

    def _remove_empty(self, folders: Sequence[str]) -> None:
        """Remove folders that a delete left empty, so that a generation without objects is gone."""
        for depth in range(len(folders), 0, -1):
            try:
                parent = self._open_folder(folders[: depth - 1])
            except OSError:
                return
            try:
                os.rmdir(folders[depth - 1], dir_fd=parent)
            except OSError:
                return
            finally:
                os.close(parent)

    def _sweep(self, folders: Sequence[str]) -> None:
        """Once in a while: remove unfinished writes of processes that died, whose locks are free.

        Everywhere, for nothing is written any more to the folders of a generation that ended with such a process.
        """
        top = builtins.list(folders[:1])
        key, now = "/".join(top), time.monotonic()
        with self._lock:
            if now < self._swept.get(key, 0.0) or len(self._swept) >= _SWEPT_FOLDERS_MAX:
                return
            self._swept[key] = now + _SWEEP_SECONDS
        with suppress(OSError):
            root = self._open_folder(top)
            emptied = []
            try:
                for path, below, names, folder in os.fwalk(".", dir_fd=root):
                    if path.count("/") >= _DEPTH_MAX:
                        below.clear()
                    dead = [name for name in names if _OUR_TEMPORARY.fullmatch(name) and _remove_if_dead(name, folder)]
                    if dead:
                        emptied.append([*top, *path.split("/")[1:]])
            finally:
                os.close(root)
            for path_of_folder in emptied:
                self._remove_empty(path_of_folder)

    def _name_new(self, temporary: str, base: str, folder: int, name: str) -> None:
        try:
            name_new(temporary, base, folder)
        except FileExistsError:
            raise ObjectExistsError(name, self.address) from None

    def _path(self, name: str) -> str:
        return str(self.root / name)

    @contextmanager
    def _mapped(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror
            if reason == os.strerror(error.errno or 0):
                # It says no more than its number.
                reason = _REASONS.get(error.errno or 0, reason)
            raise StorageError(f"cannot {verb} {self._path(name)}: {reason or type(error).__name__}") from None


def _plain(name: str, status: os.stat_result) -> bool:
    """True for what a replica consists of."""
    return is_object_name(name) and (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode))


def _place(folder: int) -> tuple[int, int]:
    """Device and inode of an open folder."""
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


def _step(folder: int, part: str) -> int:
    """Go from an open folder into one of its folders; the first is closed whatever happens."""
    try:
        return os.open(part, _STEP_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)


def _remove_if_dead(name: str, folder: int) -> bool:
    """Remove an unfinished write that is old and whose lock is free; True if it was removed."""
    with suppress(OSError):
        age = time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
        if age >= _LEFTOVER_AGE_SECONDS_MIN:
            file = open_plain(folder, name)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=folder)
                return True
            finally:
                os.close(file)
    return False


def _write_all(file: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(file, view) :]
