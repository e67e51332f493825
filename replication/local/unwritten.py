"""A database that was never written while it was replicated: it has no WAL to prove that nothing changed.

What proves it is the file: its size and time of writing, and the checksum that LZ4 put at the end of the generation's
first snapshot, both kept beside the shadow WAL. So an idle database does not send itself whole at every start, and the
first snapshot of a large one does not cost a digest.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from replication.local.files import PROOF_NAME
from replication.local.folder import LocalFolder
from replication.position import Position
from replication.storage.codec import content_checksum


def remember(meta_path: Path, position: Position, path: Path, checksum: str) -> None:
    """Keep what the database at `path` is like, whose image at `position` has this checksum.

    The image must still be open, so that nobody has written to the file since: a checkpoint may run under it, but only
    after commits, with which nobody asks for this any more. Losing it costs a snapshot, no data.
    """
    with suppress(OSError):
        LocalFolder(meta_path).write(PROOF_NAME, f"{position} {_mark(path)} {checksum}\n".encode())


def is_unchanged(position: Position, chunks: Iterable[bytes], path: Path, meta_path: Path) -> bool:
    """True if the database at `path` is as it was kept for that position; reads its `chunks` only then."""
    try:
        place, mark, kept = LocalFolder(meta_path).read(PROOF_NAME).decode().split()
        if (place, mark) != (str(position), _mark(path)):
            return False
    except (OSError, ValueError):
        return False
    return content_checksum(chunks) == kept


def _mark(path: Path) -> str:
    """The size and time of writing of a file, as text.

    Who writes a database changes one of them, or works within a tick of the clock.
    """
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"
