"""What a replica holds of each generation, as values, with what the notes of its snapshots say of places and order.

A snapshot is only ever created and never written over, so its note is read once and remembered for as long as the
object is listed with the same size.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from replication.errors import CorruptObjectError, ObjectNotFoundError
from replication.position import OFFSET_LIMIT_BYTES, Position
from replication.storage.wal03.names import Place, SegmentInfo, SnapshotInfo
from replication.storage.wal03.notes import SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a replica holds of one generation, snapshots by index, segments by (index, offset).

    `offsets` has, by index, where the commit of a snapshot ends, as its note tells. `before` are generations that the
    notes name as older, `beside` those of them that another program may go on with, and `lefts` are the first places
    past where some were left, or had come to. Nothing can be restored from `damaged` snapshots and `torn` WAL.
    """

    generation: str
    snapshots: Sequence[SnapshotInfo]
    segments: Sequence[SegmentInfo]
    offsets: Mapping[int, int] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    damaged: Sequence[SnapshotInfo] = ()
    beside: frozenset[str] = frozenset()
    lefts: frozenset[Position] = frozenset()
    torn: Sequence[SegmentInfo] = ()

    @property
    def times(self) -> list[datetime]:
        """The times of all objects."""
        snapshots = [item.created for item in (*self.snapshots, *self.damaged)]
        return snapshots + [item.created for item in (*self.segments, *self.torn)]

    @property
    def newest(self) -> datetime | None:
        """The time of the newest object, or None if there is none."""
        return max(self.times, default=None)

    @property
    def names(self) -> list[str]:
        """All objects in the order to remove them: snapshots first, then WAL from its end, so that no gap is left."""
        snapshots = sorted([*self.snapshots, *self.damaged], key=lambda item: item.index)
        segments = sorted([*self.segments, *self.torn], key=lambda item: (item.index, item.offset), reverse=True)
        return [item.name for item in snapshots] + [item.name for item in segments]

    @property
    def empty(self) -> list[str]:
        """What is listed with no content at all, which no object of ours is, by name."""
        return [item.name for item in self.snapshots if not item.size] + [
            item.name for item in self.segments if not item.size
        ]

    @property
    def sizes(self) -> dict[str, int]:
        """What can be restored from, by name."""
        snapshots = {item.name: item.size for item in self.snapshots}
        return snapshots | {item.name: item.size for item in self.segments}

    def place(self, snapshot: SnapshotInfo) -> Place:
        """The commit that a snapshot holds; the end of its index if no note tells, which is never earlier."""
        return (snapshot.index, self.offsets.get(snapshot.index, OFFSET_LIMIT_BYTES))

    def until(self, position: Position) -> "Holdings":
        """The objects up to a position of this generation. Objects after it may be another program's."""
        end = (position.index, position.offset)
        after = [item.name for item in self.snapshots if self.place(item) > end]
        after += [item.name for item in self.segments if (item.index, item.offset) >= end]
        return self.without(set(after))

    def without(self, names: set[str]) -> "Holdings":
        """What is left when these objects are removed."""
        return Holdings(
            self.generation,
            [item for item in self.snapshots if item.name not in names],
            [item for item in self.segments if item.name not in names],
            self.offsets,
            self.before,
            [item for item in self.damaged if item.name not in names],
            self.beside,
            self.lefts,
            [item for item in self.torn if item.name not in names],
        )

    def unreadable(self, names: Collection[str]) -> "Holdings":
        """These holdings, in which the objects of these `names` are damaged or torn: nothing is restored from them."""
        whole = self.without({*names})
        damaged = [*self.damaged, *(item for item in self.snapshots if item.name in names)]
        torn = [*self.torn, *(item for item in self.segments if item.name in names)]
        return replace(whole, damaged=damaged, torn=torn)

    def goes_past(self, later: "Holdings") -> bool:
        """True if WAL is here past where the program of a later generation had left this one, or had seen it come."""
        lefts = [(left.index, left.offset) for left in later.lefts if left.generation == self.generation]
        # Where several have left it, one went on after the other.
        return bool(lefts) and any((item.index, item.offset) >= max(lefts) for item in self.segments)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What is remembered of a snapshot: its size and place, the generations before and beside its own, and `lefts`."""

    size: int
    offset: int | None = None
    before: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    damaged: bool = False
    lefts: frozenset[Position] = frozenset()


class HoldingsReader:
    """Lists a replica. Used by one thread at a time."""

    def __init__(self, client: ReplicaClient) -> None:
        self._client = client
        self._remembered: dict[str, _Remembered] = {}

    def all(self) -> list[Holdings]:
        """What is there of every generation. Raises StorageError."""
        found = [self.of(generation) for generation in self._client.generations()]
        listed = {item.name for held in found for item in (*held.snapshots, *held.damaged)}
        self._remembered = {name: remembered for name, remembered in self._remembered.items() if name in listed}
        return found

    def of(self, generation: str) -> Holdings:
        """What is there of one generation. Raises StorageError."""
        snapshots, segments = self._client.contents(generation)
        whole: list[SnapshotInfo] = []
        damaged: list[SnapshotInfo] = []
        offsets: dict[int, int] = {}
        before: set[str] = set()
        beside: set[str] = set()
        lefts: set[Position] = set()
        for item in snapshots:
            remembered = self._note(item)
            if remembered is None:
                continue
            (damaged if remembered.damaged else whole).append(item)
            before |= remembered.before
            beside |= remembered.beside
            lefts |= remembered.lefts
            if remembered.offset is not None:
                offsets[item.index] = remembered.offset
        known, others = frozenset(before - {generation}), frozenset(beside - {generation})
        return Holdings(generation, whole, segments, offsets, known, damaged, others, frozenset(lefts))

    def _note(self, info: SnapshotInfo) -> _Remembered | None:
        """What the note of a snapshot says; None if the snapshot is gone by now."""
        known = self._remembered.get(info.name)
        if known is None or known.size != info.size:
            try:
                known = _read(info, self._client.snapshot_note(info.name))
            except CorruptObjectError:
                known = _Remembered(info.size, damaged=True)
            except ObjectNotFoundError:
                return None
            self._remembered[info.name] = known
        return known


def _read(info: SnapshotInfo, note: SnapshotNote | None) -> _Remembered:
    if note is None:
        return _Remembered(info.size)
    return _Remembered(
        info.size,
        note.position.offset,
        frozenset(note.before),
        frozenset(note.beside),
        lefts=frozenset((*note.lefts, *note.reached)),
    )
