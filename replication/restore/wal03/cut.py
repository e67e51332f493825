"""What of a generation a target covers: pure, from its listing. Which snapshot it begins with is plan.py's business."""

from dataclasses import dataclass

from replication.errors import NoRestorePointError, ReplicaGapError
from replication.position import Position
from replication.restore.target import AtIndex, AtTime, Latest, Target
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.gaps import gap_words
from replication.sqlite.format import WAL_HEADER_SIZE
from replication.storage.wal03.names import SegmentInfo
from replication.times import format_time


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a generation that a target covers.

    `kept` is a prefix of all segments; `last_index` is the index in which the restore ends.
    `inside` is true if frames of that index past the target may exist. `sealed` is true where the segment after
    those must begin just where they end.
    """

    kept: tuple[SegmentInfo, ...]
    last_index: int
    inside: bool
    remarks: tuple[str, ...] = ()
    sealed: bool = False


def cut_at(catalog: Catalog, target: Target) -> Cut:
    segments = catalog.segments
    highest = max(segments[-1].index if segments else -1, catalog.snapshots[-1].info.index)
    if isinstance(target, Latest):
        return Cut(segments, segments[-1].index if segments else -1, inside=False)
    if isinstance(target, AtIndex):
        return _cut_index(catalog, target, highest)
    if isinstance(target, AtTime):
        return _cut_time(catalog, target)
    return _cut_position(catalog, target.position)


def _cut_index(catalog: Catalog, target: AtIndex, highest: int) -> Cut:
    segments = catalog.segments
    if target.index > highest:
        raise NoRestorePointError(
            f"Generation {catalog.generation} has no index {target.index:08x}: "
            f"its indexes go from {catalog.snapshots[0].info.index:08x} to {highest:08x}."
        )
    kept = tuple(item for item in segments if item.index <= target.index)
    if kept and kept[-1].index == target.index:
        return Cut(kept, target.index, inside=False, sealed=True)
    if not any(item.info.index == target.index for item in catalog.snapshots):
        missing = Position(catalog.generation, target.index, 0)
        raise ReplicaGapError(gap_words(missing, "What comes before it can be restored: give a lower -index."))
    # There is only a snapshot of this index.
    return Cut(kept, kept[-1].index if kept else -1, inside=False, sealed=True)


def _cut_time(catalog: Catalog, target: AtTime) -> Cut:
    times = (item.created for item in catalog.segments)
    late = next((n for n, time in enumerate(times) if not target.has(time)), len(catalog.segments))
    kept, rest = catalog.segments[:late], catalog.segments[late:]
    last = kept[-1].index if kept else -1
    newest = catalog.newest
    remarks: tuple[str, ...] = ()
    if newest is not None and newest < target.time and not rest:
        remarks = (
            f"The newest object is from {format_time(newest)}, before the time asked for: this is the latest state.",
        )
    stored = [item.created for item in kept[-1:]] + [item.info.created for item in catalog.snapshots]
    if not target.time.microsecond and target.time in stored:
        remarks += (
            f"The store tells whole seconds, and the last object is of the one asked for, {format_time(target.time)}: "
            "a commit in it may have been made up to a second later.",
        )
    return Cut(kept, last, inside=bool(rest) and rest[0].index == last, remarks=remarks, sealed=True)


def _cut_position(catalog: Catalog, position: Position) -> Cut:
    if position.generation != catalog.generation:
        raise NoRestorePointError(f"{position} is not in generation {catalog.generation}.")
    begins = position.offset <= WAL_HEADER_SIZE
    kept = tuple(
        item
        for item in catalog.segments
        if (item.index, item.offset) < (position.index, position.offset)
        # The first segment of the index is read too, for its note says where the index before it ended.
        or (begins and (item.index, item.offset) == (position.index, 0))
    )
    known = any(item.index == position.index for item in kept) or any(
        item.position == position for item in catalog.snapshots
    )
    before = [item.index for item in catalog.segments] + [item.info.index for item in catalog.snapshots]
    if not known and begins and max(before) == position.index - 1:
        words = f"Nothing of index {position.index:08x} is in the replica: this is all it has of the index before."
        last_index = kept[-1].index if kept and kept[-1].index == position.index - 1 else -1
        return Cut(kept, last_index, inside=False, remarks=(words,))
    if not known:
        last = catalog.segments[-1].name if catalog.segments else catalog.snapshots[-1].info.name
        raise NoRestorePointError(
            f"The replica has no index {position.index:08x} up to {position}. "
            f"The last object of generation {catalog.generation} is {last}."
        )
    return Cut(kept, position.index, inside=True)
