"""A replica in a folder: one plain file per object, as Litestream's file replica keeps it.

Its promises: an object is there whole and durable or not at all, and nothing outside the root is ever touched, through
no link inside it (root.py). What goes wrong with the folder, a full disk included, is a StorageError, for it is the
store that failed.
"""

import builtins
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from replication.errors import ObjectExistsError, ObjectNotFoundError, StorageError
from replication.steps import reached
from replication.storage.base import (
    ObjectInfo,
    Storage,
    check_name,
    check_prefix,
    check_range,
    is_object_name,
)
from replication.storage.file.failures import mapped
from replication.storage.file.links import name_new
from replication.storage.file.root import Root
from replication.storage.file.times import written_by
from replication.storage.file.unfinished import DEPTH_MAX, TEMPORARY_SUFFIX, Unfinished
from replication.storage.location import DEFAULT_PERMISSIONS, FilePermissions

_READ_CHUNK_BYTES = 1 << 20
# A pipe in the place of an object must not make the reader wait for a writer.
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_Entries = list[tuple[str, bool, os.stat_result]]


class FileStorage(Storage):
    """A folder of this machine."""

    type = "file"

    def __init__(self, root: Path, permissions: FilePermissions = DEFAULT_PERMISSIONS) -> None:
        self.root = root
        self.address = f"file://{root}"
        self._root = Root(root, permissions)
        self._unfinished = Unfinished(self._root, permissions)

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
        self._unfinished.sweep(folders)
        with mapped("write", self.root, name):
            folder, temporary, file = self._unfinished.create(folders)
        reached("object: begun")
        size = 0
        try:
            with os.fdopen(file, "wb", buffering=0) as output:
                # What the chunks raise is the caller's own and passes as it is.
                for chunk in chunks:
                    with mapped("write", self.root, name):
                        _write_all(output.fileno(), chunk)
                    reached("object: partly written")
                    size += len(chunk)
                with mapped("write", self.root, name):
                    reached("object: written")
                    os.fsync(output.fileno())
            reached("object: durable")
            with mapped("write", self.root, name):
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
            with mapped("remove", self.root, name):
                try:
                    folder = self._root.open_below(folders)
                except FileNotFoundError:
                    continue
                try:
                    with suppress(FileNotFoundError):
                        os.unlink(base, dir_fd=folder)
                        reached("object: removed")
                finally:
                    os.close(folder)
            self._root.remove_empty(folders)

    def check_place(self) -> None:
        with mapped("read", self.root, ""):
            self._root.check()

    def accept_place(self) -> None:
        self._root.accept()

    def _read(self, name: str, offset: int, length: int | None) -> Iterator[bytes]:
        *folders, base = name.split("/")
        with mapped("read", self.root, name):
            try:
                folder = self._root.open_below(folders)
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
                with mapped("read", self.root, name):
                    chunk = os.pread(file, min(_READ_CHUNK_BYTES, end - offset), offset)
                if not chunk:
                    raise StorageError(f"{self._path(name)} became shorter while it was read, at byte {offset}")
                yield chunk
                offset += len(chunk)
        finally:
            os.close(file)

    def _walk(self, prefix: str) -> Iterator[ObjectInfo]:
        if prefix.count("/") > DEPTH_MAX:
            return
        # A folder sorts as its name with the slash that follows it in the names of its objects.
        for name, is_folder, status in sorted(
            self._entries(prefix), key=lambda entry: entry[0] + "/" if entry[1] else entry[0]
        ):
            if is_folder:
                yield from self._walk(f"{prefix}{name}/")
            else:
                yield ObjectInfo(prefix + name, status.st_size, written_by(status.st_mtime_ns))

    def _entries(self, prefix: str) -> _Entries:
        """Plain files and folders right below a folder, without links, leftovers and impossible names."""
        return [
            (name, stat.S_ISDIR(status.st_mode), status) for name, status in self._scan(prefix) if _plain(name, status)
        ]

    def _strange(self, prefix: str) -> builtins.list[str]:
        """The names right below a folder that `_entries` leaves out."""
        return [name for name, status in self._scan(prefix) if not _plain(name, status)]

    def _scan(self, prefix: str) -> builtins.list[tuple[str, os.stat_result]]:
        """Everything right below a folder, except unfinished writes."""
        found: builtins.list[tuple[str, os.stat_result]] = []
        with mapped("list", self.root, prefix):
            try:
                folder = self._root.open_below(prefix.split("/")[:-1])
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

    def _name_new(self, temporary: str, base: str, folder: int, name: str) -> None:
        try:
            name_new(temporary, base, folder)
        except FileExistsError:
            raise ObjectExistsError(name, self.address) from None

    def _path(self, name: str) -> str:
        return str(self.root / name)


def _plain(name: str, status: os.stat_result) -> bool:
    """True for plain files and folders, of which a replica consists."""
    return is_object_name(name) and (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode))


def _write_all(file: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(file, view) :]
