"""What one generation of a replica holds, as values: its snapshots with their notes, and its segments.

Reading it costs two listings and one small read a snapshot. Which of it is used is decided in plan.py.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from replication.errors import CorruptObjectError, ObjectNotFoundError
from replication.position import Position
from replication.storage.wal03.names import SegmentInfo, SnapshotInfo
from replication.storage.wal03.notes import SnapshotNote
from replication.storage.wal03.replica_client import ReplicaClient

NOTE_READS_MAX = 8
"""Notes read from the store at the same time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot, with its note if this program wrote it."""

    info: SnapshotInfo
    note: SnapshotNote | None

    @property
    def position(self) -> Position:
        """The commit that it holds.

        Without a note it is the start of its index, and the snapshot may hold later commits.
        """
        return self.note.position if self.note else Position(self.info.generation, self.info.index, 0)


@dataclass(frozen=True, slots=True)
class Catalog:
    """One generation. Snapshots are in the order of their index, segments in that of (index, offset).

    `damaged` names snapshots that are left out because their notes are damaged, `damaged_times` says when they
    were written.
    """

    generation: str
    snapshots: tuple[Snapshot, ...]
    segments: tuple[SegmentInfo, ...]
    damaged: tuple[str, ...] = ()
    damaged_times: tuple[datetime, ...] = ()

    @property
    def oldest(self) -> datetime | None:
        """Time of the oldest object."""
        return min(self.times, default=None)

    @property
    def newest(self) -> datetime | None:
        """Time of the newest object."""
        return max(self.times, default=None)

    @property
    def reach(self) -> tuple[int, int]:
        """The furthest (index, offset) at which something is known to begin; (-1, 0) without objects."""
        ends = [(item.index, item.offset) for item in self.segments[-1:]]
        ends += [(item.position.index, item.position.offset) for item in self.snapshots]
        return max(ends, default=(-1, 0))

    def times_past(self, place: Position) -> list[datetime]:
        """The times of what was written at a place or past it: segments, and snapshots of commits in a later index."""
        # A snapshot of the commit where an index begins holds what was there at the end of the index before.
        begins = Position(place.generation, place.index + 1, 0)
        found = [item.created for item in self.segments if item.position >= place]
        return found + [item.info.created for item in self.snapshots if item.position > begins]

    @property
    def times(self) -> list[datetime]:
        """The times of all objects but damaged snapshots."""
        return [item.info.created for item in self.snapshots] + [item.created for item in self.segments]


def read_catalog(client: ReplicaClient, generation: str) -> Catalog:
    """List a generation and read the notes of its snapshots. Raises StorageError."""
    infos = client.snapshots(generation)
    segments = client.segments(generation)
    with ThreadPoolExecutor(NOTE_READS_MAX, thread_name_prefix="read-note") as pool:
        found = list(pool.map(partial(_read_snapshot, client), infos))
    damaged = [info for info, item in zip(infos, found, strict=True) if isinstance(item, str)]
    return Catalog(
        generation,
        tuple(item for item in found if isinstance(item, Snapshot)),
        tuple(segments),
        tuple(item.name for item in damaged),
        tuple(item.created for item in damaged),
    )


def _read_snapshot(client: ReplicaClient, info: SnapshotInfo) -> Snapshot | str | None:
    """A snapshot with its note, its name if the note is damaged, or None if it is gone."""
    try:
        return Snapshot(info, client.snapshot_note(info.name))
    except CorruptObjectError:
        return info.name
    except ObjectNotFoundError:
        # Retention removed it between the listing and now.
        return None
