"""What is said of an object that a restore needs and the replica lacks."""

from replication.position import Position
from replication.storage.wal03.names import segment_name


def gap_words(expected: Position, last: Position | str) -> str:
    """The message for a segment that should be at `expected`. `last` is what can be restored instead."""
    if isinstance(last, Position):
        last = last_point_words(last)
    return f"{segment_name(expected)} is not in the replica, and the restore needs it. {last}"


def last_point_words(last: Position) -> str:
    """What can be done when the WAL after the commit `last` is missing or damaged."""
    return f"The last restore point before it is {last}: restore that with -position."
