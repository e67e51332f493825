"""A generation of a replica as values, for what is pure: what its listing and its segments would tell."""

from array import array
from datetime import UTC, datetime, timedelta

from replication.position import Position
from replication.restore.points import Commits, Extent, PointMap
from replication.restore.wal03.catalog import Catalog, Snapshot
from replication.restore.wal03.points import point_map
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo
from replication.storage.wal03.notes import SnapshotNote
from tui.restore.picker.cursor import Picker

GENERATION = "00112233445566aa"
BEGAN = datetime(2026, 10, 20, 12, 0, 0, tzinfo=UTC)
FRAME = 24 + 512


class Replica:
    """A generation whose segments hold the commits asked for; what a store would answer when they are read."""

    def __init__(self, generation: str = GENERATION, began: datetime = BEGAN) -> None:
        self.generation = generation
        self.now = began
        self.snapshots: list[Snapshot] = []
        self.segments: list[SegmentInfo] = []
        self.contents: dict[str, Commits] = {}
        self.points: list[tuple[Position, float]] = []
        """With the times of their objects, or where those are noted when they were made."""
        self.index, self.offset = 0, 0

    def snapshot(self, seconds: float = 1) -> "Replica":
        self.now += timedelta(seconds=seconds)
        position = Position(self.generation, self.index, self.offset)
        note = SnapshotNote(position, 5, 512, None, None, "test", "")
        self.snapshots.append(Snapshot(SnapshotInfo(self.generation, self.index, 100, self.now), note))
        if not self.points or self.points[-1][0] != position:
            self.points.append((position, self.now.timestamp()))
        return self

    def segment(self, commits: int, frames: int = 0, seconds: float = 1, made: float | None = None) -> "Replica":
        """A segment of so many commits of one frame, after frames that no commit ends.

        The first was `made` so many seconds before it, and the others evenly since.
        """
        self.now += timedelta(seconds=seconds)
        info = SegmentInfo(self.generation, self.index, self.offset, 100, self.now)
        at = max(32, self.offset) + (frames or not commits) * FRAME
        ends = array("Q", [at + (n + 1) * FRAME for n in range(commits)])
        self.offset = at + commits * FRAME
        self.segments.append(info)
        stored, ages = self.now.timestamp(), [(made or 0.0) * (1 - n / max(1, commits)) for n in range(commits)]
        times = [(end, round((stored - age) * 1000)) for end, age in zip(ends, ages, strict=True)] if made else []
        extent, pages = Extent(self.offset, None), array("I", [5] * commits)
        self.contents[info.name] = Commits(ends, pages, extent, FRAME, tuple(times))
        found = [time / 1000 for _, time in times] or [stored] * commits
        self.points += [(Position(self.generation, self.index, end), at) for end, at in zip(ends, found, strict=True)]
        return self

    @property
    def at_commit(self) -> bool:
        """True if a commit of this index was the last thing that came."""
        return self.offset > 0 and self.points[-1][0] == Position(self.generation, self.index, self.offset)

    def __repr__(self) -> str:
        segments = [f"{item.index}:{item.offset}+{len(self.contents[item.name].ends)}" for item in self.segments]
        return f"Replica(snapshots={[item.info.index for item in self.snapshots]}, segments={segments})"

    def restart(self) -> "Replica":
        self.index, self.offset = self.index + 1, 0
        return self

    def lose(self, number: int) -> "Replica":
        del self.segments[number]
        return self

    def point_map(self) -> PointMap:
        return point_map(Catalog(self.generation, tuple(self.snapshots), tuple(self.segments)))


def read(picker: Picker, *replicas: Replica) -> Picker:
    """Read everything that the picker wants, as a screen does."""
    contents = {name: item for replica in replicas for name, item in replica.contents.items()}
    while wanted := picker.wanted():
        known = dict(picker.commits)
        known[wanted[0].object] = contents[wanted[0].object]
        picker = picker.knowing(known)
    return picker
