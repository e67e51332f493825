"""Where sending to one replica stands: one frozen value, replaced as a whole, so that any thread may read it.

| what happened | position | floor | number | tried |
|---|---|---|---|---|
| `found` in the replica, after a start or a look | as found | as found | as found | stays |
| `begun` by a first snapshot | start of its index | its commit | counting begins | stays |
| `trying` a segment | stays | stays | stays | this segment |
| `reached` the end of an object | that end | none | of the next | stays |
| `next_index`, the end of the one before being marked | its start | none | stays | stays |
| `marked` the end of an index | stays | stays | of the next | stays |
| `unknown`: another may have written, or it goes another way | none | stays | stays | stays |

What was tried stays whatever happens: an upload may be carried out long after its answer was lost, so the same segment
is tried again just as it was.
"""

from dataclasses import dataclass, replace

from replication.position import Position
from replication.storage.wal03.numbers import Number


@dataclass(frozen=True, slots=True)
class SendState:
    """Each change gives a new one; see the table above."""

    position: Position | None = None
    """Everything before it is in the replica; None until it was looked up there."""
    floor: int = 0
    """The offset that the next segment must reach, whatever its size: that of the commit in the newest snapshot."""
    number: Number | None = None
    """The number of the object that begins at `position`; None if counting begins with that object."""
    tried: tuple[Position, int] | None = None
    """The segment that was tried last: where it begins, and the offset where it ends."""

    def found(self, position: Position, floor: int, number: Number | None) -> "SendState":
        return replace(self, position=position, floor=floor, number=number)

    def begun(self, commit: Position) -> "SendState":
        return replace(self, position=replace(commit, offset=0), floor=commit.offset, number=Number.beginning())

    def trying(self, begin: Position, end: int) -> "SendState":
        return replace(self, tried=(begin, end))

    def reached(self, end: Position, number: Number | None) -> "SendState":
        return replace(self, position=end, floor=0, number=number)

    def next_index(self, ended: Position) -> "SendState":
        return replace(self, position=Position(ended.generation, ended.index + 1, 0), floor=0)

    def marked(self, number: Number | None) -> "SendState":
        return replace(self, number=number)

    def unknown(self) -> "SendState":
        return replace(self, position=None)

    def end_tried(self, begin: Position) -> int | None:
        """Where the segment at `begin` was to end when it was tried last; None if another segment was tried since."""
        return self.tried[1] if self.tried is not None and self.tried[0] == begin else None
