"""The shadow WAL: our local copy of committed frames, one file per index, in Litestream 0.3's own layout.

    <meta>/generation                            16 hex digits and a newline
    <meta>/generations/<GENERATION>/wal/<INDEX>.wal    WAL header and committed frames

It promises that what `end` says is there is there whole; what lies beyond it in a file may be a torn write,
and is written over. It knows nothing of SQLite's locks or of replicas.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from replication.errors import LocalFileError
from replication.permissions import mode_beside
from replication.position import is_generation
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.steps import reached
from replication.storage.names import parse_shadow


class ShadowLostError(Exception):
    """A file of the shadow WAL was removed or cut while it was written to."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Mode and owner of what we make: files as the database, folders as the folder it is in."""

    file_mode: int = 0o600
    folder_mode: int = 0o700
    uid: int = -1
    gid: int = -1

    @classmethod
    def of(cls, database: Path) -> "Ownership":
        """The ownership that fits beside `database`, which exists."""
        file = database.stat()
        return cls(mode_beside(database) & 0o777, mode_beside(database.parent), file.st_uid, file.st_gid)


class ShadowWAL:
    """The files below one meta folder. Appends come from one thread; reading and removing may come from others."""

    def __init__(self, meta_path: Path, ownership: Ownership) -> None:
        self.meta_path = meta_path
        self._ownership = ownership

    def make(self) -> None:
        """Make the meta folder."""
        try:
            self._make_folder(self.meta_path)
        except PermissionError:
            above = next(folder for folder in self.meta_path.parents if folder.is_dir())
            raise LocalFileError(
                f"cannot write the shadow WAL at {self.meta_path}: Permission denied: nothing may be made in {above}; "
                "give this user write permission there, or name another folder with meta-path"
            ) from None
        except OSError as error:
            with _local_errors(self.meta_path):
                raise error from None

    def sweep(self) -> None:
        """Remove what a crash left half written: for the holder of the engine lock, for others may be writing."""
        with _local_errors(self.meta_path):
            for leftover in self.meta_path.rglob("*.tmp"):
                leftover.unlink(missing_ok=True)

    def current_generation(self) -> str | None:
        """The generation in use, or None."""
        with _local_errors(self.meta_path):
            try:
                name = (self.meta_path / "generation").read_text(errors="replace").strip()
            except FileNotFoundError:
                return None
            return name if is_generation(name) else None

    def make_generation(self, generation: str) -> None:
        """Make the folder of a generation, which is not in use by that."""
        with _local_errors(self.meta_path):
            self._make_folder(self._folder(generation))

    def use_generation(self, generation: str) -> None:
        """Make `generation` the one in use, durably. Older ones stay until `remove_generation`."""
        with _local_errors(self.meta_path):
            temporary = self.meta_path / "generation.tmp"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, self._ownership.file_mode)
            try:
                os.write(descriptor, f"{generation}\n".encode())
                os.fsync(descriptor)
                self._own(temporary)
            finally:
                os.close(descriptor)
            reached("generation: name written")
            temporary.rename(self.meta_path / "generation")
            reached("generation: name in place")
            _fsync_folder(self.meta_path)

    def generations(self) -> list[str]:
        """Every generation with a folder here, the one last written to at the end."""
        with _local_errors(self.meta_path):
            root = self.meta_path / "generations"
            if not root.is_dir():
                return []
            found = [entry for entry in root.iterdir() if is_generation(entry.name) and entry.is_dir()]
            return [entry.name for entry in sorted(found, key=lambda entry: entry.stat().st_mtime_ns)]

    def indexes(self, generation: str) -> list[int]:
        """The indexes that have a file, ascending."""
        with _local_errors(self.meta_path):
            try:
                names = [entry.name for entry in self._folder(generation).iterdir()]
            except FileNotFoundError:
                return []
            return sorted(index for name in names if (index := parse_shadow(name)) is not None)

    def path(self, generation: str, index: int) -> Path:
        """The file of one index, whether or not it exists."""
        return self._folder(generation) / f"{index:08x}.wal"

    def size(self, generation: str, index: int) -> int:
        """Bytes of the file of one index; 0 if it does not exist."""
        try:
            return self.path(generation, index).stat().st_size
        except FileNotFoundError:
            return 0

    def frame_mark(self, generation: str, index: int, end: int, page_size: int) -> str:
        """Salts and checksum, in hex, of the frame that ends at `end`: they prove all before it. "" if none does."""
        start = end - page_size - FRAME_HEADER_SIZE
        with _local_errors(self.meta_path), suppress(FileNotFoundError):
            if start >= WAL_HEADER_SIZE:
                with self.path(generation, index).open("rb") as file:
                    file.seek(start + 8)
                    return file.read(16).hex()
        return ""

    def append(self, generation: str, index: int) -> "Append":
        """Write to the file of an index, which is made by the first write: a context."""
        return Append(self.path(generation, index), self._ownership.file_mode, self._own)

    def seal(self, generation: str, index: int, size: int) -> None:
        """Nothing more comes to this file: cut off what is torn after `size`, and make it durable."""
        path = self.path(generation, index)
        with _local_errors(path), suppress(FileNotFoundError):
            if path.stat().st_size > size:
                os.truncate(path, size)
        self.fsync(generation, index)

    def fsync(self, generation: str, index: int) -> None:
        """Make the file of an index durable, before SQLite may forget the frames in it."""
        path = self.path(generation, index)
        with _local_errors(path):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            _fsync_folder(path.parent)

    def remove_below(self, generation: str, index: int) -> None:
        """Remove the files of all indexes lower than `index`."""
        for old in self.indexes(generation):
            if old < index:
                with _local_errors(self.meta_path):
                    self.path(generation, old).unlink(missing_ok=True)
                reached("shadow: old index removed")

    def remove_index(self, generation: str, index: int) -> None:
        """Remove the file of one index."""
        with _local_errors(self.meta_path):
            self.path(generation, index).unlink(missing_ok=True)

    def remove_generation(self, generation: str) -> None:
        """Remove the folder of a generation."""
        with _local_errors(self.meta_path), suppress(FileNotFoundError):
            shutil.rmtree(self.meta_path / "generations" / generation)
            reached("shadow: old generation removed")

    def _folder(self, generation: str) -> Path:
        return self.meta_path / "generations" / generation / "wal"

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        if folder != self.meta_path:
            self._make_folder(folder.parent)
        folder.mkdir(mode=self._ownership.folder_mode, parents=folder == self.meta_path, exist_ok=True)
        self._own(folder)
        # Files below it may be synced as often as one likes: without its name they are lost.
        with suppress(PermissionError):
            _fsync_folder(folder.parent)

    def _own(self, path: Path) -> None:
        # Without the right to give files away they stay ours, as with Litestream.
        with suppress(PermissionError):
            os.chown(path, self._ownership.uid, self._ownership.gid)


class Append:
    """An open shadow file, or one not made yet."""

    def __init__(self, path: Path, mode: int, own: Callable[[Path], None]) -> None:
        self._path = path
        self._mode = mode
        self._own = own
        self._descriptor = -1

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Put `data` at `offset`, over whatever a torn write left there."""
        with _local_errors(self._path):
            if self._descriptor < 0:
                self._open(offset)
            view = memoryview(data)
            while view:
                written = os.pwrite(self._descriptor, view, offset)
                view, offset = view[written:], offset + written

    def _open(self, offset: int) -> None:
        made = not self._path.exists()
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, self._mode)
        except FileNotFoundError:
            raise ShadowLostError from None
        if made:
            self._own(self._path)
        # What was copied before is in the file; a hole in its place would be uploaded as if it were WAL.
        if os.fstat(self._descriptor).st_size < offset:
            raise ShadowLostError

    def __enter__(self) -> "Append":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


@contextmanager
def _local_errors(path: Path) -> Iterator[None]:
    """Run a block of file work; its OSErrors leave as LocalFileError, in words."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LocalFileError(
                f"no space left for the shadow WAL at {where}; free some, replication goes on by itself"
            ) from None
        refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        advice = "; give this user write permission there, or name another folder with meta-path" if refused else ""
        raise LocalFileError(f"cannot write the shadow WAL at {where}: {error.strerror}{advice}") from None


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
