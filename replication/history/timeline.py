"""A run of commits of one replica, each of which can be looked at page by page without being restored.

Its promise: a page at a commit is what a restore of that commit would have there. It is the same plan, the same proofs
of snapshot, chain and end, and the same errors; but of the snapshot only what is asked for is read, and nothing of the
database is written to a disk. Memory is bounded: an index of the frames, and what parts.py keeps. One thread at a time.
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.errors import CorruptObjectError, NoRestorePointError, RestoreError
from replication.history.parts import Parts, Source, TableCache
from replication.history.versions import ZEROS, FrameAt, Place, TooManyFramesError, Versions, place_of, position_of
from replication.position import Position
from replication.restore.apply import page_size_of
from replication.restore.meter import RestoreMeter, RestoreProgress
from replication.restore.options import RestoreOptions
from replication.restore.scratch import temporary_folder
from replication.restore.wal03.attempts import Attempts, follow
from replication.restore.wal03.choose import OpenReplica
from replication.restore.wal03.fetch import Fetcher
from replication.restore.wal03.pages import replay_wal
from replication.restore.wal03.plan import Plan
from replication.sqlite.format import FRAME_HEADER_SIZE

KEPT_BYTES_MAX = 32 << 20
"""Pages of WAL that are kept as they were when they were proven; others are read again when they are asked for."""
_HEADER_SIZE = 100
_PAGE, _CHECKSUM = slice(0, 4), slice(16, 20)


@dataclass(frozen=True, slots=True)
class Moment:
    """The database at one commit: `pages` pages, from 1 on. Reading one may wait for the store."""

    timeline: "Timeline"
    position: Position
    pages: int

    @property
    def page_size(self) -> int:
        return self.timeline.page_size

    def page(self, number: int) -> bytes:
        """One page. Raises ObjectNotFoundError, CorruptObjectError, StorageError, RestoreCancelledError."""
        assert 0 < number <= self.pages, number
        return self.timeline.page_at(number, place_of(self.position))


@dataclass(slots=True)
class Timeline:
    """What a plan leads to, and every commit on the way from its snapshot.

    `warnings` are those of a restore. `bytes_read` counts stored bytes.
    """

    replica: str
    plan: Plan
    page_size: int
    end: Position
    warnings: tuple[str, ...]
    versions: Versions
    _file: "_IndexedFile"
    _meter: RestoreMeter

    @property
    def bytes_read(self) -> int:
        return self._meter.bytes_done

    @property
    def requests(self) -> int:
        """Requests for parts of objects."""
        return self._file.parts.requests

    def moment(self, position: Position | None = None) -> Moment:
        """The database at a commit of it, or at its end. Raises NoRestorePointError for a place that is none."""
        position = position or self.end
        end = place_of(position)
        if position != self.end and not self.covers(position):
            raise NoRestorePointError(f"No commit ends at {position}, or it is not from {self.first} to {self.end}.")
        pages = self._file.pages if position == self.end else self.versions.size_at(end)
        return Moment(self, position, self._file.base_pages if pages is None else pages)

    def covers(self, position: Position) -> bool:
        """True for a commit on the way that a restore could have stopped at with this snapshot.

        A snapshot of Litestream may hold later commits of its own index.
        """
        snapshot = self.plan.snapshot
        if snapshot.note is None and position.index <= snapshot.info.index and position != self.end:
            return False
        return position == self.first or self.versions.is_commit(place_of(position))

    @property
    def first(self) -> Position:
        """The commit that the snapshot holds, as far as that is known."""
        return self.plan.start

    def commits(self) -> Sequence[Position]:
        """All commits that it covers, in order."""
        found = [position_of(self.plan.generation, end) for end in self.versions.commits]
        first = [self.first] if self.plan.snapshot.note is not None or not found else []
        return [item for item in (*first, *found) if self.covers(item)]

    def page_at(self, number: int, end: Place) -> bytes:
        """A page at the commit that ends there."""
        return self._file.page_at(number, end)


def read_timeline(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    cache: TableCache,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
) -> Timeline:
    """What a restore with these options would follow, read as far as looks at it need.

    Raises whatever a restore raises but for its output.
    """
    stop = cancel or threading.Event()
    return follow(sources, options, stop, lambda attempts: _read(attempts, cache, progress))


def _read(attempts: Attempts, cache: TableCache, progress: Callable[[RestoreProgress], None]) -> Timeline:
    """Follow one plan."""
    prepared, options, stop = attempts.prepared, attempts.options, attempts.stop
    plan, client = prepared.plan, prepared.source.client
    meter = RestoreMeter(plan.size, plan.objects, progress)
    # What a large segment holds while it is proven has no name there, and is gone with its descriptor.
    fetcher = Fetcher(client, temporary_folder(), stop, options.parallelism, meter.count, options.backoff)
    parts = Parts(client, fetcher, stop, options.backoff, cache, meter.count)
    meter.begin("snapshot", 0)
    file = _IndexedFile(plan, parts, client.address)
    if client.snapshot_note(plan.snapshot.info.name) != plan.snapshot.note:
        raise CorruptObjectError(plan.snapshot.info.name, "it was written anew while it was read")
    try:
        written = replay_wal(plan, fetcher, file, meter, attempts.need, attempts.doubts)
    except TooManyFramesError as error:
        raise RestoreError(f"{error} of WAL after {plan.snapshot.info.name}: restore it to look at it.") from None
    warnings = (*prepared.warnings, *plan.remarks, *written.remarks)
    if written.is_unfinished:
        warnings += ("The replica ends inside a transaction, which was left out: it had not been committed there.",)
    return Timeline(prepared.source.name, plan, file.page_size, written.position, warnings, file.versions, file, meter)


class _IndexedFile:
    """The file that a replay writes to, as an index of where its pages are. Raises as Moment.page."""

    def __init__(self, plan: Plan, parts: Parts, address: str) -> None:
        info = plan.snapshot.info
        self.parts = parts
        self._plan = plan
        sign = f"{address} {info.name} {info.size} {info.created.isoformat()}"
        self._snapshot = Source(info.name, info.size, sign)
        self._segments = plan.segments
        self._starts = [place_of(item.position) for item in plan.segments]
        self._kept: OrderedDict[Place, bytes] = OrderedDict()
        self._end: Place = 0
        self.page_size = page_size_of(info.name, parts.read(self._snapshot, 0, _HEADER_SIZE))
        length = parts.length(self._snapshot)
        note = plan.snapshot.note
        if note is not None and (note.page_size, note.pages * note.page_size) != (self.page_size, length):
            raise CorruptObjectError(
                info.name,
                f"it holds {length} bytes with pages of {self.page_size}, and its note says {note.pages} pages of "
                f"{note.page_size}",
            )
        self.base_pages = self.pages = -(-length // self.page_size)
        self.versions = Versions(self.page_size)

    @property
    def size(self) -> int:
        return self.pages * self.page_size

    def read_page(self, number: int) -> bytes:
        return self.page_at(number, self._end) if 0 < number <= self.pages else b""

    def write_frames(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], at: Position) -> None:
        begin = place_of(at)
        self.versions.add(rows, pages, begin)
        self._end = begin + len(rows) * rows.shape[1]
        self.pages = max(self.pages, int(pages.max()))
        self._keep(rows, pages, begin)

    def resize(self, pages: int) -> None:
        self.pages = pages
        self.versions.cut(self._end, pages)

    def page_at(self, number: int, end: Place) -> bytes:
        """A page as it is when all frames up to a place have been written."""
        frame = self.versions.frame_of(number, end)
        if frame is ZEROS:
            return bytes(self.page_size)
        if frame is not None:
            return self._kept.get(frame.place) or self._frame(number, frame)
        found = self.parts.read(self._snapshot, (number - 1) * self.page_size, self.page_size)
        return found + bytes(self.page_size - len(found))

    def _keep(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], begin: Place) -> None:
        """Remember the last version of each page among these frames, for as long as there is room."""
        _, last = np.unique(pages[::-1], return_index=True)
        for row in (len(pages) - 1 - last).tolist():
            self._kept[begin + row * rows.shape[1]] = rows[row, FRAME_HEADER_SIZE:].tobytes()
        while len(self._kept) * self.page_size > KEPT_BYTES_MAX:
            self._kept.popitem(last=False)

    def _frame(self, number: int, frame: FrameAt) -> bytes:
        """The page in a frame, read again from its segment."""
        segment = self._segments[bisect_right(self._starts, frame.place) - 1]
        offset = position_of(self._plan.generation, frame.place).offset - segment.offset
        source = Source(segment.name, segment.size)
        data = self.parts.read(source, offset, FRAME_HEADER_SIZE + self.page_size)
        page, checksum = int.from_bytes(data[_PAGE], "big"), int.from_bytes(data[_CHECKSUM], "big")
        if len(data) != FRAME_HEADER_SIZE + self.page_size or (page, checksum) != (number, frame.checksum):
            raise CorruptObjectError(segment.name, "it was written anew while it was read")
        return data[FRAME_HEADER_SIZE:]
