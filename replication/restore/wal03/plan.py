"""Which snapshot and which segments bring a target back: pure, from the listing of one generation.

Its promise: a plan never mixes a snapshot with frames that are older than what it holds, and leaves no index
out. Offsets inside an index can only be checked against real lengths: replay.py does that while it reads.

A snapshot with a note holds exactly one commit. One without (Litestream's) holds the end of the index before
it and perhaps some frames of its own index, never of a later one. So it is safe below a target in a later
index. In its own it may hold commits whose WAL never arrived: there something that was written after it must be in
the replica, and inside its index the rest of that index must prove it as well (snapshot_proof.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from replication.errors import CorruptObjectError, NoRestorePointError, ReplicaGapError, UnprovenSnapshotError
from replication.position import Position
from replication.restore.points import Fetch
from replication.restore.target import AtIndex, AtPosition, AtTime, Target
from replication.restore.wal03.catalog import Catalog, Snapshot
from replication.restore.wal03.cut import Cut, cut_at
from replication.restore.wal03.gaps import gap_words
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo, generation_prefix
from replication.times import format_time

Proof = Literal["", "inside", "last", "same", "start"]
"""What must be shown of a snapshot without a note, beside the replay (snapshot_proof.py):

- "": nothing.
- "inside": that it holds no frame past the target, by the WAL that follows the target in its index.
- "last": that nothing follows the target in its index.
- "same": that it holds what the WAL of its index wrote last to each page.
- "start": as "same", but what that WAL wrote up to one of its commits: of the first snapshot of a generation.
"""
WRITTEN_AFTER_MIN = 2
"""With so many segments stored after a snapshot the last one was read after it: when the one before was stored."""
OTHER_GENERATION = "Its generation has no other snapshot; the generations verb lists others, -generation chooses one."
"""What can be done about a useless snapshot if the generation has no other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore reads, in order.

    `start` is the commit that the snapshot is known to hold; frames before it are verified but not written.
    `stop` is the exact commit asked for, or None for everything in `segments`.
    `proof_segments` are read only to prove that a snapshot without a note holds no frame past the target.
    `following` is the object after those: what is used must reach just up to it.
    `remarks` say in words what a person should know.
    """

    generation: str
    snapshot: Snapshot
    start: Position
    segments: tuple[SegmentInfo, ...]
    stop: Position | None
    proof_segments: tuple[SegmentInfo, ...]
    remarks: tuple[str, ...]
    proof: Proof = ""
    following: SegmentInfo | None = None

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return self.snapshot.info.size + sum(item.size for item in (*self.segments, *self.proof_segments))

    @property
    def file_size(self) -> int:
        """Bytes of the restored file, as far as is known before: the size of its snapshot, to which WAL may add.

        A snapshot of Litestream does not tell, and is never smaller than it is stored.
        """
        note = self.snapshot.note
        return note.pages * note.page_size if note is not None else self.snapshot.info.size

    @property
    def objects(self) -> int:
        """Objects to fetch."""
        return 1 + len(self.segments) + len(self.proof_segments)

    def lines(self) -> Iterator[str]:
        """The plan for people, one object a line: stored bytes, time, name."""
        objects = "1 object" if self.objects == 1 else f"{self.objects} objects"
        yield f"generation {self.generation}, {objects}, {self.size} bytes"
        yield _line(self.snapshot.info)
        yield from map(_line, self.segments)
        yield from (f"{_line(item)}  (only to check the snapshot)" for item in self.proof_segments)
        if self.stop is not None:
            yield f"stop at {self.stop}"
        yield from self.remarks

    def fetch(self) -> Fetch:
        """The plan for a screen, which has named the generation: its lines have no room for it before each object."""
        segments = len(self.segments)
        words = f"snapshot {self.snapshot.info.index:08x}"
        words += f" + {segments} segment{'' if segments == 1 else 's'}" if segments else ""
        prefix = generation_prefix(self.generation)
        return Fetch(words, self.size, tuple(line.replace(prefix, "", 1) for line in self.lines()))

    def values(self) -> dict[str, object]:
        """The plan in plain JSON values."""
        return {
            "generation": self.generation,
            "start": str(self.start),
            "stop": None if self.stop is None else str(self.stop),
            "bytes": self.size,
            "objects": [
                _values(self.snapshot.info),
                *map(_values, self.segments),
                *map(_values, self.proof_segments),
            ],
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True, slots=True)
class _Choice:
    """A snapshot that can serve, and what must be shown of it."""

    snapshot: Snapshot
    proof: Proof = ""


def make_plan(catalog: Catalog, target: Target, thorough: bool = False) -> Plan:
    """The plan for a target in one generation. `thorough` reads WAL up to it even where a snapshot holds that commit.

    Raises NoRestorePointError, saying what there is, and ReplicaGapError, naming the object that is missing.
    """
    if not catalog.snapshots and catalog.damaged:
        raise CorruptObjectError(catalog.damaged[0], "its note is wrong", OTHER_GENERATION)
    if not catalog.snapshots:
        raise NoRestorePointError(
            f"Generation {catalog.generation} has no snapshot, so nothing can be restored from it. "
            "Choose another with -generation."
        )
    cut = cut_at(catalog, target)
    choices = sorted(
        _choices(catalog, target, cut),
        key=lambda item: (not item.proof or may_be_newer(item.snapshot, target), item.snapshot.position),
        reverse=True,
    )
    if not choices:
        raise _nothing_before(catalog, target, cut)
    gap: ReplicaGapError | None = None
    for choice in choices:
        try:
            return _plan(catalog, target, cut, choice, thorough)
        except ReplicaGapError as error:
            # An older or newer snapshot may have an unbroken run of segments; if none has, the first one
            # counts.
            gap = gap or error
    assert gap is not None
    raise gap


def may_be_newer(snapshot: Snapshot, target: Target) -> bool:
    """True if a snapshot that needs a proof may hold commits before the target that are nowhere else."""
    if isinstance(target, AtTime):
        return snapshot.info.created <= target.time
    return not isinstance(target, AtPosition)


def _choices(catalog: Catalog, target: Target, cut: Cut) -> Iterator[_Choice]:
    """Every snapshot that can serve."""
    for snapshot in catalog.snapshots:
        choice = _noted(snapshot, target, cut) if snapshot.note else _unnoted(catalog, snapshot, target, cut)
        if choice is not None:
            yield choice


def _noted(snapshot: Snapshot, target: Target, cut: Cut) -> _Choice | None:
    """A snapshot of an exact commit serves if that commit is not past the target."""
    at = (snapshot.position.index, snapshot.position.offset)
    if isinstance(target, AtIndex):
        serves = at[0] <= target.index
    elif isinstance(target, AtPosition):
        serves = at <= (target.position.index, target.position.offset)
    elif isinstance(target, AtTime):
        # The target lies at or past the start of the last segment kept.
        floor = max(((item.index, item.offset) for item in cut.kept[-1:]), default=(-1, 0))
        serves = target.has(snapshot.info.created) or at <= floor
    else:
        serves = True
    return _Choice(snapshot) if serves else None


def _unnoted(catalog: Catalog, snapshot: Snapshot, target: Target, cut: Cut) -> _Choice | None:
    """A choice for a snapshot of Litestream, or None. Below the target's index it serves; in it a proof is needed."""
    index, created = snapshot.info.index, snapshot.info.created
    if index < cut.last_index:
        return _Choice(snapshot)
    if index > cut.last_index:
        # The snapshot is restored by itself, to whatever commit it holds.
        if isinstance(target, AtTime):
            return _Choice(snapshot) if target.has(created) else None
        late = isinstance(target, AtPosition) or (isinstance(target, AtIndex) and index > target.index)
        return None if late else _Choice(snapshot)
    certain = proven_later(catalog, snapshot)
    # On a store with times in whole seconds much may be of the second in which the generation began.
    by_content: Proof = "start" if created == catalog.oldest else "same"
    if cut.inside and certain < WRITTEN_AFTER_MIN and len(cut.kept) < len(catalog.segments):
        # What it holds was there at that time, whatever came after it: if it is no more than the WAL, it serves.
        serves = target.has(created) if isinstance(target, AtTime) else may_be_newer(snapshot, target)
        return _Choice(snapshot, by_content) if serves else None
    if cut.inside:
        return _Choice(snapshot, "inside" if certain >= WRITTEN_AFTER_MIN else "last" if certain else by_content)
    later = any(item.index == index and item.created > created for item in cut.kept)
    return _Choice(snapshot, "" if later or certain > WRITTEN_AFTER_MIN else by_content)


def proven_later(catalog: Catalog, snapshot: Snapshot) -> int:
    """How many segments of a snapshot's index were certainly stored after it: more than enough if a later index was.

    The WAL of an index is whole in the replica before that of the next one comes.
    """
    index = snapshot.info.index
    if catalog.segments and catalog.segments[-1].index > index:
        return WRITTEN_AFTER_MIN + 1
    return sum(item.index == index and item.created > snapshot.info.created for item in catalog.segments)


def _plan(catalog: Catalog, target: Target, cut: Cut, choice: _Choice, thorough: bool) -> Plan:
    snapshot = choice.snapshot
    start = snapshot.position
    stop = target.position if isinstance(target, AtPosition) else None
    used = tuple(item for item in cut.kept if item.index >= snapshot.info.index)
    if stop == start and (not used or (snapshot.note and not thorough)):
        used = ()
    elif snapshot.info.index <= cut.last_index:
        _check_indexes(snapshot, used, cut.last_index)
    rest = catalog.segments[len(cut.kept) :]
    proof_segments: tuple[SegmentInfo, ...] = ()
    if not used:
        choice = _Choice(snapshot)
    elif choice.proof in ("same", "start"):
        proof_segments = used
    elif choice.proof:
        # The last segment kept is read again: the checksums of those after it continue from its own.
        proof_segments = (*used[-1:], *(item for item in rest if item.index == cut.last_index))
    remarks = tuple(f"{name} is damaged and was left out." for name in catalog.damaged) + cut.remarks
    if stop is not None and not used and snapshot.note is None:
        remarks += (
            f"{snapshot.info.name} was written by Litestream: it may hold more than the start of its index. This is "
            "that snapshot by itself.",
        )
    if stop is not None and used and choice.proof in ("same", "start"):
        remarks += (
            f"{snapshot.info.name} was written by Litestream, and nothing in the replica was written after it: it may "
            f"hold commits after {stop} that changed none of the pages in the WAL before that.",
        )
    following = rest[0] if cut.sealed and rest else None
    if isinstance(target, AtIndex) and following and (following.index, following.offset) != (target.index + 1, 0):
        following = None
        remarks += (
            f"The beginning of the next index is not in the replica, so nothing says where index {target.index:08x} "
            "ended: this is all that is there of it.",
        )
    return Plan(catalog.generation, snapshot, start, used, stop, proof_segments, remarks, choice.proof, following)


def _check_indexes(snapshot: Snapshot, used: Sequence[SegmentInfo], last_index: int) -> None:
    """Every index from the snapshot's to the last must be there, from its offset 0."""
    generation, expected = snapshot.info.generation, snapshot.info.index
    for item in used:
        if item.index == expected - 1:
            continue
        if (item.index, item.offset) != (expected, 0):
            break
        expected += 1
    if expected > last_index:
        return
    raise ReplicaGapError(gap_words(Position(generation, expected, 0), _before(snapshot, expected)))


def _line(item: SnapshotInfo | SegmentInfo) -> str:
    return f"{item.size:>12}  {format_time(item.created)}  {item.name}"


def _values(item: SnapshotInfo | SegmentInfo) -> dict[str, object]:
    return {"name": item.name, "size": item.size, "created": format_time(item.created)}


def _before(snapshot: Snapshot, expected: int) -> Position | str:
    if expected > snapshot.info.index:
        where = f"-generation {snapshot.info.generation} -index {expected - 1:x}"
        return f"What comes before it can be restored: give {where}."
    if snapshot.note:
        return snapshot.position
    return f"Without it {snapshot.info.name} cannot be brought to the target."


def _nothing_before(catalog: Catalog, target: Target, cut: Cut) -> NoRestorePointError:
    first = catalog.snapshots[0]
    oldest = min(item.info.created for item in catalog.snapshots)
    newest = catalog.newest
    words = (
        f"Generation {catalog.generation} has no restore point for {target}: its first is {first.position}, "
        f"its oldest snapshot from {format_time(oldest)}"
        f"{f', its newest object from {format_time(newest)}' if newest else ''}."
    )
    unproven = next((s for s in catalog.snapshots if s.note is None and s.info.index == cut.last_index), None)
    if unproven is None or not cut.inside:
        return NoRestorePointError(words)
    return UnprovenSnapshotError(
        f"{words} {unproven.info.name} was written by Litestream and may hold later commits of its index, and too "
        "little was written after it to tell. What can be had is the newest commit, without -position and -timestamp."
    )
