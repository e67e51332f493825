"""The shadow WAL: our local copy of committed frames, one file per index, in Litestream 0.3's own layout.

    <meta>/generation                            16 hex digits and a newline
    <meta>/generations/<GENERATION>/wal/<INDEX>.wal    WAL header and committed frames

It promises that what `end` says is there is there whole; what lies beyond it in a file may be a torn write,
and is written over. It knows nothing of SQLite's locks or of replicas.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from replication.errors import LocalFileError
from replication.local.files import GENERATION_NAME, GENERATIONS_NAME
from replication.local.folder import LocalFile, LocalFolder
from replication.nofollow import opened
from replication.permissions import Ownership
from replication.position import is_generation
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader
from replication.steps import reached

_SHADOW = re.compile(r"([0-9a-f]{8})\.wal")


class ShadowLostError(Exception):
    """A file of the shadow WAL was removed or cut while it was written to."""


class ShadowWAL:
    """The files below one local folder. Appends come from one thread; reading and removing may come from others."""

    def __init__(self, meta_path: Path, ownership: Ownership) -> None:
        self.meta_path = meta_path
        self.folder = LocalFolder(meta_path, ownership)

    def make(self) -> None:
        """Make the local folder. Raises LocalFileError also if it holds what is not ours."""
        with _local_errors(self.meta_path):
            self.folder.check()
            try:
                self.folder.make()
            except PermissionError:
                above = next(folder for folder in self.meta_path.parents if folder.is_dir())
                raise LocalFileError(
                    f"cannot write the shadow WAL at {self.meta_path}: Permission denied: nothing may be "
                    f"made in {above}; give this user write permission there, or name another folder with meta-path"
                ) from None

    def sweep(self) -> None:
        """Remove what a crash left half written: for the holder of the engine lock, for others may be writing."""
        with _local_errors(self.meta_path):
            self.folder.sweep()

    def current_generation(self) -> str | None:
        """The generation in use, or None."""
        with _local_errors(self.meta_path):
            try:
                name = self.folder.read(GENERATION_NAME).decode(errors="replace").strip()
            except FileNotFoundError:
                return None
            return name if is_generation(name) else None

    def make_generation(self, generation: str) -> None:
        """Make the folder of a generation. `use_generation` takes it into use."""
        with _local_errors(self.meta_path):
            self.folder.make(*_folder(generation))

    def use_generation(self, generation: str) -> None:
        """Make `generation` the one in use, durably. Older ones stay until `remove_generation`."""
        steps = ("generation: name written", "generation: name in place")
        with _local_errors(self.meta_path):
            self.folder.write(GENERATION_NAME, f"{generation}\n".encode(), *steps)

    def generations(self) -> list[str]:
        """Every generation with a folder here, the one last written to at the end."""
        with _local_errors(self.meta_path):
            found = self.folder.entries(GENERATIONS_NAME)
            ours = [name for name, status in found.items() if is_generation(name) and stat.S_ISDIR(status.st_mode)]
            return sorted(ours, key=lambda name: found[name].st_mtime_ns)

    def indexes(self, generation: str) -> list[int]:
        """The indexes that have a file, ascending."""
        with _local_errors(self.meta_path):
            names = self.folder.names(*_folder(generation))
            return sorted(index for name in names if (index := parse_shadow(name)) is not None)

    def file(self, generation: str, index: int) -> LocalFile:
        """The file of one index, whether or not it exists."""
        return LocalFile(self.folder, (*_folder(generation), f"{index:08x}.wal"))

    def path(self, generation: str, index: int) -> Path:
        """Where the file of one index is, for words."""
        return self.meta_path.joinpath(*_folder(generation), f"{index:08x}.wal")

    def size(self, generation: str, index: int) -> int:
        """Bytes of the file of one index; 0 if it does not exist."""
        try:
            return self.path(generation, index).lstat().st_size
        except FileNotFoundError:
            return 0

    def frame_mark(self, generation: str, index: int, end: int, page_size: int = 0) -> str:
        """Salts and checksum, in hex, of the frame that ends at `end`: they prove all before it. "" if none does.

        Without a page size it is the file's own, which in an older generation may be another than now.
        """
        with _local_errors(self.meta_path), suppress(FileNotFoundError, ValueError):
            if end > WAL_HEADER_SIZE:
                with self.file(generation, index).opened() as file:
                    size = page_size or WALHeader.parse(os.pread(file, WAL_HEADER_SIZE, 0)).page_size
                    start = end - size - FRAME_HEADER_SIZE
                    return os.pread(file, 16, start + 8).hex() if start >= WAL_HEADER_SIZE else ""
        return ""

    def append(self, generation: str, index: int) -> "Append":
        """Write to the file of an index, which is made by the first write: a context."""
        return Append(self.file(generation, index))

    def seal(self, generation: str, index: int, size: int) -> None:
        """Cut off what is torn after `size`, and make the file durable: nothing more comes to it."""
        with _local_errors(self.meta_path), suppress(FileNotFoundError):
            file = self.folder.open_file(*self.file(generation, index).parts, flags=os.O_RDWR)
            with opened(file):
                if os.fstat(file).st_size > size:
                    os.ftruncate(file, size)
        self.fsync(generation, index)

    def fsync(self, generation: str, index: int) -> None:
        """Make the file of an index durable, before SQLite may forget the frames in it."""
        with _local_errors(self.meta_path), suppress(FileNotFoundError):
            with self.file(generation, index).opened() as descriptor:
                os.fsync(descriptor)
            self.folder.fsync(*_folder(generation))

    def remove_below(self, generation: str, index: int) -> None:
        """Remove the files of all indexes lower than `index`."""
        for old in self.indexes(generation):
            if old < index:
                self.remove_index(generation, old)
                reached("shadow: old index removed")

    def remove_index(self, generation: str, index: int) -> None:
        """Remove the file of one index."""
        with _local_errors(self.meta_path):
            self.folder.remove(*self.file(generation, index).parts)

    def remove_generation(self, generation: str) -> None:
        """Remove the folder of a generation."""
        with _local_errors(self.meta_path), suppress(FileNotFoundError):
            self.folder.remove_folder(GENERATIONS_NAME, generation)
            reached("shadow: old generation removed")


class Append:
    """An open shadow file, or one not made yet."""

    def __init__(self, file: LocalFile) -> None:
        self._file = file
        self._descriptor = -1

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Put `data` at `offset`, over whatever a torn write left there."""
        with _local_errors(self._file):
            if self._descriptor < 0:
                self._open(offset)
            view = memoryview(data)
            while view:
                written = os.pwrite(self._descriptor, view, offset)
                view, offset = view[written:], offset + written

    def _open(self, offset: int) -> None:
        try:
            self._descriptor = self._file.folder.create_file(*self._file.parts)
        except (FileNotFoundError, FileExistsError):
            raise ShadowLostError from None
        # What was copied before is in the file; a hole in its place would be uploaded as if it were WAL.
        if os.fstat(self._descriptor).st_size < offset:
            raise ShadowLostError

    def __enter__(self) -> "Append":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


@contextmanager
def _local_errors(path: Path | LocalFile) -> Iterator[None]:
    """Run a block of file work; its OSErrors leave as LocalFileError, in words."""
    try:
        yield
    except OSError as error:
        # A name without a folder is of one that was reached by its descriptor.
        where = error.filename if str(error.filename).startswith("/") else path
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LocalFileError(
                f"no space left for the shadow WAL at {where}; free some, replication goes on by itself"
            ) from None
        refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        advice = "; give this user write permission there, or name another folder with meta-path" if refused else ""
        raise LocalFileError(f"cannot write the shadow WAL at {where}: {error.strerror}{advice}") from None


def _folder(generation: str) -> tuple[str, str, str]:
    return GENERATIONS_NAME, generation, "wal"


def parse_shadow(base: str) -> int | None:
    """The index in the base name of a local shadow WAL file, or None if it is not one."""
    match = _SHADOW.fullmatch(base)
    return int(match[1], 16) if match else None
