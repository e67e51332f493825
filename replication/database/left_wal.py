"""A WAL whose database was removed or replaced, known again when it is met: it must not get another database."""

import os
from dataclasses import dataclass
from pathlib import Path

from replication.local.shadow_wal import ShadowWAL
from replication.sqlite.checksum import WAL_HEADER_SIZE


@dataclass(frozen=True, slots=True)
class LeftWAL:
    """A WAL with frames whose database is gone, known by its inode and header."""

    inode: int
    head: bytes

    @classmethod
    def of(cls, shadow: ShadowWAL, inode: int | None) -> "LeftWAL | None":
        """The WAL with that inode, in the life that was copied last; None if that is not known."""
        generation = shadow.current_generation()
        indexes = shadow.indexes(generation) if generation is not None else []
        if generation is None or inode is None or not indexes:
            return None
        with shadow.file(generation, indexes[-1]).opened() as file:
            return cls(inode, os.pread(file, WAL_HEADER_SIZE, 0))

    def is_at(self, path: Path) -> bool:
        """True if `path` is this WAL, in the same life."""
        try:
            with path.open("rb") as wal:
                return os.fstat(wal.fileno()).st_ino == self.inode and wal.read(WAL_HEADER_SIZE) == self.head
        except FileNotFoundError:
            return False
