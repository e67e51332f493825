"""The ground that an engine stands on, and how it gives way: folders on file systems that can be filled up.

Where this user may mount, each folder is a small file system that only the engine's process sees; elsewhere the
kernel's limit on the size of files makes the same writes fail. As root, permissions count all the same.
"""

import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cli.program import as_an_ordinary_user
from tests.cli.small_disk import OwnFileSystem

ROOM_BYTES = 16 << 20
"""A quarter of each small file system."""


class Ground:
    """Folders of one process that is yet to start, with `before` called in it."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self.mounts = OwnFileSystem.works()
        self._disks = [OwnFileSystem(folder, ROOM_BYTES) for folder in folders]
        self._pid = 0

    def before(self) -> None:
        """From here on the folders are small, and permissions count."""
        if self.mounts:
            first, *others = self._disks
            first.before()
            for disk in others:
                disk.mount()
        as_an_ordinary_user()

    def started(self, pid: int) -> None:
        """The process is there, and may write."""
        self._pid = pid
        if self.mounts:
            for folder in self._folders:
                self.seen(folder / "lost+found" / "filling").unlink()

    def seen(self, path: Path) -> Path:
        """Where the test finds what the process has at `path`."""
        return Path(f"/proc/{self._pid}/root{path}") if self.mounts else path

    @contextmanager
    def full(self, folder: Path) -> Iterator[None]:
        """A block in which there is no room: in that folder, or for the whole process where nothing can be mounted."""
        if not self.mounts:
            soft, hard = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (1, hard))
            try:
                yield
            finally:
                resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (soft, hard))
            return
        filling = self.seen(folder / "lost+found" / "filling")
        with filling.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        with filling.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 10))
        try:
            yield
        finally:
            filling.unlink()

    @contextmanager
    def forbidden(self, folder: Path, folder_mode: int, file_mode: int) -> Iterator[None]:
        """A block in which folders and files there have these modes, and their old ones afterwards."""
        found: list[tuple[Path, int]] = []
        for path in [self.seen(folder), *self.seen(folder).rglob("*")]:
            # What the process removes meanwhile needs no mode.
            with suppress(FileNotFoundError):
                found.append((path, path.stat().st_mode))
        for path, mode in reversed(found):
            with suppress(FileNotFoundError):
                path.chmod(folder_mode if stat.S_ISDIR(mode) else file_mode)
        try:
            yield
        finally:
            for path, mode in found:
                with suppress(FileNotFoundError):
                    path.chmod(mode)
