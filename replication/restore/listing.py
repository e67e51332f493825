"""What a replica holds, for the verbs that list and for the picker of restore points: summaries and commits.

Everything but `commits` costs listings and one small read a snapshot. `commits` reads one segment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from replication.errors import CorruptObjectError
from replication.position import Position
from replication.restore.catalog import Catalog, read_catalog
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader
from replication.storage.names import SegmentInfo, segment_name
from replication.storage.replica_client import ReplicaClient, closing_iterator


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
class CommitPoint:
    """A commit in a segment: the position right after it, and the size of the database then, in pages."""

    position: Position
    pages: int


def describe(client: ReplicaClient) -> tuple[GenerationSummary, ...]:
    """All generations that hold anything, oldest first by object time. Raises StorageError."""
    found = (summary(read_catalog(client, generation)) for generation in client.generations())
    return tuple(sorted((item for item in found if item is not None), key=lambda item: (item.start, item.end)))


def summary(catalog: Catalog) -> GenerationSummary | None:
    """One generation as a summary, or None if it is empty."""
    oldest, newest = catalog.oldest, catalog.newest
    if oldest is None or newest is None:
        return None
    note = next((item.note for item in catalog.snapshots if item.note), None)
    return GenerationSummary(
        generation=catalog.generation,
        start=oldest,
        end=newest,
        snapshots=len(catalog.snapshots),
        segments=len(catalog.segments),
        size=sum(item.info.size for item in catalog.snapshots) + sum(item.size for item in catalog.segments),
        first=catalog.snapshots[0].position if catalog.snapshots else None,
        last=Position(catalog.generation, *catalog.reach),
        reason=note.reason if note else "",
        previous=note.previous if note else "",
    )


def commits(client: ReplicaClient, segment: SegmentInfo, header: WALHeader | None = None) -> Iterator[CommitPoint]:
    """The commits that end in a segment, in order: what can be restored with AtPosition.

    `header` is that of the segment's index; without it, the index's first segment is opened for it. Salts are
    checked, checksums are left to the restore. Raises CorruptObjectError, ObjectNotFoundError, StorageError.
    """
    if header is None and segment.offset:
        first = segment_name(Position(segment.generation, segment.index, 0))
        header = _header(first, client.read_head(first, WAL_HEADER_SIZE))
    rest = b""
    at = segment.offset
    with closing_iterator(client.read(segment.name)) as pieces:
        for piece in pieces:
            rest += piece
            if at == 0:
                if len(rest) < WAL_HEADER_SIZE:
                    continue
                header = _header(segment.name, rest)
                rest, at = rest[WAL_HEADER_SIZE:], WAL_HEADER_SIZE
            assert header is not None
            count = len(rest) // header.frame_size
            rows = np.frombuffer(rest, dtype=np.uint8, count=count * header.frame_size).reshape(count, -1)
            fields = rows[:, :16].copy().view(">u4").astype(np.uint32).reshape(count, 4)
            if not ((fields[:, 2] == header.salt1) & (fields[:, 3] == header.salt2)).all():
                raise CorruptObjectError(segment.name, "a frame of another WAL is in it")
            for row in np.flatnonzero(fields[:, 1]).tolist():
                end = Position(segment.generation, segment.index, at + (row + 1) * header.frame_size)
                yield CommitPoint(end, int(fields[row, 1]))
            at += count * header.frame_size
            rest = rest[count * header.frame_size :]
    if rest:
        raise CorruptObjectError(segment.name, "it ends in the middle of a frame")


def snapshot_points(catalog: Catalog) -> tuple[CommitPoint, ...]:
    """The commits that noted snapshots hold: restore points that need no segment."""
    return tuple(CommitPoint(item.note.position, item.note.pages) for item in catalog.snapshots if item.note)


def _header(name: str, head: bytes) -> WALHeader:
    try:
        return WALHeader.parse(head)
    except ValueError as error:
        raise CorruptObjectError(name, str(error)) from None
