"""What a destination needs of the database that it is a copy of: values, and the shadow WAL.

All attributes may be read by any thread and wait for nobody. It promises nothing of how the database is held: that a
commit is in the shadow WAL before it is in `position`, and stays there until every replica has it, is all that is
relied on. What the methods raise is in errors.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from replication.local.backlog import Backlog
from replication.local.generation_info import GenerationInfo
from replication.local.shadow_wal import ShadowWAL
from replication.position import Position


class Image(Protocol):
    """The exact database at one commit."""

    position: Position
    pages: int
    page_size: int

    @property
    def size(self) -> int:
        """Bytes of the whole image."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the image in order, once only. Raises DatabaseError: then what was yielded is not to be used."""


class Arrivals(Protocol):
    """The times at which commits were copied, for the lag."""

    def first_missing(self, replica: Position | None) -> float | None:
        """When the first commit that a replica lacks was copied, in seconds since the epoch; None if it lacks none."""

    def between(self, start: Position, end: Position) -> Sequence[tuple[Position, float]]:
        """Return where copies ended past `start` and up to `end`, with the monotonic time of each."""


class KeptWAL(Protocol):
    """A database as far as WAL of it is kept for replicas on the local disk, and may become too much (promise 6)."""

    @property
    def meta_path(self) -> Path:
        """The local folder."""

    @property
    def backlog_limit(self) -> int:
        """How many bytes of WAL may wait for one replica. 0 means that only the disk limits it."""

    def backlogs(self, positions: Sequence[Position | None]) -> list[Backlog]:
        """What waits in the shadow WAL for replicas at these positions, one each. None is one that is not known."""

    def end_images(self) -> None:
        """End the images for which too much waits."""

    def clean(self, replicas: Sequence[Position | None]) -> None:
        """Remove shadow WAL that none of these replicas needs. Raises LocalFileError."""


class SourceDatabase(Protocol):
    """One database, followed commit by commit."""

    @property
    def path(self) -> Path:
        """The database file, for words and for its mode."""

    @property
    def meta_path(self) -> Path:
        """The local folder."""

    @property
    def position(self) -> Position | None:
        """The end of the last commit copied, or None until the database was opened."""

    @property
    def generation_info(self) -> GenerationInfo:
        """How the generation in use began."""

    @property
    def generations(self) -> tuple[str, ...]:
        """Generations with local WAL, oldest first, the current one last."""

    @property
    def arrivals(self) -> Arrivals:
        """When commits were copied."""

    @property
    def shadow(self) -> ShadowWAL:
        """The local copy of committed frames."""

    @property
    def page_size(self) -> int:
        """The page size of the file that was open last, 0 if none was."""

    @property
    def was_killed(self) -> bool:
        """True if the last engine that had the database did not end in good order."""

    def end(self, here: Position, generation: str, index: int) -> int:
        """The offset at which the commits of one shadow file end. `here` is `position` as it was read before."""

    def image(self) -> AbstractContextManager[Image]:
        """The exact database at its newest commit, for a block. Raises DatabaseError, LocalFileError."""

    def checkpoint(self) -> object:
        """Checkpoint now, so that the next commit begins an index, if nobody is in the way."""

    def request_generation(self, reason: str) -> None:
        """Begin a new generation with the next sync: a replica cannot go on with this one."""
