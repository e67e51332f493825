"""What a verification compares with: the database at one commit, and where a copy of it has room.

It leaves to the caller to restore the copy, and what follows from a difference.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from replication import space
from replication.errors import NoRoomError
from replication.position import Position
from replication.replica.source import SourceDatabase
from replication.sqlite.content import digest

ELSEWHERE = ", or name a folder on another disk in TMPDIR; the replica was not looked at."
_WHAT = "A verification"


@dataclass(frozen=True, slots=True)
class Original:
    """A database at one commit: the digest of its pages, and their bytes."""

    position: Position
    digest: str
    size: int


def source_digest(database: SourceDatabase) -> Original:
    """The newest commit of a database, digested. Raises DatabaseError, and NoRoomError if a copy of it has no room."""
    with database.image() as image:
        room_for(database.meta_path, image.size)
        return Original(image.position, digest(image.chunks()), image.size)


def room_for(meta_path: Path, size: int) -> Path:
    """Where a copy of so many bytes has room beside the application's: the local folder, else the one in TMPDIR.

    Scratch space is taken without a question, so /tmp, which may be memory, is taken only where TMPDIR names it.
    Raises NoRoomError.
    """
    named = os.environ.get("TMPDIR")
    if named:
        with suppress(NoRoomError):
            space.ask(meta_path, size, _WHAT, ELSEWHERE)
            return meta_path
        space.ask(Path(named), size, _WHAT, ELSEWHERE)
        return Path(named)
    space.ask(meta_path, size, _WHAT, ELSEWHERE)
    return meta_path
