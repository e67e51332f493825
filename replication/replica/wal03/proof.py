"""Is the newest position of a replica restorable, by what is listed? Pure, and without reading an object (promise 9).

A listing tells where segments begin and not where they end. So what was stored or seen before must be there still:
that is what is `Expected`. What a listing lacks may only be listed late, so the caller asks for it by name before
it is called lost.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from replication.position import Position
from replication.replica.wal03.holdings import Holdings
from replication.storage.wal03.names import Place, segment_name, snapshot_name


class Expected:
    """What was stored or listed of one generation and must be there still, 8 bytes for each segment.

    Of the last segment and the last snapshot it knows the stored size as well: that is how another program's object is
    told, which has the name because the place was emptied and this generation begun there again by a copy of us.
    """

    def __init__(self) -> None:
        self.generation = ""
        self._segments = array("Q")
        self._snapshots: set[int] = set()
        self._last_segment: tuple[str, int] | None = None
        self._last_snapshot: tuple[str, int] | None = None

    @property
    def last(self) -> "tuple[tuple[str, int] | None, tuple[str, int] | None]":
        """Name and stored size of the last segment and of the last snapshot, as far as they are known."""
        return self._last_segment, self._last_snapshot

    @property
    def segments(self) -> set[Place]:
        """Where they begin."""
        return {(packed >> 32, packed & 0xFFFFFFFF) for packed in self._segments}

    @property
    def snapshots(self) -> frozenset[int]:
        """Their indexes."""
        return frozenset(self._snapshots)

    def segment(self, position: Position, size: int | None = None) -> None:
        """The segment that begins at `position` is there, stored in so many bytes if that is known."""
        self._of(position.generation)
        self._last_segment = (segment_name(position), size) if size is not None else None
        self._segments.append(position.index << 32 | position.offset)

    def snapshot(self, position: Position, size: int | None = None) -> None:
        """The snapshot of `position` is there, stored in so many bytes if that is known."""
        self._of(position.generation)
        name = snapshot_name(position.generation, position.index)
        self._last_snapshot = (name, size) if size is not None else None
        self._snapshots.add(position.index)

    def adopt(self, held: Holdings) -> None:
        """What is listed now, and nothing else, is what must be there from now on."""
        self.forget()
        self._of(held.generation)
        self._segments = array("Q", (item.index << 32 | item.offset for item in held.segments))
        self._snapshots = {item.index for item in held.snapshots}
        self._last_segment = next(((item.name, item.size) for item in reversed(held.segments)), None)
        self._last_snapshot = next(((item.name, item.size) for item in reversed(held.snapshots)), None)

    def add(self, since: "Expected") -> None:
        """What was stored since must be there too."""
        for index in since.snapshots:
            self.snapshot(Position(since.generation, index, 0))
        for place in since.segments:
            self.segment(Position(since.generation, *place))
        if since.generation:
            segment, snapshot = since.last
            self._last_segment = segment or (None if since.segments else self._last_segment)
            self._last_snapshot = snapshot or (None if since.snapshots else self._last_snapshot)

    def replaced(self, held: Holdings) -> str:
        """The name of an object that is not the one that was stored, or nothing."""
        if self.generation != held.generation:
            return ""
        sizes = {item.name: item.size for item in held.segments} | {item.name: item.size for item in held.snapshots}
        known = [item for item in self.last if item is not None]
        return next((name for name, size in known if sizes.get(name, size) != size), "")

    def forget(self) -> None:
        """Nothing is known any more: another program may have written or removed objects."""
        self.generation = ""
        self._segments = array("Q")
        self._snapshots.clear()
        self._last_segment = self._last_snapshot = None

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
    gone = sorted(expected.segments - listed) if known else []
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
