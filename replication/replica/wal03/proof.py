"""Is the newest position of a replica restorable, by what is listed? Pure, and without reading an object (promise 9).

A listing tells where segments begin and not where they end. So what was stored or seen before must be there still, and
of the same size: that is what is `Expected`. What a listing lacks may only be listed late, so the caller asks for it
by name before it is called lost.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from replication.position import Position
from replication.replica.wal03.holdings import Holdings
from replication.storage.wal03.names import Place, segment_name, snapshot_name


class Expected:
    """What was stored or listed of one generation and must be there still, 16 bytes for each segment.

    Sizes are those of the stored objects, 0 where one is not known.
    """

    def __init__(self) -> None:
        self.generation = ""
        self._segments = array("Q")
        self._sizes = array("Q")
        self._snapshots: dict[int, int] = {}

    @property
    def segments(self) -> dict[Place, int]:
        """Where segments begin, and their sizes."""
        places = ((packed >> 32, packed & 0xFFFFFFFF) for packed in self._segments)
        return dict(zip(places, self._sizes, strict=True))

    @property
    def snapshots(self) -> frozenset[int]:
        """Their indexes."""
        return frozenset(self._snapshots)

    def begin(self, generation: str, snapshot: tuple[Position, int] | None) -> None:
        """Nothing is known but that a snapshot of that size was stored, if it is of this generation."""
        self.forget()
        if snapshot is not None and snapshot[0].generation == generation:
            self.snapshot(*snapshot)

    def segment(self, position: Position, size: int = 0) -> None:
        """The segment that begins at `position` is there."""
        self._of(position.generation)
        self._segments.append(position.index << 32 | position.offset)
        self._sizes.append(size)

    def snapshot(self, position: Position, size: int = 0) -> None:
        """The snapshot of `position` is there."""
        self._of(position.generation)
        self._snapshots[position.index] = size

    def add(self, since: "Expected") -> None:
        """All of that is there as well."""
        if since.generation:
            self._of(since.generation)
            self._segments.extend(since._segments)
            self._sizes.extend(since._sizes)
            self._snapshots.update(since._snapshots)

    def other_size(self, held: Holdings) -> list[str]:
        """Names of objects that are listed with another size than they had: objects are written once.

        Such an object is damaged, or another program's: the location was emptied, and a copy of us has begun this
        generation there again.
        """
        if held.generation != self.generation:
            return []
        segments = self.segments
        found = [item.name for item in held.snapshots if self._snapshots.get(item.index, 0) not in (0, item.size)]
        known = ((item, segments.get((item.index, item.offset), 0)) for item in held.segments)
        return found + [item.name for item, size in known if size not in (0, item.size)]

    def unexpected(self, held: Holdings, position: Position) -> list[str]:
        """Names of segments that are listed below a position and were not there: others wrote them since."""
        known = self.segments
        end = (position.index, position.offset)
        if self.generation != held.generation or not known:
            return []
        return [
            item.name
            for item in held.segments
            if min(known) < (item.index, item.offset) < end and (item.index, item.offset) not in known
        ]

    def adopt(self, held: Holdings) -> None:
        """Expect what is listed now, and nothing else, from now on."""
        self.forget()
        self._of(held.generation)
        self._segments = array("Q", (item.index << 32 | item.offset for item in held.segments))
        self._sizes = array("Q", (item.size for item in held.segments))
        self._snapshots = {item.index: item.size for item in held.snapshots}

    def forget(self) -> None:
        """Nothing is known any more: another program may have written or removed objects."""
        self.generation = ""
        self._segments, self._sizes = array("Q"), array("Q")
        self._snapshots.clear()

    def _of(self, generation: str) -> None:
        if self.generation != generation:
            self.forget()
            self.generation = generation


@dataclass(frozen=True, slots=True)
class Proof:
    """What a listing shows of the newest position. `restorable` if a snapshot and all WAL after it are listed.

    `missing` are objects without which it is not restorable. `absent` are all that were there and are not listed.
    `end` is the last place that what is listed leads to without a gap, None if there is none.
    `by_snapshot` says that a snapshot of the index in use would make the newest position restorable again.
    """

    position: Position
    restorable: bool
    missing: tuple[str, ...]
    absent: tuple[str, ...]
    any_snapshot: bool
    end: Position | None
    by_snapshot: bool

    @property
    def reason(self) -> str:
        """Why it is not restorable, in words."""
        if not self.any_snapshot:
            return "lost its snapshots"
        more = f" and {len(self.missing) - 1} more" if len(self.missing) > 1 else ""
        return f"lost {self.missing[0]}{more}, which a restore needs"


def prove(held: Holdings, position: Position, expected: Expected) -> Proof:
    """Look for a plan that ends at `position`: a snapshot, and every segment after it."""
    known = expected.generation == held.generation
    listed = {(item.index, item.offset) for item in held.segments}
    gone = sorted(expected.segments.keys() - listed) if known else []
    snapshots = {item.index for item in held.snapshots}
    lost_snapshots = sorted(expected.snapshots - snapshots) if known else []
    absent = [snapshot_name(held.generation, index) for index in lost_snapshots]
    absent += [segment_name(Position(held.generation, *place)) for place in gone]
    missing: list[Place] = []
    end: Place | None = None
    for index in sorted((index for index in snapshots if index <= position.index), reverse=True):
        gaps = sorted({*_unbegun(index, position, listed), *(place for place in gone if index <= place[0])})
        gaps = [place for place in gaps if place < (position.index, position.offset)]
        if not gaps:
            end = (position.index, position.offset)
            missing = []
            break
        missing = missing or gaps
        end = max(end or gaps[0], gaps[0])
    found = end == (position.index, position.offset)
    # A snapshot of which the note is wrong has the name that a new one would have.
    free = position.index not in snapshots and all(item.index != position.index for item in held.damaged)
    here = [*_unbegun(position.index, position, listed), *(place for place in gone if place[0] == position.index)]
    names = [segment_name(Position(held.generation, *place)) for place in missing]
    if not found and not missing:
        # No snapshot: those that were there, or the one that there would be.
        names = absent[: len(lost_snapshots)] or [snapshot_name(held.generation, position.index)]
    return Proof(
        position=position,
        restorable=found,
        missing=tuple(names) if not found else (),
        absent=tuple(absent),
        any_snapshot=bool(snapshots),
        end=Position(held.generation, *end) if end is not None else None,
        by_snapshot=free and not here,
    )


def _unbegun(first: int, position: Position, listed: set[Place]) -> Iterator[Place]:
    """Indexes from `first` up to `position` that have no first segment."""
    last = position.index if position.offset else position.index - 1
    for index in range(first, last + 1):
        if (index, 0) not in listed:
            yield (index, 0)
