"""Segments in order into the database file, each frame verified first and only whole transactions written.

Its promise: frames reach the file only when their salts and checksums continue the chain from the header of
their index, a commit follows, and that commit is not past the one asked for. A segment that is missing,
overlaps or is damaged raises an error that names it (joins.py). It leaves to the caller: which segments there are
(plan.py), and their bytes.
"""

from collections.abc import Callable

import numpy as np

from replication.errors import CorruptObjectError, NoRestorePointError, ReplicaGapError
from replication.position import Position
from replication.restore.plan_contract import PageFile
from replication.restore.wal03.gaps import gap_words
from replication.restore.wal03.index_read import BLOCK_BYTES, IndexRead
from replication.restore.wal03.joins import check_following, check_place, check_salts, check_sealed
from replication.restore.wal03.plan import Plan
from replication.restore.wal03.segment_run import SegmentRun
from replication.restore.wal03.signs import check_mark, check_note, mark_of
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import Frames, WALHeader
from replication.storage.wal03.frame_index import FrameIndex
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.notes import SegmentNote

TakeIndexed = Callable[[SegmentInfo, FrameIndex, slice, Position], None]
"""Called with a segment, its frame index, the rows of that to take, and the position at which the first row begins."""


class Replay:
    """Feeds one plan's segments to a file. Not thread-safe.

    `begins` is called with each index while the file is what it was at the start of it. `indexed` takes frames of
    segments of which only the frame index was read, in place of the file.
    """

    def __init__(
        self,
        plan: Plan,
        file: PageFile,
        begins: Callable[[int], None] = lambda index: None,
        indexed: TakeIndexed | None = None,
    ) -> None:
        self._plan = plan
        self._indexed = indexed
        self._file = file
        self._begins = begins
        self._index: IndexRead | None = None
        self._salts: set[tuple[int, int]] = set()
        """The salts of every index so far."""
        self.reached = plan.start
        """The commit that the file holds, once `finish` has returned; before it, the last one read."""
        self.settled = plan.start
        """The last commit of the segments that were found to be whole."""
        self._next_commit: Position | None = None
        self.segments = 0
        self.remarks: list[str] = []
        """What a person should know of the replica, in words."""

    def add(self, run: SegmentRun) -> None:
        """Verify segments. Their frames are written once there is a block of them, or their index ends.

        Most commits write the same few pages again: of those in a block only the last version is written.
        """
        if run.frame_index is not None and not self._goes_on(run, run.frame_index):
            # The frame index does not continue what was read, or nobody takes indexed frames: read the content, which
            # says what is wrong.
            assert run.whole is not None, "only its frame index was read, and the content cannot be"
            run = run.whole()
        groups = list(run.groups(BLOCK_BYTES))
        if self._is_beside(groups[0]):
            run.close()
            return
        try:
            index = self._place(groups[0])
        except BaseException:
            run.close()
            raise
        index.waiting.append(run)
        for group in groups:
            if self._is_beside(group):
                continue
            try:
                self._read(group)
            except CorruptObjectError:
                if len(group.infos) == 1:
                    raise
                # Read one by one, the segments tell which of them is damaged.
                for segment in group.singles():
                    self._read(segment)
        self._let_go(index)

    def _goes_on(self, run: SegmentRun, found: FrameIndex) -> bool:
        """True if the frames of an index follow those before by salts and checksum, and somebody takes them."""
        here = self._index
        if self._indexed is None:
            return False
        if here is None or here.number != run.info.index:
            return not run.info.offset and found.before == found.header.sums
        return here.goes_on_with(found)

    def finish(self) -> None:
        """Bring the file to the size of the last commit. Raises unless the commit asked for was reached."""
        if self._index is not None:
            self._end_index(self._index)
        stop = self._plan.stop
        if stop is None or stop == self.reached or self._is_start_after_all(stop):
            return
        words = f"The nearest commits: {self.reached} before it"
        last = self._plan.segments[-1].name if self._plan.segments else self._plan.snapshot.info.name
        words += f" and {self._next_commit} after it." if self._next_commit else f", and none after it in {last}."
        raise NoRestorePointError(f"No commit ends at {stop}. {words}")

    def check_following(self, note: SegmentNote | None) -> None:
        """Raise ReplicaGapError unless the object after those used, which has this note, begins where they end."""
        check_following(self._plan, self._index, self.reached, note)

    def close(self) -> None:
        """Let go of runs that are still waiting for a commit."""
        if self._index is not None:
            for run in self._index.waiting:
                run.close()
            self._index.waiting.clear()

    @property
    def unfinished(self) -> bool:
        """True if the last segment ends inside a transaction, whose frames were left out."""
        return self._index is not None and self._index.torn and self._plan.stop is None

    def _read(self, run: SegmentRun) -> None:
        """Verify segments that continue each other, and write a block if there is one.

        If there are several, they are no longer than a block together, and nothing has changed when it raises.
        """
        index = self._place(run)
        for start, frames in index.verified(run):
            self._check_snapshot(index, start, frames)
            self._note_commits(index, start, frames)
            index.sums, index.mark = frames.sums, mark_of(frames, frames.count - 1)
            index.end = start + frames.count * index.header.frame_size
        index.end = max(index.end, WAL_HEADER_SIZE)
        self.settled = self.reached
        if index.committed - index.written >= BLOCK_BYTES:
            self._write(index)
        self.segments += len(run.infos)

    def _place(self, run: SegmentRun) -> IndexRead:
        """The index that segments belong to, which they must continue."""
        if self._index is None or run.info.index != self._index.number:
            self._begin_index(run)
        assert self._index is not None
        check_place(self._index, run, self.reached)
        return self._index

    def _is_beside(self, run: SegmentRun) -> bool:
        """True for a segment to be skipped.

        It overlaps WAL that was read up to the commit asked for, and ends before that commit. Two programs wrote: an
        object vanished, and one of two programs sent it again with more in it, while the other one wrote behind what
        had been there. The commit is of the first one's WAL; the other one's has nothing at that place.

            read       |---c-------c-----|
            beside           |---c--|
            asked for              ^
        """
        index, stop = self._index, self._plan.stop
        if index is None or stop is None or (run.info.index, stop.index) != (index.number, index.number):
            return False
        return run.info.offset < index.end and run.end < stop.offset <= index.end

    def _begin_index(self, run: SegmentRun) -> None:
        info = run.info
        check_note(info, run.note)
        if self._index is not None:
            check_sealed(self._plan, self._index, run, self.reached)
            self._end_index(self._index)
        self._begins(info.index)
        if info.offset:
            raise ReplicaGapError(gap_words(Position(info.generation, info.index, 0), self.reached))
        try:
            header = WALHeader.parse(run.read_at(0, WAL_HEADER_SIZE))
        except ValueError as error:
            raise CorruptObjectError(info.name, str(error)) from None
        if header.page_size != self._file.page_size:
            raise CorruptObjectError(
                info.name, f"its page size is {header.page_size}, that of the snapshot {self._file.page_size}"
            )
        if self._index is not None:
            self.remarks += check_salts(self._index.header, header, self._salts, run)
        self._salts.add(header.salts)
        self._index = IndexRead(info.index, header, header.sums)
        start = self._plan.start
        if start.index == info.index:
            # No frame up to there is newer than what the snapshot holds.
            self._index.written = max(start.offset, WAL_HEADER_SIZE)

    def _check_snapshot(self, index: IndexRead, start: int, frames: Frames) -> None:
        """Raise unless the snapshot holds the commit that its WAL has there: else it is of another database."""
        held, note = self._plan.start, self._plan.snapshot.note
        row = (held.offset - start) // index.header.frame_size - 1
        if note is not None and held.index == index.number and 0 <= row < frames.count:
            check_mark(self._plan.snapshot.info.name, note.frame, mark_of(frames, row))

    def _note_commits(self, index: IndexRead, start: int, frames: Frames) -> None:
        """Remember the last commit that is not past the target, and the first that is."""
        generation, size = self._plan.generation, index.header.frame_size
        rows = np.flatnonzero(frames.commits)
        ends = start + (rows + 1) * size
        stop = self._plan.stop
        inside = len(rows)
        if stop is not None and stop.index == index.number:
            inside = int(np.searchsorted(ends, stop.offset, side="right"))
            if inside < len(rows) and self._next_commit is None:
                self._next_commit = Position(generation, index.number, int(ends[inside]))
        if inside:
            index.committed = int(ends[inside - 1])
            index.pages = int(frames.commits[rows[inside - 1]])
            commit = Position(generation, index.number, index.committed)
            self.reached = max(self.reached, commit)

    def _write(self, index: IndexRead) -> None:
        """Write the frames up to the last commit."""
        size = index.header.frame_size
        while index.written < index.committed:
            end = min(index.committed, index.written + index.block_size)
            run = index.indexed_from(index.written)
            if run is not None and run.frame_index is not None:
                if run.frame_index.begin <= index.written:
                    self._pass_on(index, run, run.frame_index)
                    continue
                end = min(end, run.frame_index.begin)
            data = np.frombuffer(index.content(index.written, end), dtype=np.uint8).reshape(-1, size)
            pages = data[:, :4].copy().view(">u4")[:, 0].astype(np.uint32)
            self._file.write_frames(data, pages, Position(self._plan.generation, index.number, index.written))
            index.written = end

    def _pass_on(self, index: IndexRead, run: SegmentRun, found: FrameIndex) -> None:
        """Tell of the frames of an index, up to the last commit."""
        size, end = index.header.frame_size, min(index.committed, run.end)
        rows = slice((index.written - found.begin) // size, (end - found.begin) // size)
        assert self._indexed is not None, "else all of it was read"
        self._indexed(run.info, found, rows, Position(self._plan.generation, index.number, index.written))
        index.written = end

    def _let_go(self, index: IndexRead) -> None:
        """Close the runs that hold nothing more to write."""
        needed = []
        for run in index.waiting:
            if run.end > index.written:
                needed.append(run)
            else:
                run.close()
        index.waiting = needed

    def _end_index(self, index: IndexRead) -> None:
        self._write(index)
        for run in index.waiting:
            run.close()
        index.waiting.clear()
        # Not if only WAL from before the snapshot's commit was read: the file has the snapshot's size, which is newer.
        if index.pages and index.committed >= index.written:
            self._file.resize(index.pages)

    def _is_start_after_all(self, stop: Position) -> bool:
        """True if `stop` is the start of an index, and the file has everything before it."""
        if stop.offset > WAL_HEADER_SIZE:
            return False
        return self.reached.index == stop.index - 1 or (self.reached.index, self.reached.offset) == (
            stop.index,
            0,
        )
