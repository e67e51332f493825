"""Where a file replica is. It tells without touching the folder, which may hang, but for `identity`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from replication.mounts import mount_of
from replication.storage.base import Storage
from replication.storage.file.storage import FileStorage
from replication.storage.location import FilePermissions, Location


@dataclass(frozen=True, slots=True)
class FileLocation(Location):
    """A folder on this machine."""

    kind: ClassVar[str] = "file"
    is_on_a_server: ClassVar[bool] = False

    path: Path

    @property
    def address(self) -> str:
        return f"file://{self.path}"

    @property
    def identity(self) -> tuple[str, ...]:
        return (self.kind, os.path.realpath(self.path))

    @property
    def store(self) -> str:
        return f"{self.kind} {mount_of(self.path).point}"

    def below(self, name: str) -> "FileLocation":
        return FileLocation(self.path / name)

    @property
    def folder(self) -> Path:
        return self.path

    def open(self, permissions: FilePermissions) -> Storage:
        return FileStorage(self.path, permissions)
