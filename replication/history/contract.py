"""What a layout of replicas gives, so that all else in history/ knows no layout: moments, on a timeline. wal03/ is one.

timeline    S ----c----c----c----c      from a snapshot to a commit: each commit on it is a moment
                  ^ moment(position).page(7)      page 7 as it was then
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from replication.history.versions import Place
from replication.position import Position


class Moment(Protocol):
    """The database at one commit. Its pages are numbered from 1 to `pages`."""

    @property
    def page_size(self) -> int:
        """Bytes of a page."""

    @property
    def pages(self) -> int:
        """How many pages there are."""

    def page(self, number: int) -> bytes:
        """Return one page. Raises ObjectNotFoundError, CorruptObjectError, StorageError, RestoreCancelledError."""


class Timeline(Protocol):
    """A run of commits of one generation in one replica, each of which is a moment. Used by one thread at a time."""

    @property
    def replica(self) -> str:
        """The name of the replica."""

    @property
    def end(self) -> Position:
        """The last commit, which is the one that was asked for."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a restore of `end` would warn of."""

    @property
    def bytes_read(self) -> int:
        """Stored bytes that were read so far."""

    @property
    def requests(self) -> int:
        """Requests for parts of objects so far."""

    def moment(self, position: Position | None = None) -> Moment:
        """Return the database at a commit of it, by default at `end`. Raises NoRestorePointError for any other."""

    def covers(self, position: Position) -> bool:
        """Return whether a commit is one of them."""

    def ends(self) -> list[Place]:
        """Return the place of each of its commits (that is where the last frame ends), in order."""

    def position(self, place: Place) -> Position:
        """Return a place with the generation."""

    def written_at(self, end: Place) -> datetime:
        """Return when the object with the commit that ends there was stored."""

    def seen_at(self, end: Place) -> datetime | None:
        """Return when the engine had seen the commit that ends there, by the clock of the store; None if no note tells.

        The commit had been made by then. It may wait for the store.
        """

    def pages_between(self, begin: Place, end: Place) -> NDArray[np.uint32]:
        """Return the page of each frame between the ends of two commits: one that was written twice is there twice."""

    def last_written(self, pages: Collection[int], before: Place, header: bool = False) -> Place | None:
        """Return the place of the last frame before `before` that has any of these pages; None if none has.

        Most commits write the first page only for the sizes of the database and its freelist in it. Frames that change
        no more of it than that count only with `header`.
        """


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that changed from `was` to `became`, from the commit `before` to the next one, `after`.

    `before_time` and `after_time` are when the store got the objects with these commits, `before_seen` and `after_seen`
    when the engine had seen them, if that is known. `is_sure` is false where a later change may have been passed over.
    """

    before: Position
    after: Position
    before_time: datetime
    after_time: datetime
    before_seen: datetime | None
    after_seen: datetime | None
    was: object
    became: object
    is_sure: bool

    @property
    def is_across(self) -> bool:
        """True where `before` is the last of a generation, and `after` the first that is known of the next one."""
        return self.before.generation != self.after.generation
