"""What a replica holds, for the verbs that list and for the picker of restore points: summaries and commits.

Everything but `commits` costs listings and one small read a snapshot. `commits` reads one segment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from replication.position import Position
from replication.restore.wal03.catalog import Catalog, read_catalog
from replication.restore.wal03.points import read_commits
from replication.sqlite.wal import WALHeader
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.replica_client import ReplicaClient


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
    found = read_commits(client, segment, header)
    for end, pages in zip(found.ends, found.pages, strict=True):
        yield CommitPoint(Position(segment.generation, segment.index, end), pages)


def snapshot_points(catalog: Catalog) -> tuple[CommitPoint, ...]:
    """The commits that noted snapshots hold: restore points that need no segment."""
    return tuple(CommitPoint(item.note.position, item.note.pages) for item in catalog.snapshots if item.note)
