"""What a layout gives of a moment: the pages of any commit, and where they were written. wal03/ is one layout."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from replication.history.versions import Place
from replication.position import Position


class Moment(Protocol):
    """The database at one commit: `pages` pages, from 1 on."""

    @property
    def page_size(self) -> int:
        """Bytes of a page."""

    @property
    def pages(self) -> int:
        """How many there are."""

    def page(self, number: int) -> bytes:
        """Return one page. Raises ObjectNotFoundError, CorruptObjectError, StorageError, RestoreCancelledError."""


class Timeline(Protocol):
    """A run of commits of one replica, each of which can be looked at. Used by one thread at a time."""

    @property
    def replica(self) -> str:
        """The name of the replica."""

    @property
    def end(self) -> Position:
        """The commit that was asked for, which is the last."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a restore of it would warn of."""

    @property
    def bytes_read(self) -> int:
        """Stored bytes that were read so far."""

    @property
    def requests(self) -> int:
        """Requests for parts of objects so far."""

    def moment(self, position: Position | None = None) -> Moment:
        """Return the database at a commit of it, or at its end. Raises NoRestorePointError for any other."""

    def covers(self, position: Position) -> bool:
        """Return whether a commit is one of them."""

    def ends(self) -> list[Place]:
        """Return the places of all commits that it covers, in order."""

    def position(self, place: Place) -> Position:
        """Return the position with this number."""

    def written_at(self, end: Place) -> datetime:
        """Return when the object with the commit that ends there was stored."""

    def seen_at(self, end: Place) -> datetime | None:
        """Return when the commit that ends there was made, by the clock of the store, if the replica notes that.

        It may wait for the store. The time is that at which the engine had seen the commit, and never before that.
        """

    def pages_between(self, begin: Place, end: Place) -> NDArray[np.uint32]:
        """Return the pages that were written between two commits, one for each frame."""

    def last_written(self, pages: Collection[int], before: Place, header: bool = False) -> Place | None:
        """Return where the last frame of any of these pages begins, before a place.

        Of the first page only those frames count that change more than the size of the database and of its freelist,
        unless what its `header` says of these counts too.
        """


@dataclass(frozen=True, slots=True)
class Found:
    """A change of an answer. Times are those at which the store got the objects of the two commits, and when they were
    made, if that is known."""

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
        """True where the one is the last of a generation, and the other the first that is known of the next."""
        return self.before.generation != self.after.generation
