"""How much of the shadow WAL waits for a replica, and whether it may: the disk is the application's first.

A replica that lags keeps shadow WAL that nobody else needs. Pure but for the sizes, each of which is asked for once: a
file is done with when the next index begins. The file in use and the one before it stay even if every replica has them,
and do not count. It leaves to the caller what becomes of a replica for which too much waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from replication.local.shadow_wal import ShadowWAL
from replication.position import Position
from replication.space import Disk

BACKLOG_BYTES_MIN = 256 << 20
"""So much may wait for a replica, however small the database; unless the disk runs short."""
BACKLOG_SIZES = 4
"""This many times the size of the database may wait for a replica, if that is more."""
HARMLESS_SHARE = 64
"""In the last tenth of a disk still one part in so many of what is free: an outage of a moment costs no snapshot."""
LIVING_SHARE = 2
"""One part in so many for a replica that does not fail: it has what waits soon."""
INDEXES_KEPT = 2
"""The index in use, and the one before it."""
_BLOCK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Backlog:
    """Shadow WAL that is there for a replica: the bytes that would be free without it."""

    size: int
    freed: bool = False
    """True if the disk is too full for what is committed: then it counts as its last tenth."""

    def too_much(self, limit: int, disk: Disk | None, living: bool = False) -> str:
        """Why it may not stay, in words; "" if it may. A `limit` of 0 is none but the disk's.

        A replica that is `living` reads it just now, and is given more time.
        """
        if limit and self.size > limit:
            return f"{_size(self.size)} of WAL waited for it, and {_size(limit)} may"
        short = disk is not None and (self.freed or disk.free < disk.last_part)
        share = LIVING_SHARE if living else HARMLESS_SHARE
        if disk is not None and short and self.size > disk.free // share:
            return (
                f"{_size(self.size)} of WAL waited for it on a disk with {_size(disk.free)} free, the last tenth of "
                "which is the application's"
            )
        return ""


def limit_of(configured: int | None, database_bytes: int) -> int:
    """How much may wait, by the configuration or by default; 0 is no limit."""
    return max(BACKLOG_BYTES_MIN, BACKLOG_SIZES * database_bytes) if configured is None else configured


class ShadowSizes:
    """The bytes of each file of the shadow WAL, by generation and index. Used under the database's lock."""

    def __init__(self) -> None:
        self._sizes: dict[str, dict[int, int]] = {}
        self._current = ""
        self._next = 0
        """The first index of the generation in use that was not done with."""

    def update(self, shadow: ShadowWAL, generations: Sequence[str], here: Position) -> None:
        """Add the sizes of files that are done with and were not looked at yet."""
        self._sizes = {name: known for name, known in self._sizes.items() if name in generations}
        if self._current != here.generation:
            # What was in use before has its last file now.
            self._sizes.pop(self._current, None)
            self._current, self._next = here.generation, here.index
        for generation in generations:
            if generation not in self._sizes:
                indexes = shadow.indexes(generation)
                self._sizes[generation] = {index: shadow.size(generation, index) for index in indexes}
        known = self._sizes.setdefault(here.generation, {})
        known.pop(here.index, None)
        for index in range(self._next, here.index):
            known[index] = shadow.size(here.generation, index)
        self._next = here.index

    def done_with(self, generation: str) -> int:
        """Bytes of the files of a generation that are done with, and are there. May be asked without the lock."""
        return sum(tuple(self._sizes.get(generation, {}).values()))

    def forget_below(self, generation: str, index: int) -> None:
        """Files below `index` were removed."""
        known = self._sizes.get(generation, {})
        for old in [item for item in known if item < index]:
            del known[old]

    def backlog(
        self, place: Position | None, generations: Sequence[str], here: Position, kept: int = INDEXES_KEPT
    ) -> Backlog:
        """What is there for a replica that stands at `place`, or for one of which that is not known.

        So many indexes up to the one in use are `kept` even if every replica has them; with 0 not even that one.
        """
        total = 0
        begun = place is None or place.generation not in generations
        for generation in generations:
            first = 0
            if place is not None and generation == place.generation:
                begun, first = True, place.index
            if not begun:
                continue
            end = here.index - kept + 1 if generation == here.generation else None
            total += sum(
                _blocks(size)
                for index, size in self._sizes.get(generation, {}).items()
                if index >= first and (end is None or index < end)
            )
        if not kept and place != here:
            total += _blocks(here.offset)
        return Backlog(total, freed=not kept)


def _blocks(size: int) -> int:
    return -(-size // _BLOCK_BYTES) * _BLOCK_BYTES


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
