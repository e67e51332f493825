"""What a replica holds, as plain values to be listed or shown, the same for every layout.

A generation is a history without a break, whatever the layout calls it.
"""

from dataclasses import dataclass
from datetime import datetime

from replication.position import Position
from replication.restore.points import PointMap


@dataclass(frozen=True, slots=True)
class GenerationSummary:
    """One generation. `first` and `last` are where its oldest snapshot and its newest object begin.

    `size` is stored bytes; `reason` says why it began and `previous` which one came before, if its snapshot
    has a note; `restorable` is false without a snapshot, and then `first` is None.
    """

    generation: str
    start: datetime
    end: datetime
    snapshots: int
    segments: int
    size: int
    first: Position | None
    last: Position
    reason: str
    previous: str

    @property
    def restorable(self) -> bool:
        return self.first is not None


@dataclass(frozen=True, slots=True)
class HeldGeneration:
    """One generation: what it holds in numbers, and what a timeline of it needs."""

    summary: GenerationSummary
    point_map: PointMap


@dataclass(frozen=True, slots=True)
class GenerationSpan:
    """From when to when a generation was written to, and why it began, as its newest snapshot says; else ""."""

    generation: str
    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class HeldObject:
    """One object: where it begins, its stored bytes, and when it was written. A snapshot has no offset."""

    generation: str
    index: int
    offset: int | None
    size: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Reached:
    """The end of what a generation holds, and when its newest object was written, in seconds since the epoch.

    `position` is None and `written` 0 for a replica that has nothing of it. `broken` says why that end cannot be
    restored, as far as a listing shows it.
    """

    position: Position | None = None
    written: float = 0.0
    broken: str = ""
