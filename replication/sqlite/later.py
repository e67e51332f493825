"""Which commits came after a first look at a database, told from its WAL and without SQLite: nothing is locked.

It is for words to a person and proves nothing. The database file is not opened, for closing it would drop the locks
that this process has on it; the WAL carries none.
"""

import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE

_FRAME = struct.Struct(">II8s")
"""The first fields of a frame's header: the page, the size of the database if it is a commit, the salts."""


@dataclass(frozen=True, slots=True)
class Look:
    """A life of the WAL by its salts, none if there is no WAL; its commits; size and time of the database file."""

    life: bytes
    commits: int
    written: tuple[int, int]


def look(path: Path) -> Look:
    """How the database at `path` (no link) is now; nothing is raised if it is not there."""
    written = (0, 0)
    with suppress(OSError):
        status = path.stat()
        written = (status.st_size, status.st_mtime_ns)
    with suppress(OSError):
        wal = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(wal, WAL_HEADER_SIZE, 0)
            if len(head) == WAL_HEADER_SIZE:
                return Look(head[16:24], _commits(wal, head), written)
        finally:
            os.close(wal)
    return Look(b"", 0, written)


def later(before: Look, after: Look) -> str | None:
    """The commits between the two, in words such as "at least 3 commits"; empty if there are none.

    None if there may be some: the WAL that would tell was folded into the database, as when an application closes it.
    """
    if after.life and after.life == before.life:
        return _counted(after.commits - before.commits)
    if after.life and after.commits:
        return f"at least {_counted(after.commits)}"
    return None if before.life or after.written != before.written else ""


def _counted(count: int) -> str:
    return "" if count <= 0 else "1 commit" if count == 1 else f"{count:,} commits"


def _commits(wal: int, head: bytes) -> int:
    """The number of commit frames of the life of the WAL that the header begins.

    Frames that an earlier life left behind them have other salts.
    """
    step = FRAME_HEADER_SIZE + struct.unpack(">I", head[8:12])[0]
    count, offset = 0, WAL_HEADER_SIZE
    while len(frame := os.pread(wal, _FRAME.size, offset)) == _FRAME.size:
        _, size, salts = _FRAME.unpack(frame)
        if salts != head[16:24]:
            break
        count += size > 0
        offset += step
    return count
