"""The names of objects in a replica, exactly as Litestream 0.3.13 writes them.

    generations/<GENERATION>/snapshots/<INDEX>.snapshot.lz4
    generations/<GENERATION>/wal/<INDEX>_<OFFSET>.wal.lz4

GENERATION is 16, INDEX and OFFSET are 8 lowercase hex digits. Names come from outside and are hostile:
whatever does not match is not ours (promise 7).
"""

import re
from dataclasses import dataclass
from datetime import datetime

from replication.position import Position

GENERATIONS = "generations/"
_SNAPSHOT = re.compile(r"([0-9a-f]{8})\.snapshot\.lz4")
_SEGMENT = re.compile(r"([0-9a-f]{8})_([0-9a-f]{8})\.wal\.lz4")

Place = tuple[int, int]
"""Where in the WAL of one generation: an index, and an offset in it. With the generation it is a Position."""


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One snapshot in a replica: stored size in bytes, time of writing in UTC."""

    generation: str
    index: int
    size: int
    created: datetime

    @property
    def name(self) -> str:
        return snapshot_name(self.generation, self.index)


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """One WAL segment in a replica: where it starts, stored size in bytes, time of writing in UTC."""

    generation: str
    index: int
    offset: int
    size: int
    created: datetime

    @property
    def name(self) -> str:
        return segment_name(self.position)

    @property
    def position(self) -> Position:
        return Position(self.generation, self.index, self.offset)


def generation_prefix(generation: str) -> str:
    """The folder of a generation."""
    return f"{GENERATIONS}{generation}/"


def snapshots_prefix(generation: str) -> str:
    """The folder of a generation's snapshots."""
    return f"{GENERATIONS}{generation}/snapshots/"


def segments_prefix(generation: str) -> str:
    """The folder of a generation's WAL segments."""
    return f"{GENERATIONS}{generation}/wal/"


def snapshot_name(generation: str, index: int) -> str:
    """The object name of a snapshot."""
    return f"{snapshots_prefix(generation)}{index:08x}.snapshot.lz4"


def segment_name(position: Position) -> str:
    """The object name of the segment that starts at `position`."""
    return f"{segments_prefix(position.generation)}{position.index:08x}_{position.offset:08x}.wal.lz4"


def parse_snapshot(base: str) -> int | None:
    """The index in a snapshot's base name, or None if it is not one."""
    match = _SNAPSHOT.fullmatch(base)
    return int(match[1], 16) if match else None


def parse_segment(base: str) -> tuple[int, int] | None:
    """Index and offset in a segment's base name, or None if it is not one."""
    match = _SEGMENT.fullmatch(base)
    return (int(match[1], 16), int(match[2], 16)) if match else None
