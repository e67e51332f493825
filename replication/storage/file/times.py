"""When a file had been written: a kernel dates it by its last tick and not by its clock.

So a file may be older by its time than a commit that it holds. A tick is counted up here, so that this cannot be.
"""

from datetime import UTC, datetime, timedelta

TICK = timedelta(milliseconds=10)
"""That of the slowest kernels, for a folder may lie on another machine; most tick every 4 ms or faster."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 1_000_000_000


def written_by(modified_ns: int) -> datetime:
    """Return a time by which a file had been written. One in whole seconds stays, and is known by that."""
    modified = _EPOCH + timedelta(microseconds=modified_ns // 1000)
    if not modified_ns % _SECOND_NS:
        return modified
    written = modified + TICK
    return written if written.microsecond else written + timedelta(microseconds=1)
