"""What one generation of a replica holds, as values: its snapshots with their notes, and its segments.

Reading it costs two listings and one small read a snapshot. Which of it is used is decided in plan.py.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from replication.errors import CorruptObjectError, ObjectNotFoundError
from replication.position import OFFSET_LIMIT_BYTES, Position, positions_in
from replication.restore.target import time_from
from replication.sqlite.format import PAGE_SIZES, WAL_HEADER_SIZE, align
from replication.storage.container import Note
from replication.storage.names import SegmentInfo, SnapshotInfo
from replication.storage.replica_client import ReplicaClient

NOTE_READS_MAX = 8
"""Notes read from the store at the same time."""
PAGES_MAX = 0xFFFFFFFE
"""The most pages that SQLite allows in a database."""
_PERMISSIONS = 0o777


@dataclass(frozen=True, slots=True)
class SnapshotNote:
    """What our snapshots say of themselves: the exact commit they hold, and where they come from.

    `mode` has the permission bits of the source or is None; `previous` is the generation before or "", and
    `earlier` are some before that one. `beside` are those of them that another program was seen to go on with.
    `begins` if nothing of the generation was in the replica before. `problems` are what SQLite's check was known to
    find in the source then. `lefts` is where older generations were left that have no end mark. `frame` is the mark of
    the last frame that it holds (signs.py), or "".
    """

    position: Position
    pages: int
    page_size: int
    mode: int | None
    time: datetime | None
    reason: str
    previous: str
    earlier: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    begins: bool = False
    problems: tuple[str, ...] = ()
    lefts: tuple[Position, ...] = ()
    frame: str = ""

    @property
    def before(self) -> set[str]:
        """The generations known to be older than that of this snapshot."""
        return {self.previous, *self.earlier} - {"", self.position.generation}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot, with its note if this program wrote it."""

    info: SnapshotInfo
    note: SnapshotNote | None

    @property
    def position(self) -> Position:
        """The commit it holds; without a note the start of its index, of which it may hold some more."""
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
        return min(self._times(), default=None)

    @property
    def newest(self) -> datetime | None:
        """Time of the newest object."""
        return max(self._times(), default=None)

    @property
    def reach(self) -> tuple[int, int]:
        """The furthest (index, offset) at which something is known to begin; (-1, 0) without objects."""
        ends = [(item.index, item.offset) for item in self.segments[-1:]]
        ends += [(item.position.index, item.position.offset) for item in self.snapshots]
        return max(ends, default=(-1, 0))

    def _times(self) -> list[datetime]:
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


def read_snapshot_note(client: ReplicaClient, info: SnapshotInfo) -> SnapshotNote | None:
    """The note of one snapshot, or None for Litestream's. Raises StorageError, CorruptObjectError."""
    return parse_note(client.read_note(info.name), info)


def parse_note(note: Note | None, info: SnapshotInfo) -> SnapshotNote | None:
    """The note if every part that a restore leans on makes sense for this snapshot, else None.

    A snapshot whose note is not believed is treated as Litestream's, which promises less. Raises
    CorruptObjectError if the note is that of another snapshot, whose content is of another commit.
    """
    if note is None or note.get("v") != 1:
        return None
    try:
        position = Position.parse(str(note.get("position")))
    except ValueError:
        return None
    if (position.generation, position.index) != (info.generation, info.index):
        raise CorruptObjectError(info.name, f"its note says that it is the snapshot of {position}")
    pages, page_size, mode = note.get("pages"), note.get("page_size"), note.get("mode")
    if not isinstance(pages, int) or not 0 < pages <= PAGES_MAX or page_size not in PAGE_SIZES:
        return None
    if position.offset >= OFFSET_LIMIT_BYTES or not is_frame_end(position.offset, int(page_size)):
        return None
    return SnapshotNote(
        position=position,
        pages=pages,
        page_size=int(page_size),
        mode=mode & _PERMISSIONS if isinstance(mode, int) else None,
        time=time_from(str(note.get("time"))),
        reason=str(note.get("reason", "")),
        previous=str(note.get("previous", "")),
        earlier=tuple(str(note.get("earlier", "")).split()),
        beside=tuple(str(note.get("beside", "")).split()),
        begins=bool(note.get("begins")),
        problems=tuple(str(note.get("check", "")).splitlines()),
        lefts=positions_in(str(note.get("lefts", ""))),
        frame=str(note.get("frame", "")),
    )


def is_frame_end(offset: int, page_size: int) -> bool:
    """True for 0, the end of the WAL header, and the end of each frame."""
    return offset == 0 or (offset >= WAL_HEADER_SIZE and align(offset, page_size) == offset)


def _read_snapshot(client: ReplicaClient, info: SnapshotInfo) -> Snapshot | str | None:
    """A snapshot with its note, its name if the note is damaged, or None if it is gone."""
    try:
        return Snapshot(info, read_snapshot_note(client, info))
    except CorruptObjectError:
        return info.name
    except ObjectNotFoundError:
        # Retention removed it between the listing and now.
        return None
