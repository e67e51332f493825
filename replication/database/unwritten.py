"""A database that was never written while it was replicated: it has no WAL to prove that nothing changed.

What proves it is the content: the digest of the pages that the generation's first snapshot holds, kept beside the
shadow WAL. So an idle database does not send itself whole at every start.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from replication.database.image import Image
from replication.position import Position

DIGEST_NAME = "litestream-tui.digest"


class Digest:
    """The digest of an image, taken while its chunks pass."""

    def __init__(self) -> None:
        # Processors have instructions for this one, so that it costs less than the compression beside it.
        self._hash = hashlib.sha256()

    def over(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield `chunks` as they are."""
        for chunk in chunks:
            self._hash.update(chunk)
            yield chunk

    def remember(self, meta_path: Path, position: Position) -> None:
        """Keep it, as that of the database at `position`. Losing it costs a snapshot, no data."""
        with suppress(OSError):
            (meta_path / DIGEST_NAME).write_text(f"{position} {self}\n")

    def __str__(self) -> str:
        return self._hash.hexdigest()


def is_unchanged(image: Image, meta_path: Path) -> bool:
    """True if `image` has the digest that was kept for its position. Reads all of it, if one was kept."""
    try:
        position, kept = (meta_path / DIGEST_NAME).read_text().split()
    except (OSError, ValueError):
        return False
    if position != str(image.position):
        return False
    digest = Digest()
    for _ in digest.over(image.chunks()):
        pass
    return str(digest) == kept
