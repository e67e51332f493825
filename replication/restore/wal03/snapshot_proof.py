"""Proof that a snapshot of Litestream holds no frame past the target.

Such a snapshot holds its index up to an unknown commit U. If U lay past the target, every page of the first
transaction after the target would be in the snapshot in one of its versions from after the target. So one
page that equals none of them proves that U is not past the target, and replaying up to there gives exactly
that commit. That holds only where the WAL up to U is in the replica (plan.py sees to that): a page may also be of
a commit whose WAL never arrived.

Where nothing was written after the snapshot, only this proves that it can be used with the WAL of its index: every
page that this WAL wrote is in the snapshot as it was written last, and the size is that of the last commit. Then
replaying changes nothing, so the snapshot is what comes out, which was a commit. Of the snapshot with which a
generation began, it is enough that all those pages are as one of the commits of that WAL left them: nobody takes
another in the same second.
"""

from contextlib import closing
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from replication.errors import CorruptObjectError
from replication.restore.plan_contract import PageFile
from replication.restore.wal03.doubts import UndatedSnapshotError, digest_of
from replication.restore.wal03.fetch import Fetcher
from replication.restore.wal03.plan import Plan
from replication.restore.wal03.segment_run import SegmentRun
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import Frames, WALHeader, frames_in
from replication.storage.wal03.notes import PAGES_MAX

SAMPLE_PAGES_MAX = 64
"""Pages of the first transaction after the target that are compared."""
_BLOCK_BYTES = 4 << 20
_BY_CONTENT = ("same", "start")


def prove_snapshot(plan: Plan, file: PageFile, fetcher: Fetcher) -> None:
    """Compare the snapshot, which is all that `file` holds yet, with the WAL of its index.

    Raises UndatedSnapshotError unless the snapshot is proven to end at or before the target.
    """
    if not plan.proof:
        return
    first = plan.segments[0].name
    try:
        header = WALHeader.parse(fetcher.head(first, WAL_HEADER_SIZE))
    except ValueError as error:
        raise CorruptObjectError(first, str(error)) from None
    sample = _Sample(file)
    last = _Last(file)
    sums: Sums | None = None
    target = plan.stop.offset if plan.stop is not None else None
    with closing(fetcher.segments(plan.proof_segments)) as runs:
        for run in runs:
            with closing(run):
                for segment in run.singles():
                    if target is None and plan.proof not in _BY_CONTENT:
                        target = segment.end
                    looks = (sample, last) if plan.proof in _BY_CONTENT else (sample, None)
                    sums = _look(segment, header, sums, target, *looks)
    later = sample.holds_later if plan.proof == "inside" else sample.seen
    unlike = plan.proof in _BY_CONTENT and not (last.same or (plan.proof == "start" and last.was))
    if later or unlike:
        words = (
            f"{plan.snapshot.info.name} was written by Litestream and may hold later commits of its index, so the "
            f"target cannot be restored exactly. {_instead(plan)}"
        )
        rest = digest_of(file, last.pages) if plan.proof in _BY_CONTENT and last.was else None
        raise UndatedSnapshotError(words, plan.snapshot, digest_of(file), rest)


def _instead(plan: Plan) -> str:
    """What can be restored instead, in words."""
    generation, index = plan.generation, plan.snapshot.info.index
    if plan.proof == "inside":
        return f"Restore a later point, such as the end of that index: -generation {generation} -index {index:x}."
    if plan.proof == "last":
        return f"Of that index the newest commit can be restored: -generation {generation}."
    before = f"-generation {generation} -index {index - 1:x} gives the end of the index before, if it is there; " * (
        index > 0
    )
    return f"Nothing in the replica was written after it. {before}other generations are listed by the generations verb."


class _Last:
    """The pages that the WAL of an index wrote, and at which of its commits the snapshot has all of them as they were.

    `_unlike` has, for each commit, how many more pages differ there than at the commit before.
    """

    def __init__(self, file: PageFile) -> None:
        self._file = file
        self._equal: dict[int, bool] = {}
        self._waiting: dict[int, bool] = {}
        self._unlike: list[int] = []
        self._sizes: list[int] = []

    @property
    def same(self) -> bool:
        """True if the snapshot is as the last commit left it."""
        pages = self._sizes[-1] if self._sizes else 0
        # Pages that a later commit cut off are not copied back.
        kept = (equal for page, equal in self._equal.items() if page <= pages)
        return all(kept) and pages * self._file.page_size == self._file.size

    @property
    def pages(self) -> frozenset[int]:
        """The numbers of the pages that the WAL wrote."""
        return frozenset(self._equal)

    @property
    def was(self) -> bool:
        """True if the snapshot is as one of the commits left it."""
        fitting = (pages * self._file.page_size == self._file.size for pages in self._sizes)
        return any(fits and not unlike for fits, unlike in zip(fitting, accumulate(self._unlike), strict=True))

    def see(self, frames: Frames, end: int) -> None:
        """Take the rows before `end`. Rows that no commit follows yet wait for one."""
        for row in range(end):
            page = int(frames.pages[row])
            self._waiting[page] = bytes(frames.rows[row, FRAME_HEADER_SIZE:]) == self._file.read_page(page)
            if frames.commits[row]:
                before = sum(not self._equal.get(page, True) for page in self._waiting)
                self._unlike.append(sum(not equal for equal in self._waiting.values()) - before)
                self._equal |= self._waiting
                self._waiting.clear()
                self._sizes.append(int(frames.commits[row]))


class _Sample:
    """Some pages of the first transaction after the target, and which of them equal a later version.

    `_missing` are pages that the snapshot is too short for; `_pages_min` is the smallest size that any
    commit after the target gives the database.
    """

    def __init__(self, file: PageFile) -> None:
        self._file = file
        self._numbers: NDArray[np.uint32] = np.empty(0, dtype=np.uint32)
        self._contents: NDArray[np.uint8] = np.empty((0, file.page_size), dtype=np.uint8)
        self._matched: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._missing: list[int] = []
        self._pages_min = PAGES_MAX
        self._seen = False
        self._complete = False

    @property
    def seen(self) -> bool:
        """True if there is anything after the target."""
        return self._seen

    @property
    def holds_later(self) -> bool:
        """True unless a page tells that the snapshot is earlier, or there is nothing after the target."""
        if not self._seen:
            return False
        # SQLite does not copy pages that a later commit cut off, so those tell nothing.
        earlier = self._numbers[~self._matched].tolist() + self._missing
        return not any(number <= self._pages_min for number in earlier)

    def see(self, frames: Frames, begin: int) -> None:
        """Take frames from row `begin` on, all of which lie after the target."""
        pages, rows = frames.pages[begin:], frames.rows[begin:]
        if not len(pages):
            return
        self._seen = True
        commits = frames.commits[begin:]
        self._pages_min = min([self._pages_min, *commits[commits > 0].tolist()])
        if not self._complete:
            ends = np.flatnonzero(commits)
            self._add(pages[: ends[0] + 1] if len(ends) else pages)
            self._complete = bool(len(ends))
        chosen = np.flatnonzero(np.isin(pages, self._numbers))
        places = np.searchsorted(self._numbers, pages[chosen])
        for row, place in zip(chosen, places, strict=True):
            if not self._matched[place]:
                self._matched[place] = np.array_equal(rows[row, FRAME_HEADER_SIZE:], self._contents[place])

    def _add(self, pages: NDArray[np.uint32]) -> None:
        room = SAMPLE_PAGES_MAX - len(self._numbers) - len(self._missing)
        for number in np.setdiff1d(pages, [*self._numbers, *self._missing])[:room]:
            content = self._file.read_page(int(number))
            if len(content) < self._file.page_size:
                self._missing.append(int(number))
            else:
                place = int(np.searchsorted(self._numbers, number))
                self._numbers = np.insert(self._numbers, place, number)
                row = np.frombuffer(content, dtype=np.uint8)
                self._contents = np.insert(self._contents, place, row, axis=0)
                self._matched = np.insert(self._matched, place, False)


def _look(
    segment: SegmentRun, header: WALHeader, sums: Sums | None, target: int | None, sample: _Sample, last: _Last | None
) -> Sums | None:
    """Show the frames of a segment that lie after `target` to `sample`, and those before it to `last`.

    `sums` is the chain before the segment, None if not known; without a target all lies before it.
    """
    size = header.frame_size
    offset = segment.info.offset or WAL_HEADER_SIZE
    at = 0 if segment.info.offset else WAL_HEADER_SIZE
    if not segment.info.offset:
        sums = header.sums
    while at < segment.length:
        data = segment.read_at(at, max(1, _BLOCK_BYTES // size) * size)
        skipped = 0
        if sums is None:
            # The first frame cannot be checked alone. It lies before the target, so only its own sums are
            # needed.
            sums = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
            skipped = size
        frames = frames_in(memoryview(data)[skipped:], header, sums)
        if frames.count * size + skipped < len(data) or not frames.pages.all():
            raise CorruptObjectError(segment.info.name, "its frames do not continue the chain of checksums")
        start = offset + skipped
        begin = frames.count if target is None else min(frames.count, max(0, -(-(target - start) // size)))
        sample.see(frames, begin)
        if last is not None:
            last.see(frames, begin)
        sums = frames.sums
        at += len(data)
        offset += len(data)
    return sums
