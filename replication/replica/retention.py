"""What a replica may forget: a pure policy.

The promise of `retention` is a window: every commit of the last so many seconds stays restorable. So the newest
snapshot from before the window is kept as well, with all WAL since, and so is the generation that was in use when
the window began, however long ago it was written to: all there is of a database that was replaced today, if nobody
had written to it for a while. The generation in use is never removed.
(Litestream keeps only what is inside the window, which right after a new snapshot is nothing but that.)
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from replication.storage.names import SegmentInfo, SnapshotInfo


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a replica holds of one generation, snapshots by index, segments by (index, offset)."""

    generation: str
    snapshots: Sequence[SnapshotInfo]
    segments: Sequence[SegmentInfo]

    @property
    def newest(self) -> datetime | None:
        """The time of the newest object, or None if there is none."""
        times = [item.created for item in self.snapshots] + [item.created for item in self.segments]
        return max(times, default=None)


@dataclass(frozen=True, slots=True)
class Forget:
    """What to remove: whole generations, and single objects by name in the order to remove them."""

    generations: tuple[str, ...]
    objects: tuple[str, ...]


def expired(
    holdings: Sequence[Holdings],
    current: str,
    now: datetime,
    retention_seconds: float,
    others: Collection[str] = frozenset(),
) -> Forget:
    """What may go at `now`. Nothing at all unless the generation `current` has a snapshot.

    The generations `others` are somebody else's: they stay, and say nothing of our database.
    """
    holdings = [held for held in holdings if held.generation not in others]
    cutoff = now - timedelta(seconds=retention_seconds)
    if retention_seconds <= 0 or not any(held.generation == current and held.snapshots for held in holdings):
        return Forget((), ())
    covering = _covering(holdings, cutoff)
    generations: list[str] = []
    objects: list[str] = []
    for held in holdings:
        newest = held.newest
        if held.generation not in (current, covering) and newest is not None and newest < cutoff:
            generations.append(held.generation)
        else:
            objects.extend(_before_window(held, cutoff))
    return Forget(tuple(generations), tuple(objects))


def _covering(holdings: Sequence[Holdings], cutoff: datetime) -> str | None:
    """The generation that says how the database was when the window began: the last that had a snapshot by then."""
    begun = [(min(item.created for item in held.snapshots), held) for held in holdings if held.snapshots]
    begun = [(began, held) for began, held in begun if began <= cutoff]
    return max(begun, key=lambda item: (item[0], item[1].generation))[1].generation if begun else None


def snapshot_needed(holdings: Sequence[Holdings], current: str, now: datetime, retention_seconds: float) -> bool:
    """True when the newest snapshot of `current` is older than the window, so that no WAL could ever be removed."""
    times = [item.created for held in holdings if held.generation == current for item in held.snapshots]
    return retention_seconds > 0 and bool(times) and max(times) < now - timedelta(seconds=retention_seconds)


def _before_window(held: Holdings, cutoff: datetime) -> list[str]:
    """Names that nothing in the window needs: snapshots first, then WAL from its end, so that no gap is left."""
    bases = [item.index for item in held.snapshots if item.created <= cutoff]
    if not bases:
        return []
    base = max(bases)
    snapshots = [item.name for item in held.snapshots if item.index < base]
    segments = [item.name for item in held.segments if item.index < base]
    return snapshots + segments[::-1]
