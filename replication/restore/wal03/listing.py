"""What a replica holds, as plain values to be listed or shown: generations, objects, commits.

Everything but `commits` costs listings and at most one small read a snapshot. `commits` reads one segment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from replication.position import Position
from replication.restore.histories import GenerationSpan, GenerationSummary, HeldGeneration, HeldObject, Reached
from replication.restore.points import PointMap
from replication.restore.wal03.catalog import Catalog, read_catalog
from replication.restore.wal03.points import point_map, read_commits
from replication.sqlite.wal import WALHeader
from replication.storage.closing import closing_iterator
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo, segment_name
from replication.storage.wal03.replica_client import ReplicaClient


@dataclass(frozen=True, slots=True)
class CommitPoint:
    """A commit in a segment: the position right after it, and the size of the database then, in pages."""

    position: Position
    pages: int


def describe(client: ReplicaClient) -> tuple[GenerationSummary, ...]:
    """All generations that hold anything, oldest first by object time. Raises StorageError."""
    found = (summary(read_catalog(client, generation)) for generation in client.generations())
    return tuple(sorted((item for item in found if item is not None), key=lambda item: (item.start, item.end)))


def held(client: ReplicaClient) -> tuple[HeldGeneration, ...]:
    """All generations that hold anything, with what a timeline needs, newest first. Raises StorageError."""
    found = []
    for generation in client.generations():
        catalog = read_catalog(client, generation)
        if (item := summary(catalog)) is not None:
            found.append(HeldGeneration(item, ends_of_runs(point_map(catalog))))
    return tuple(sorted(found, key=lambda item: (item.summary.end, item.summary.start), reverse=True))


def ends_of_runs(point_map: PointMap) -> PointMap:
    """The point map for a timeline: only the first and last stop of each run, for there may be a hundred thousand."""
    stops = point_map.stops
    ends = (0, len(stops) - 1)
    kept = [n for n in range(len(stops)) if n in ends or not (stops[n].joined and stops[n + 1].joined)]
    return replace(point_map, stops=tuple(stops[n] for n in kept))


def spans(client: ReplicaClient) -> Iterator[GenerationSpan]:
    """The generations that hold anything, for one small read each. Raises StorageError, CorruptObjectError."""
    for generation in client.generations():
        snapshots, segments = client.snapshots(generation), client.segments(generation)
        times = [item.created for item in snapshots] + [item.created for item in segments]
        if times:
            note = client.snapshot_note(snapshots[-1].name) if snapshots else None
            yield GenerationSpan(generation, min(times), max(times), note.reason if note else "")


def snapshots(client: ReplicaClient) -> list[HeldObject]:
    """All snapshots, by generation and index. Raises StorageError."""
    return [_held(item) for generation in client.generations() for item in client.snapshots(generation)]


def segments(client: ReplicaClient, generation: str | None = None) -> list[HeldObject]:
    """All WAL segments, or those of one generation, by index and offset. Raises StorageError."""
    names = [generation] if generation is not None else client.generations()
    return [_held(item) for name in names for item in client.segments(name)]


LOOKS_MAX = 2
"""Two listings are not of one moment: what may have come or gone between them is looked at once more."""


def reached(client: ReplicaClient, generation: str | None) -> Reached:
    """How far a replica reaches in a generation, or in its newest one. Raises StorageError, CorruptObjectError.

    The last segment is read, for no listing tells where it ends.
    """
    if generation is None:
        newest = next(reversed(describe(client)), None)
        if newest is None:
            return Reached()
        generation = newest.generation
    for _ in range(LOOKS_MAX):
        snapshots, segments = client.snapshots(generation), client.segments(generation)
        broken = _broken(generation, snapshots, segments)
        if not broken:
            break
    times = [item.created.timestamp() for item in snapshots] + [item.created.timestamp() for item in segments]
    places: list[Position] = []
    if segments:
        last = segments[-1]
        with closing_iterator(client.read(last.name)) as pieces:
            length = sum(map(len, pieces))
        places.append(Position(generation, last.index, last.offset + length))
    if snapshots and (not segments or snapshots[-1].index > segments[-1].index):
        last_snapshot = snapshots[-1]
        note = client.snapshot_note(last_snapshot.name)
        places.append(note.position if note is not None else Position(generation, last_snapshot.index, 0))
    return Reached(max(places, default=None), max(times, default=0.0), broken)


def _broken(generation: str, snapshots: Sequence[SnapshotInfo], segments: Sequence[SegmentInfo]) -> str:
    """Why the newest position cannot be restored, as far as a listing shows it; what is empty is not there."""
    if not segments and not snapshots:
        return ""
    bases = [item.index for item in snapshots if item.size]
    if not bases:
        return f"it has no snapshot of generation {generation}, so nothing of that can be restored"
    listed = {(item.index, item.offset) for item in segments if item.size}
    last = segments[-1].index if segments else -1
    needed = [Position(generation, index, 0) for index in range(bases[-1], last + 1)]
    empty = [item.position for item in segments if not item.size and item.index >= bases[-1]]
    lost = [place for place in needed if (place.index, place.offset) not in listed]
    missing = min([*lost, *empty], default=None)
    if missing is None:
        return ""
    return f"it lacks {segment_name(missing)}, which a restore of the newest commit needs"


def _held(item: SnapshotInfo | SegmentInfo) -> HeldObject:
    offset = item.offset if isinstance(item, SegmentInfo) else None
    return HeldObject(item.generation, item.index, offset, item.size, item.created)


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
    found = read_commits(client, segment.position, header)
    for end, pages in zip(found.ends, found.pages, strict=True):
        yield CommitPoint(Position(segment.generation, segment.index, end), pages)


def snapshot_points(catalog: Catalog) -> tuple[CommitPoint, ...]:
    """The commits that noted snapshots hold: restore points that need no segment."""
    return tuple(CommitPoint(item.note.position, item.note.pages) for item in catalog.snapshots if item.note)
