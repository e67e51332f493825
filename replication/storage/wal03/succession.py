"""Does every object of a generation follow the one before it? Looked for once after each start, from the newest back.

What an earlier run stored is not remembered, and a hole that a mount left by losing a rename it had acknowledged shows
in no listing: that tells where segments begin and not where they end. The objects' numbers tell it, in two small reads
for all of them; with a hole, so many more as it takes to find it by halves. What has no number (Litestream's, and of
earlier versions) is measured, object by object. A hole is only reported where two objects were found not to meet. Two
that meet may be of two programs all the same, each with a copy of the database: then one was counted after another
object than the one that is there. So many requests and bytes a look; the next one goes on from there.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from replication.errors import CorruptObjectError, ObjectNotFoundError
from replication.position import Position
from replication.storage.closing import closing_iterator
from replication.storage.wal03.names import Place, SegmentInfo, SnapshotInfo
from replication.storage.wal03.notes import SegmentNote
from replication.storage.wal03.numbers import Number
from replication.storage.wal03.replica_client import ReplicaClient

READS_MAX = 32
"""Requests of one look."""
READ_BYTES_MAX = 64 << 20
"""Stored bytes that one look reads to measure objects; the first is read whatever its size."""
_NO_NOTE = SegmentNote()


class _SpentError(Exception):
    """So much was read that the rest is for the next look."""


class Succession:
    """Used by one thread at a time."""

    def __init__(self, client: ReplicaClient) -> None:
        self._client = client
        self.forget()

    def forget(self) -> None:
        """Nothing is known any more: another program may have written or removed objects."""
        self._generation = ""
        self._whole_from: Place | None = None
        """What follows this place was looked through."""
        self._done = False
        self._notes: dict[str, SegmentNote] = {}
        self._lengths: dict[str, int] = {}
        """Both are of objects that the next look would ask for again."""
        self._reported: set[Position] = set()
        self._snapshots: set[int] = set()
        self._reads = self._bytes = 0
        self.foreign = ""
        """An object in the place of the one that what follows was written behind, or nothing."""

    def look(
        self, generation: str, snapshots: Sequence[SnapshotInfo], segments: Sequence[SegmentInfo]
    ) -> list[Position]:
        """Where something is missing that a restore from the oldest snapshot needs. Each hole is reported once.

        Both are all that is listed of the generation, segments by (index, offset). Raises StorageError.
        """
        if generation != self._generation:
            self.forget()
            self._generation = generation
        if self._done or not snapshots:
            return []
        self._reads = self._bytes = 0
        self._snapshots = {item.index for item in snapshots}
        oldest = min(self._snapshots)
        row = [item for item in segments if item.index >= oldest]
        here = len(row) - 1
        if self._whole_from is not None:
            here = bisect_right(row, self._whole_from, key=_place) - 1
        found: list[Position] = []
        try:
            while here > 0:
                here = self._back(row, here, found)
                self._whole_from = _place(row[here])
                self._notes = {name: note for name, note in self._notes.items() if name == row[here].name}
                self._lengths.clear()
                self._reported.clear()
        except _SpentError:
            return found
        self._done = True
        return found

    def _back(self, row: Sequence[SegmentInfo], last: int, found: list[Position]) -> int:
        """Look at what lies before an object of the row.

        Return the number of the one from which on all is known by that.
        """
        number = self._number(row[last])
        first = 0 if number is None or number.first is None else bisect_left(row, number.first, key=_place)
        if number is not None and number.nth and first < last:
            begin = self._number(row[first])
            if begin is not None and (begin.first, begin.run) == (number.first, number.run):
                self._count(row, first, last, begin.nth, number, found)
                return first
        # A replica that was left behind begins anew with a snapshot: what lies between is lost, and was reported.
        if number is None or number.nth or row[last].index not in self._snapshots:
            holes = len(found)
            self._meet(row[last - 1], row[last], found)
            before = self._number(row[last - 1])
            if len(found) == holes and number is not None and number.nth and before and before.run != number.run:
                self.foreign = row[last - 1].name
        return last - 1

    def _count(
        self, row: Sequence[SegmentInfo], first: int, last: int, nth: int, number: Number, found: list[Position]
    ) -> None:
        """Find each hole between two objects of one count, the first of which is the `nth`."""
        while first < last and number.nth - nth != last - first:
            before, after, nth_after = first, last, number.nth
            while after - before > 1:
                middle = (before + after) // 2
                between = self._number(row[middle])
                if between is not None and between.run != number.run:
                    between = None
                if between is not None and between.nth - nth == middle - first:
                    before = middle
                else:
                    after, nth_after = middle, between.nth if between is not None else nth + middle - first
            self._meet(row[before], row[after], found)
            first, nth = after, nth_after

    def _meet(self, before: SegmentInfo, after: SegmentInfo, found: list[Position]) -> None:
        """Add the place where something is missing between two objects, if there is one and it was not reported.

        What is damaged is found by a verification.
        """
        if after.index != before.index and _place(after) != (before.index + 1, 0):
            lost = Position(before.generation, before.index + 1, 0)
        else:
            end = after.offset if after.index == before.index else self._end_noted(before.index, after)
            try:
                reached = before.offset + self._length(before) if end > before.offset else end
            except (CorruptObjectError, ObjectNotFoundError):
                return
            if reached >= end:
                return
            lost = Position(before.generation, before.index, reached)
        if lost not in self._reported:
            self._reported.add(lost)
            found.append(lost)

    def _end_noted(self, index: int, after: SegmentInfo) -> int:
        """Where an index ended, by the first object of the next one; 0 if that does not tell."""
        previous = self._note(after).previous
        known = previous is not None and (previous.generation, previous.index) == (after.generation, index)
        return previous.offset if previous is not None and known else 0

    def _number(self, item: SegmentInfo) -> Number | None:
        return self._note(item).number

    def _note(self, item: SegmentInfo) -> SegmentNote:
        if item.name not in self._notes:
            self._spend(0)
            try:
                self._notes[item.name] = self._client.segment_note(item.name) or _NO_NOTE
            except (CorruptObjectError, ObjectNotFoundError):
                self._notes[item.name] = _NO_NOTE
        return self._notes[item.name]

    def _length(self, item: SegmentInfo) -> int:
        """The bytes of the WAL in an object. Raises CorruptObjectError, ObjectNotFoundError, StorageError."""
        if item.name not in self._lengths:
            self._spend(item.size)
            with closing_iterator(self._client.read(item.name)) as pieces:
                self._lengths[item.name] = sum(len(piece) for piece in pieces)
        return self._lengths[item.name]

    def _spend(self, size: int) -> None:
        if self._reads >= READS_MAX or (self._bytes and self._bytes + size > READ_BYTES_MAX):
            raise _SpentError
        self._reads += 1
        self._bytes += size


def _place(item: SegmentInfo) -> Place:
    return (item.index, item.offset)
