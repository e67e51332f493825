"""Proof that a snapshot of Litestream holds no frame past the target.

Such a snapshot holds its index up to an unknown commit U. If U lay past the target, every page of the first
transaction after the target would be in the snapshot in one of its versions from after the target. So one
page that equals none of them proves that U is not past the target, and replaying up to there gives exactly
that commit.
"""

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from replication.errors import CorruptObjectError, NoRestorePointError
from replication.restore.apply import DatabaseFile
from replication.restore.catalog import PAGES_MAX
from replication.restore.fetch import Fetcher
from replication.restore.plan import Plan
from replication.restore.run import Run
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE, Sums
from replication.sqlite.wal import Frames, WALHeader, frames_in

SAMPLE_PAGES_MAX = 64
"""Pages of the first transaction after the target that are compared."""
_BLOCK_BYTES = 4 << 20


def prove(plan: Plan, file: DatabaseFile, fetcher: Fetcher) -> None:
    """Compare the snapshot, which is all that `file` holds yet, with what follows the target.

    Raises NoRestorePointError unless the snapshot is proven to end at or before the target.
    """
    if not plan.witnesses:
        return
    first = plan.segments[0].name
    try:
        header = WALHeader.parse(fetcher.head(first, WAL_HEADER_SIZE))
    except ValueError as error:
        raise CorruptObjectError(first, str(error)) from None
    sample = _Sample(file)
    sums: Sums | None = None
    target = plan.stop.offset if plan.stop is not None else None
    with closing(fetcher.segments(plan.witnesses)) as runs:
        for run in runs:
            with closing(run):
                for segment in run.singles():
                    if target is None:
                        target = segment.end
                    sums = _look(segment, header, sums, target, sample)
    if sample.holds_later:
        raise NoRestorePointError(
            f"{plan.snapshot.info.name} was written by Litestream and may hold later commits of its index, "
            "so the target cannot be restored exactly. Restore a later point, such as the end of "
            f"that index: -generation {plan.generation} -index {plan.snapshot.info.index:x}."
        )


class _Sample:
    """Some pages of the first transaction after the target, and which of them equal a later version.

    `_missing` are pages that the snapshot is too short for; `_pages_min` is the smallest size that any
    commit after the target gives the database.
    """

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._numbers: NDArray[np.uint32] = np.empty(0, dtype=np.uint32)
        self._contents: NDArray[np.uint8] = np.empty((0, file.page_size), dtype=np.uint8)
        self._matched: NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._missing: list[int] = []
        self._pages_min = PAGES_MAX
        self._seen = False
        self._complete = False

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


def _look(segment: Run, header: WALHeader, sums: Sums | None, target: int, sample: _Sample) -> Sums | None:
    """Show the frames of a segment that lie after `target`; `sums` is the chain before it, None if not
    known."""
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
        sample.see(frames, max(0, -(-(target - start) // size)))
        sums = frames.sums
        at += len(data)
        offset += len(data)
    return sums
