"""Where a restore is to stop: four pure values, and how they are written on the command line.

Nothing here knows what a replica holds; whether a target can be reached is decided in plan.py.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from replication.errors import UsageError
from replication.position import INDEX_MAX, Position
from replication.scrub import quoted
from replication.times import format_time, time_from

_INDEX = re.compile(r"(?:0x)?([0-9a-fA-F]{1,8})")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Latest:
    """Everything that the replica holds."""

    def __str__(self) -> str:
        return "the latest state"


@dataclass(frozen=True, slots=True)
class AtIndex:
    """The end of one WAL index."""

    index: int

    def __str__(self) -> str:
        return f"the end of index {self.index:08x}"


@dataclass(frozen=True, slots=True)
class AtTime:
    """The newest commit that was made by `time`, which has a time zone; where that is not noted, that was stored."""

    time: datetime

    def __str__(self) -> str:
        return f"the state at {format_time(self.time)}"

    def has(self, stored: datetime) -> bool:
        """Return True if an object with that time in its store was there by then.

        Of a store that tells whole seconds it may have come at the end of one: a time in whole seconds takes all of
        its second, and any other nothing of it.
        """
        if self.time.microsecond and not stored.microsecond:
            return self.time - stored >= _SECOND
        return stored <= self.time


@dataclass(frozen=True, slots=True)
class AtPosition:
    """The commit that ends at exactly this position."""

    position: Position

    def __str__(self) -> str:
        return f"the commit at {self.position}"


Target = Latest | AtIndex | AtTime | AtPosition


def parse_index(text: str) -> AtIndex:
    """Read an index in hex, as listings of Litestream objects name it; raise UsageError for anything else."""
    match = _INDEX.fullmatch(text)
    index = int(match[1], 16) if match else INDEX_MAX + 1
    if index > INDEX_MAX:
        raise UsageError(f"{quoted(text)!r} is not a WAL index: give 1 to 8 hex digits, at most {INDEX_MAX:x}.")
    return AtIndex(index)


def parse_time(text: str) -> AtTime:
    """Read an RFC 3339 time with a zone; raise UsageError for anything else."""
    time = time_from(text)
    if time is None:
        raise UsageError(
            f"{quoted(text)!r} is not a time: write it as 2000-01-01T00:00:00Z, with Z or an offset such as +02:00."
        )
    return AtTime(time)


def parse_position(text: str) -> AtPosition:
    """Read GENERATION/INDEX:OFFSET; raise UsageError for anything else."""
    try:
        return AtPosition(Position.parse(text))
    except ValueError as error:
        raise UsageError(f"{error}.") from None
