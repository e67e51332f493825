"""Segments in order into the database file, each frame verified first and only whole transactions written.

Its promise: frames reach the file only when their salts and checksums continue the chain from the header of
their index, a commit follows, and that commit is not past the one asked for. A segment that is missing,
overlaps or is damaged raises an error that names it. It leaves to the caller: which segments there are
(plan.py), and their bytes.
"""

from collections.abc import Callable

import numpy as np

from replication.errors import CorruptObjectError, NoRestorePointError, ReplicaGapError
from replication.position import Position
from replication.restore.plan_contract import PageFile
from replication.restore.wal03.gaps import gap_words
from replication.restore.wal03.plan import Plan
from replication.restore.wal03.reading import BLOCK_BYTES, Index, block_size, blocks, content_between
from replication.restore.wal03.segment_run import SegmentRun
from replication.restore.wal03.signs import check_mark, check_note, mark_of
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.sqlite.wal import Frames, WALHeader, salt_steps
from replication.storage.wal03.frame_index import FrameIndex
from replication.storage.wal03.names import SegmentInfo
from replication.storage.wal03.notes import SegmentNote

TakeIndexed = Callable[[SegmentInfo, FrameIndex, slice, Position], None]
"""Given a segment, its index, and which rows of it, the first of which begins at a position."""


class Replay:
    """Feeds one plan's segments to a file. Not thread-safe.

    `begins` is called with each index while the file is what it was at the start of it. `indexed` takes frames of
    segments of which only the index was read, in place of the file.
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
        self._index: Index | None = None
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
        if run.index is not None and not self._goes_on(run.index, run):
            # Then it is not of this WAL, or what is here is not; its content tells.
            assert run.whole is not None, "an index is not all that there is"
            run = run.whole()
        groups = list(run.groups(BLOCK_BYTES))
        try:
            index = self._place(groups[0])
        except BaseException:
            run.close()
            raise
        index.waiting.append(run)
        for group in groups:
            try:
                self._read(group)
            except CorruptObjectError:
                if len(group.infos) == 1:
                    raise
                # Read one by one, the segments tell which of them is damaged.
                for segment in group.singles():
                    self._read(segment)
        self._let_go(index)

    def _goes_on(self, found: FrameIndex, run: SegmentRun) -> bool:
        """True if the frames of an index follow those before by salts and checksum, and somebody takes them."""
        here = self._index
        if self._indexed is None:
            return False
        if here is None or here.number != run.info.index:
            return not run.info.offset and found.before == found.header.sums
        return (found.header, found.before) == (here.header, here.sums)

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
        """Raise ReplicaGapError unless the object after those used begins where they end.

        `note` is that object's note.
        """
        following = self._plan.following
        here = self._index
        start = self._plan.start
        index, end = (here.number, here.end) if here is not None else (start.index, start.offset)
        if (start.index, start.offset) > (index, end):
            index, end = start.index, start.offset
        if following is None or (following.index, following.offset) <= (index, end):
            return
        generation = self._plan.generation
        if following.index == index:
            missing = Position(generation, index, end)
        else:
            before = note.previous if note is not None else None
            expected = before.offset if before is not None and before.index == index else 0
            if (following.index, following.offset) == (index + 1, 0) and expected <= max(end, WAL_HEADER_SIZE):
                return
            lost = (following.index, following.offset) == (index + 1, 0)
            missing = Position(generation, index, end) if lost else Position(generation, index + 1, 0)
        raise ReplicaGapError(gap_words(missing, self.reached))

    def close(self) -> None:
        """Let go of runs that are still waiting for a commit."""
        if self._index is not None:
            for run in self._index.waiting:
                run.close()
            self._index.waiting.clear()

    @property
    def unfinished(self) -> bool:
        """True if the last segment ends inside a transaction, whose frames were left out."""
        index = self._index
        return index is not None and index.end > max(index.committed, WAL_HEADER_SIZE) and self._plan.stop is None

    def _read(self, run: SegmentRun) -> None:
        """Verify segments that continue each other, and write a block if there is one.

        If there are several, they are no longer than a block together, and nothing has changed when it raises.
        """
        index = self._place(run)
        for start, frames in blocks(run, index):
            self._check_snapshot(index, start, frames)
            self._note_commits(index, start, frames)
            index.sums, index.mark = frames.sums, mark_of(frames, frames.count - 1)
            index.end = start + frames.count * index.header.frame_size
        index.end = max(index.end, WAL_HEADER_SIZE)
        self.settled = self.reached
        if index.committed - index.written >= BLOCK_BYTES:
            self._write(index)
        self.segments += len(run.infos)

    def _place(self, run: SegmentRun) -> Index:
        """The index that segments belong to, which they must continue."""
        if self._index is None or run.info.index != self._index.number:
            self._begin_index(run)
        assert self._index is not None
        self._check_place(self._index, run)
        return self._index

    def _begin_index(self, run: SegmentRun) -> None:
        info = run.info
        check_note(info, run.note)
        if self._index is not None:
            self._check_sealed(self._index, run)
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
            self._check_salts(self._index.header, header, run)
        self._salts.add(header.salts)
        self._index = Index(info.index, header, header.sums)
        start = self._plan.start
        if start.index == info.index:
            # No frame up to there is newer than what the snapshot holds.
            self._index.written = max(start.offset, WAL_HEADER_SIZE)

    def _check_place(self, index: Index, run: SegmentRun) -> None:
        info = run.info
        if info.offset > index.end:
            raise ReplicaGapError(gap_words(Position(info.generation, index.number, index.end), self.reached))
        if info.offset < index.end:
            raise CorruptObjectError(
                info.name,
                f"the segment before it ends at {index.end}, past where this one starts; two programs may have "
                "written this replica",
            )
        for part, length in zip(run.infos, run.lengths, strict=True):
            header = 0 if part.offset else WAL_HEADER_SIZE
            if length < header or (length - header) % index.header.frame_size:
                raise CorruptObjectError(part.name, f"{length} bytes are not whole frames")

    def _check_sealed(self, index: Index, following: SegmentRun) -> None:
        """Raise unless an index ends at a commit, and where the note of the next index says."""
        generation = following.info.generation
        expected = following.note.previous if following.note is not None else None
        known = expected is not None and (expected.generation, expected.index) == (generation, index.number)
        if known and expected is not None and max(expected.offset, WAL_HEADER_SIZE) < index.end:
            raise CorruptObjectError(
                following.info.name,
                f"its note says that the index before it ends at {expected}, not at {index.end}",
            )
        if known and expected is not None and expected.offset == index.end:
            check_mark(following.info.name, following.note.frame if following.note else None, index.mark)
        short = known and expected is not None and expected.offset > max(index.end, WAL_HEADER_SIZE)
        torn = index.end > max(index.committed, WAL_HEADER_SIZE)
        behind = (self._plan.start.index, self._plan.start.offset) > (index.number, index.end)
        if short or torn or behind:
            raise ReplicaGapError(gap_words(Position(generation, index.number, index.end), self.reached))

    def _check_snapshot(self, index: Index, start: int, frames: Frames) -> None:
        """Raise unless the snapshot holds the commit that its WAL has there: else it is of another database."""
        held, note = self._plan.start, self._plan.snapshot.note
        row = (held.offset - start) // index.header.frame_size - 1
        if note is not None and held.index == index.number and 0 <= row < frames.count:
            check_mark(self._plan.snapshot.info.name, note.frame, mark_of(frames, row))

    def _check_salts(self, before: WALHeader, header: WALHeader, run: SegmentRun) -> None:
        """Raise unless the WAL comes after that of the index before: else it is of another place, or another database.

        Where a note says which index came before, the salts prove nothing more: an application may have emptied the WAL
        any number of times in between, with nothing in it. But the same salts must not come twice.
        """
        info = run.info
        previous = run.note.previous if run.note is not None else None
        if previous is not None and header.salt1 != before.salt1 and header.salts not in self._salts:
            return
        steps = salt_steps(before, header)
        # Salts by chance may be any, but not those of an index before: then it is the same WAL once more.
        unknown = not steps and header.salts_by_chance and header.salts not in self._salts
        if not steps and not unknown:
            raise CorruptObjectError(info.name, "by its salts it does not follow the WAL of the index before it")
        if steps != 1 and run.note is None:
            how = "emptied" if unknown else f"restarted {steps} times"
            self.remarks.append(
                f"Between the indexes {info.index - 1:08x} and {info.index:08x} the WAL was {how}, "
                "and nothing says that no commit was lost there: Litestream wrote this. Check the data."
            )

    def _note_commits(self, index: Index, start: int, frames: Frames) -> None:
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

    def _write(self, index: Index) -> None:
        """Write the frames up to the last commit."""
        size, generation = index.header.frame_size, self._plan.generation
        while index.written < index.committed:
            end = min(index.committed, index.written + block_size(size))
            run = next((run for run in index.waiting if run.index is not None and index.written < run.end), None)
            if run is not None and run.index is not None and run.index.begin <= index.written:
                end = min(index.committed, run.end)
                rows = slice((index.written - run.index.begin) // size, (end - run.index.begin) // size)
                assert self._indexed is not None, "else it was read"
                self._indexed(run.info, run.index, rows, Position(generation, index.number, index.written))
                index.written = end
                continue
            end = min(end, run.index.begin) if run is not None and run.index is not None else end
            data = np.frombuffer(content_between(index, index.written, end), dtype=np.uint8).reshape(-1, size)
            pages = data[:, :4].copy().view(">u4")[:, 0].astype(np.uint32)
            self._file.write_frames(data, pages, Position(generation, index.number, index.written))
            index.written = end

    def _let_go(self, index: Index) -> None:
        """Close the runs that hold nothing more to write."""
        needed = []
        for run in index.waiting:
            if run.end > index.written:
                needed.append(run)
            else:
                run.close()
        index.waiting = needed

    def _end_index(self, index: Index) -> None:
        self._write(index)
        for run in index.waiting:
            run.close()
        index.waiting.clear()
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
