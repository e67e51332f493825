"""A timeline of a replica in Litestream's layout: all commits on the way of one restore, each of them a moment.

    plan of a restore    S ----c----c----c----c      the snapshot, and all WAL up to the target
    read at first        (.)---c----c----c----c      WAL, verified frame by frame, for the index of frames (versions.py)
    read for a page      [.]                         of the snapshot only the blocks that are asked for (parts.py)

Its promise: a page at a commit is what a restore of that commit would have there: by the same plan, the same proofs of
snapshot, chain and end, and with the same errors. Nothing of the database is written to a disk. Memory is bounded: by
the index of frames, and what parts.py keeps. One thread at a time.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from replication.errors import (
    CorruptObjectError,
    NoRestorePointError,
    ObjectNotFoundError,
    ReplicaGapError,
    ReplicationError,
    RestoreError,
)
from replication.history.cache import TableCache
from replication.history.versions import Place, TooManyFramesError, Versions, place_of, position_of
from replication.history.wal03.indexed import IndexedFile, SnapshotFile
from replication.history.wal03.parts import Parts
from replication.position import Position
from replication.restore.follow import follow
from replication.restore.layout import Attempts as AnyAttempts
from replication.restore.meter import RestoreMeter, RestoreProgress
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.scratch import temporary_folder
from replication.restore.target import AtPosition
from replication.restore.wal03.attempts import Attempts, attempts_at
from replication.restore.wal03.catalog import Catalog
from replication.restore.wal03.fetch import Fetcher
from replication.restore.wal03.pages import replay_wal
from replication.restore.wal03.plan import Plan, make_plan
from replication.restore.wal03.seen import made_by
from replication.restore.wal03.snapshot_proof import prove_snapshot
from replication.storage.wal03.replica_client import ReplicaClient

NOTES_KEPT_MAX = 10_000
"""Segments whose notes of times are kept."""


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
        """A page by number. Raises ObjectNotFoundError, CorruptObjectError, StorageError, RestoreCancelledError."""
        assert 0 < number <= self.pages, number
        return self.timeline.page_at(number, place_of(self.position))


@dataclass(slots=True)
class Timeline:
    """See contract.Timeline. It follows a plan, and takes another one if an object of the first proves useless."""

    replica: str
    plan: Plan
    page_size: int
    end: Position
    warnings: tuple[str, ...]
    versions: Versions
    _file: IndexedFile
    _meter: RestoreMeter
    _fetcher: Fetcher
    _pages: int
    """How many pages the database has at its end."""
    _again: "Callable[[ReplicationError], Timeline]"
    """Reads the timeline of another plan after an error, or raises an error if there is no other plan."""
    sure: Place | None = None
    """Where the snapshot is Litestream's: the commit of its index from which on it is known to hold nothing later."""
    _before: list[Position] = field(default_factory=list)
    """The first commits of plans that were given up: they still count as commits of this timeline."""
    _spent: tuple[int, int] = (0, 0)
    """Bytes and requests that those plans took."""
    _seen: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    @property
    def bytes_read(self) -> int:
        return self._spent[0] + self._meter.bytes_done

    @property
    def requests(self) -> int:
        """Requests for parts of objects."""
        return self._spent[1] + self._file.parts.requests

    def moment(self, position: Position | None = None) -> Moment:
        """The database at a commit of it, or at its end. Raises NoRestorePointError for a place that is none."""
        position = position or self.end
        end = place_of(position)
        if position != self.end and not self.covers(position):
            raise NoRestorePointError(f"No commit ends at {position}, or it is not from {self.first} to {self.end}.")
        pages = self._pages if position == self.end else self.versions.size_at(end)
        return Moment(self, position, self._file.base_pages if pages is None else pages)

    def covers(self, position: Position) -> bool:
        """True for a commit on the way that a restore could have stopped at with this snapshot.

        A snapshot of Litestream may hold later commits of its own index.
        """
        if position in self._before:
            return True
        snapshot = self.plan.snapshot
        sure = self.sure if self.sure is not None else (snapshot.info.index + 1) << 32
        if snapshot.note is None and place_of(position) < sure and position != self.end:
            return False
        return position == self.first or self.versions.is_commit(place_of(position))

    @property
    def first(self) -> Position:
        """The commit that the snapshot holds; of one of Litestream's, which does not say, the start of its index."""
        return self.plan.start

    def ends(self) -> list[Place]:
        """The places of all commits that it covers, in order."""
        end, commits = place_of(self.end), self.versions.commits
        if self.plan.snapshot.note is not None:
            return [place_of(self.first), *(item for item in commits if item <= end)]
        return [item for item in commits if item < end and self.covers(self.position(item))] + [end]

    def position(self, place: Place) -> Position:
        """The position with this number."""
        return position_of(self.plan.generation, place)

    def written_at(self, end: Place) -> datetime:
        """When the object with the commit that ends there was stored: its segment, or the snapshot that is all."""
        number = bisect_left(self._file.starts, end) - 1
        return self.plan.segments[number].created if number >= 0 else self.plan.snapshot.info.created

    def seen_at(self, end: Place) -> datetime | None:
        """When the commit that ends there was made, as its segment notes it."""
        number = bisect_left(self._file.starts, end) - 1
        if number < 0:
            return None
        segment = self.plan.segments[number]
        if segment.name not in self._seen:
            if len(self._seen) >= NOTES_KEPT_MAX:
                self._seen.clear()
            try:
                note = self._fetcher.segment_note(segment.name)
            except CorruptObjectError:
                note = None
            self._seen[segment.name] = note.seen if note is not None else ()
        ages = (age for offset, age in self._seen[segment.name] if offset >= self.position(end).offset)
        age = next(ages, None)
        return made_by(segment.created, age) if age is not None else None

    def pages_between(self, begin: Place, end: Place) -> NDArray[np.uint32]:
        """The pages that were written between two commits, one for each frame."""
        return self.versions.pages_between(begin, end)

    def last_written(self, pages: Collection[int], before: Place, header: bool = False) -> Place | None:
        """Where the last frame of any of these pages begins, before a place.

        Of the first page only those frames count that change more than the size of the database and of its freelist:
        most commits of a database that grows write it, and what it says of tables stays as it is. They count for who
        asks for its `header`.
        """
        if header:
            return self.versions.last_written(np.array(sorted({*pages, 1}), dtype=np.uint32), before)
        found = self.versions.last_written(np.array(sorted(set(pages) - {1}), dtype=np.uint32), before)
        first = bisect_left(self._file.first_page, before) - 1
        if 1 in pages and first >= 0:
            found = max(found or 0, self._file.first_page[first])
        return found

    def page_at(self, number: int, end: Place) -> bytes:
        """A page at the commit that ends there, from an older snapshot with more WAL where an object proves useless."""
        while True:
            try:
                return self._file.page_at(number, end)
            except (CorruptObjectError, ObjectNotFoundError) as error:
                self._take(self._again(error))

    def _take(self, other: "Timeline") -> None:
        """Go on with the timeline of another plan, which leads to the same commit from further back."""
        if other.page_size != self.page_size or place_of(other.end) < place_of(self.end):
            raise ReplicaGapError(f"The WAL in the replica ends at {other.end} now, before {self.end}.")
        self._before.append(self.first)
        self._spent = (self.bytes_read, self.requests)
        self.replica, self.plan, self.warnings, self.sure = other.replica, other.plan, other.warnings, None
        self.versions, self._file, self._fetcher, self._again = (
            other.versions,
            other._file,
            other._fetcher,
            other._again,
        )
        self._meter = other._meter
        self._seen.clear()


def read_timeline(
    sources: Sequence[OpenReplica],
    options: RestoreOptions,
    cache: TableCache,
    progress: Callable[[RestoreProgress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
    is_whole: bool = False,
) -> Timeline:
    """Return the timeline that ends with the commit which a restore with these options gives.

    With `is_whole` it is also found out which commits in the index of a snapshot of Litestream's can be looked at.
    Raises whatever that restore raises, but for its output.
    """
    stop = cancel or threading.Event()
    return _followed(attempts_at(sources, options, stop), cache, progress, is_whole)


def _followed(
    attempts: AnyAttempts, cache: TableCache, progress: Callable[[RestoreProgress], None], is_whole: bool
) -> Timeline:
    return follow(attempts, lambda attempts: _read(attempts, cache, progress, is_whole))


def _read(
    attempts: AnyAttempts, cache: TableCache, progress: Callable[[RestoreProgress], None], is_whole: bool
) -> Timeline:
    """Follow one plan."""
    assert isinstance(attempts, Attempts), "those that others are instead of are of the same layout"
    prepared, options, stop = attempts.prepared, attempts.options, attempts.stop
    plan, client = prepared.plan, prepared.source.client(ReplicaClient)
    meter = RestoreMeter(plan.size, plan.objects, progress)
    # What a large segment holds while it is proven has no name there, and is gone with its descriptor.
    fetcher = Fetcher(client, temporary_folder(), stop, options.parallelism, meter.count, options.backoff)
    parts = Parts(client, fetcher, stop, options.backoff, cache, meter.count)
    meter.begin("snapshot", 0)
    file = IndexedFile(plan, parts, client.address)
    if client.snapshot_note(plan.snapshot.info.name) != plan.snapshot.note:
        raise CorruptObjectError(plan.snapshot.info.name, "it was written anew while it was read")
    try:
        written = replay_wal(plan, fetcher, file, meter, attempts.need, attempts.doubts, file.take_indexed)
    except TooManyFramesError as error:
        raise RestoreError(f"{error} of WAL after {plan.snapshot.info.name}: restore it to look at it.") from None
    warnings = (*prepared.warnings, *plan.remarks, *written.remarks)
    if written.is_unfinished:
        warnings += ("The replica ends inside a transaction, which was left out: it had not been committed there.",)

    def again(error: ReplicationError) -> Timeline:
        before = attempts.prepared.warnings
        attempts.plan_again(error)
        for words in attempts.prepared.warnings:
            if words not in before:
                options.waiting(words)
        return _followed(attempts, cache, lambda progress: None, is_whole=False)

    timeline = Timeline(
        replica=prepared.source.name,
        plan=plan,
        page_size=file.page_size,
        end=written.position,
        warnings=warnings,
        versions=file.versions,
        _file=file,
        _meter=meter,
        _fetcher=fetcher,
        _pages=file.pages,
        _again=again,
    )
    if is_whole and plan.snapshot.note is None:
        timeline.sure = _sure_from(prepared.offer.catalog, timeline, file, fetcher)
    return timeline


def _sure_from(catalog: Catalog, timeline: Timeline, file: IndexedFile, fetcher: Fetcher) -> Place | None:
    """The first commit in the index of a snapshot of Litestream's, if it is proven to hold nothing later."""
    plan = timeline.plan
    first = next(iter(timeline.versions.commits), None)
    if first is None or first >> 32 != plan.snapshot.info.index:
        return None
    try:
        proof = make_plan(replace(catalog, snapshots=(plan.snapshot,)), AtPosition(timeline.position(first)))
        if proof.proof != "inside":
            return None
        prove_snapshot(proof, SnapshotFile(file), fetcher)
    except (CorruptObjectError, ReplicaGapError, NoRestorePointError):
        return None
    return first
