"""The restore points of one generation, as far as its listing tells: where they are, and where none can be.

Its promise: what `point_map` lists can be planned; what a missing object cuts off is left out and the object named.
Pure but for `read_commits`, which reads one segment. It leaves to the caller which segments to read, and when:
the commits inside a segment are known only then, and so is a segment that is missing in the middle of an index.
"""

from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from replication.errors import CorruptObjectError
from replication.position import Position
from replication.restore.points import Commits, Extent, Missing, PointMap, Stop
from replication.restore.wal03.catalog import Catalog, Snapshot
from replication.restore.wal03.plan import WRITTEN_AFTER_MIN, proven_later
from replication.restore.wal03.seen import made_by
from replication.sqlite.format import WAL_HEADER_SIZE
from replication.sqlite.wal import WALHeader
from replication.storage.closing import closing_iterator
from replication.storage.wal03.names import SegmentInfo, segment_name
from replication.storage.wal03.notes import SegmentNote
from replication.storage.wal03.replica_client import ReplicaClient


def point_map(
    catalog: Catalog,
    extents: Mapping[str, Extent] | None = None,
    damaged: frozenset[str] = frozenset(),
    holes: Collection[Position] = (),
) -> PointMap:
    """The points of a generation. `extents` has the segments that were read, by name; those in `damaged` cannot be
    read.

    `holes` are places of which something else tells that an object is missing there.
    """
    stops, missing = _walk(catalog, extents or {}, damaged, holes)
    note = next((item.note for item in catalog.snapshots if item.note), None)
    return PointMap(
        generation=catalog.generation,
        stops=_in_time(stops),
        snapshots=tuple(sorted(item.info.created for item in catalog.snapshots)),
        missing=tuple(missing),
        damaged=catalog.damaged,
        reason=note.reason if note else "",
        previous=note.previous if note else "",
    )


def read_commits(
    client: ReplicaClient, begins: Position, header: WALHeader | None = None, stored: datetime | None = None
) -> Commits:
    """The commits that end in the segment that begins there. `header` is that of its index; without it the first
    segment is opened. `stored` is when the segment was, for the times of its commits.

    Salts are checked, checksums are left to the restore. Raises CorruptObjectError, ObjectNotFoundError,
    StorageError.
    """
    name = segment_name(begins)
    if header is None and begins.offset:
        header = read_header(client, begins)
    previous = _previous(client, begins) if begins.offset == 0 else None
    ends, sizes = array("Q"), array("I")
    notes: list[SegmentNote | None] = []
    rest, at = b"", begins.offset
    with closing_iterator(client.read(name, notes.append)) as pieces:
        for piece in pieces:
            rest += piece
            if at == 0:
                if len(rest) < WAL_HEADER_SIZE:
                    continue
                header = _parse(name, rest)
                rest, at = rest[WAL_HEADER_SIZE:], WAL_HEADER_SIZE
            assert header is not None
            size = header.frame_size
            count = len(rest) // size
            rows = np.frombuffer(rest, dtype=np.uint8, count=count * size).reshape(count, size)
            fields = rows[:, :16].copy().view(">u4").astype(np.uint32).reshape(count, 4)
            if not ((fields[:, 2] == header.salt1) & (fields[:, 3] == header.salt2)).all():
                raise CorruptObjectError(name, "a frame of another WAL is in it")
            last = np.flatnonzero(fields[:, 1])
            ends.extend((at + (last + 1) * header.frame_size).tolist())
            sizes.extend(fields[last, 1].tolist())
            at += count * header.frame_size
            rest = rest[count * header.frame_size :]
    if rest:
        raise CorruptObjectError(name, "it ends in the middle of a frame")
    frame_size = header.frame_size if header is not None else 0
    return Commits(ends, sizes, Extent(at, previous), frame_size, _times(notes, stored))


def _times(notes: Sequence[SegmentNote | None], stored: datetime | None) -> tuple[tuple[int, int], ...]:
    if stored is None:
        return ()
    seen = (item for note in notes if note is not None for item in note.seen)
    return tuple((offset, round(made_by(stored, age).timestamp() * 1000)) for offset, age in seen)


def read_header(client: ReplicaClient, place: Position) -> WALHeader:
    """The WAL header of the index of a place, from its first segment. Raises as `read_commits`."""
    first = segment_name(replace(place, offset=0))
    return _parse(first, client.read_head(first, WAL_HEADER_SIZE))


def _walk(
    catalog: Catalog, extents: Mapping[str, Extent], damaged: frozenset[str], holes: Collection[Position]
) -> tuple[list[Stop], list[Missing]]:
    """The stops, index by index, that a snapshot or a whole index before makes reachable, and what is missing."""
    segments: dict[int, list[SegmentInfo]] = {}
    for item in catalog.segments:
        segments.setdefault(item.index, []).append(item)
    for index, items in segments.items():
        following = next((extents[item.name] for item in segments.get(index + 1, [])[:1] if item.name in extents), None)
        if items[-1].name in damaged and following is not None and following.previous == items[-1].position:
            # An end mark, which no restore needs.
            items.pop()
    snapshots = {item.info.index: item for item in catalog.snapshots}
    stops: list[Stop] = []
    missing: list[Missing] = []
    carried: int | None = None  # the index before, if all of it is in reach
    reached: int | None = None  # where that ends, if its last segment was read
    first_holes = {item.index: item for item in sorted(holes, reverse=True)}
    for index in sorted(segments.keys() | snapshots.keys()):
        snapshot, items = snapshots.get(index), segments.get(index, [])
        root = snapshot.position if snapshot else None
        lost: Position | None = None
        if carried is not None:
            before = extents[items[0].name].previous if items and items[0].name in extents else None
            if carried != index - 1:
                lost = Position(catalog.generation, carried + 1, 0)
            elif before is not None and reached not in (None, before.offset):
                lost = Position(catalog.generation, carried, reached or 0)
            elif carried in first_holes:
                # The hole is after its last segment, or the rest of the index would not be in reach.
                lost = first_holes[carried]
            if lost is None:
                root = Position(catalog.generation, index, 0)
            else:
                time = min([*(item.created for item in items[:1]), *((snapshot.info.created,) if snapshot else ())])
                missing.append(Missing(time, segment_name(lost)))
        joined = carried is not None and lost is None
        carried = reached = None
        if root is None:
            continue
        hole = first_holes.get(index)
        broken = _broken(items, extents, damaged)
        after = next((n for n, item in enumerate(items) if hole and item.offset > hole.offset), None)
        if hole is not None and after is not None and (broken is None or after <= broken):
            broken = after
            missing.append(Missing(items[after].created, segment_name(hole)))
        elif broken is not None:
            expected = extents[items[broken - 1].name].end if broken and items[broken].name not in damaged else 0
            name = segment_name(Position(catalog.generation, index, expected))
            if items[broken].name in damaged:
                name = items[broken].name
            missing.append(Missing(items[broken].created, name))
        elif items:
            carried, reached = index, _end(items[-1], extents)
        found = _index_stops(items[:broken], snapshot, root, extents)
        unproven = snapshot is not None and snapshot.note is None and not joined and items
        if snapshot is not None and unproven and proven_later(catalog, snapshot) < WRITTEN_AFTER_MIN:
            # Nothing tells yet which commit it holds: only the end of everything can be restored.
            found = [replace(stop, only_last=True) for stop in found[-1:]] if broken is None else []
        joined &= broken != 0
        stops += [replace(stop, joined=stop.joined if number else joined) for number, stop in enumerate(found)]
    return stops, missing


def _index_stops(
    segments: list[SegmentInfo], snapshot: Snapshot | None, root: Position, extents: Mapping[str, Extent]
) -> list[Stop]:
    """The stops of one index, whose `segments` run from its start without a break."""
    stops: list[Stop] = []
    for number, segment in enumerate(segments):
        # A snapshot at the very start of an index, or before what is in reach, is a point of its own.
        if snapshot is not None and snapshot.note and snapshot.position.offset <= segment.offset:
            stops.append(_alone(snapshot))
            snapshot = None
        following = segments[number + 1].offset if number + 1 < len(segments) else _end(segment, extents)
        here = snapshot is not None and (following is None or snapshot.position.offset <= following)
        held = (snapshot.position,) if snapshot is not None and here and snapshot.note else ()
        if here:
            snapshot = None
        if following is None or following >= root.offset:
            stop = Stop(segment.created, segment.name, segment.position, held, root, here, True, size=segment.size)
            stops.append(stop)
    if snapshot is not None:
        stops.append(_alone(snapshot))
    return stops


def _alone(snapshot: Snapshot) -> Stop:
    return Stop(snapshot.info.created, "", None, (snapshot.position,), snapshot.position, True, False)


def _broken(segments: list[SegmentInfo], extents: Mapping[str, Extent], damaged: frozenset[str]) -> int | None:
    """The number of the first segment of an index that does not continue the one before, or None."""
    for number in range(len(segments)):
        if segments[number].name in damaged or (number == 0 and segments[0].offset):
            return number
        if number and _end(segments[number - 1], extents) not in (None, segments[number].offset):
            return number
    return None


def _end(segment: SegmentInfo, extents: Mapping[str, Extent]) -> int | None:
    known = extents.get(segment.name)
    return known.end if known else None


def _in_time(stops: list[Stop]) -> tuple[Stop, ...]:
    """Stops with times that never fall: a snapshot may be written after segments that come later."""
    ordered: list[Stop] = []
    for number, stop in enumerate(stops):
        time = stop.time
        if stop.begins is None and number + 1 < len(stops):
            time = min(time, stops[number + 1].time)
        if ordered:
            time = max(time, ordered[-1].time)
        ordered.append(replace(stop, time=time))
    return tuple(ordered)


def _previous(client: ReplicaClient, begins: Position) -> Position | None:
    """Where the index before ended, if the first segment of an index says so."""
    note = client.segment_note(segment_name(begins))
    previous = note.previous if note is not None else None
    belongs = previous and (previous.generation, previous.index) == (begins.generation, begins.index - 1)
    return previous if belongs else None


def _parse(name: str, head: bytes) -> WALHeader:
    try:
        return WALHeader.parse(head)
    except ValueError as error:
        raise CorruptObjectError(name, str(error)) from None
