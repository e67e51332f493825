"""Pages that an open image still needs, kept before a checkpoint of ours lets others write over them.

Its promise: a page that was kept is here, as it was, before the checkpoint goes on. So a thread that reads the database
file first and looks here afterwards gets every page as it was, without a lock between the two. Pages are kept in a file
without a name, which goes with the process. It leaves to the caller which pages are still needed, and what becomes of a
checkpoint that cannot be.
"""

import os
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from replication.local.folder import LocalFile
from replication.local.shadow_wal import ShadowWAL
from replication.position import Position
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE

KEPT_PAGES_BYTES_MAX = 4 << 30
"""Kept for one image at most: as much as one life of the WAL."""
FREE_BYTES_MIN = 256 << 20
"""Left free on the disk of the local folder, where the shadow WAL has to grow."""
_READ_BYTES = 1 << 20

Pages = NDArray[np.int64]
"""Page numbers, ascending, each once."""
Read = Callable[[int, int], bytes]
"""Given a page number and a count: that many pages from there on, as the database file has them."""


class CannotKeepError(Exception):
    """There is no room for what a checkpoint would write over. The text says why."""


class KeptPages:
    """The pages that are kept for one image. One thread keeps them while another reads."""

    def __init__(self, shadow: ShadowWAL, start: Position, page_size: int, pages: int) -> None:
        """For an image of `pages` pages at `start`."""
        self._shadow = shadow
        self._page_size = page_size
        self._end = start
        """Up to here the frames of the shadow WAL were looked at."""
        self._smallest = pages
        """The smallest size, in pages, that the database has had since: a checkpoint cuts off what lies beyond."""
        self._descriptor = -1
        # Pages, and the slot of each in the file. Replaced as a whole, so that a reader sees two that belong together.
        self._table: tuple[Pages, NDArray[np.int64]] = (np.empty(0, np.int64), np.empty(0, np.int64))
        self.failed = ""
        """Why nothing more is kept: then no checkpoint may run before the image ends."""

    def keep(self, end: Position, needed: Callable[[Pages], Pages], read: Read) -> None:
        """Keep those of the pages that are `needed` which frames up to `end` may write over or cut off.

        Raises CannotKeepError, and once it has, does so at each call.
        """
        if self.failed:
            raise CannotKeepError(self.failed)
        try:
            changed, smallest = self._changed(end)
            pages = needed(changed)
            self._add(pages[~np.isin(pages, self._table[0], assume_unique=True)], read)
        except OSError as error:
            self.failed = f"{error.strerror or error} in {self._shadow.meta_path}"
        except CannotKeepError as error:
            self.failed = str(error)
        if self.failed:
            raise CannotKeepError(self.failed)
        self._end, self._smallest = end, smallest

    def patch(self, first: int, data: bytes) -> bytes:
        """Return `data`, the pages from `first` on as read from the file just before, with kept pages put in."""
        pages, slots = self._table
        size = self._page_size
        low, high = np.searchsorted(pages, (first, first + len(data) // size))
        if low == high:
            return data
        patched = bytearray(data)
        for page, slot in zip(pages[low:high], slots[low:high], strict=True):
            start = (int(page) - first) * size
            patched[start : start + size] = os.pread(self._descriptor, size, int(slot) * size)
        return bytes(patched)

    def holds(self, page: int) -> bool:
        """True if the page was kept."""
        pages = self._table[0]
        at = int(np.searchsorted(pages, page))
        return at < len(pages) and int(pages[at]) == page

    def close(self) -> None:
        """The image ended."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _changed(self, end: Position) -> tuple[Pages, int]:
        """The pages that may have changed since the last call, and the smallest size of the database, in pages.

        They are those in frames, and those beyond the smallest size.
        """
        start, smallest = self._end, self._smallest
        found: list[Pages] = []
        for index in range(start.index, end.index + 1):
            first = start.offset if index == start.index else 0
            file = self._shadow.file(start.generation, index)
            last = end.offset if index == end.index else self._shadow.size(start.generation, index)
            for pages, size in self._frames(file, max(first, WAL_HEADER_SIZE), last):
                found.append(pages)
                smallest = min(smallest, size)
        if (self._smallest - smallest) * self._page_size > KEPT_PAGES_BYTES_MAX:
            raise CannotKeepError(_too_many())
        found.append(np.arange(smallest + 1, self._smallest + 1, dtype=np.int64))
        return np.unique(np.concatenate(found)), smallest

    def _frames(self, file: LocalFile, start: int, end: int) -> Iterator[tuple[Pages, int]]:
        """The pages of frames in one shadow file, some at a time, and the smallest size that a commit there gives."""
        frame_size = FRAME_HEADER_SIZE + self._page_size
        at_once = max(1, _READ_BYTES // frame_size) * frame_size
        if start >= end:
            return
        with file.opened() as descriptor:
            for offset in range(start, end, at_once):
                wanted = min(at_once, end - offset)
                data = os.pread(descriptor, wanted, offset)
                if len(data) < wanted:
                    raise CannotKeepError(f"{file} was cut by another program")
                rows = np.frombuffer(data, np.uint8).reshape(-1, frame_size)
                heads = rows[:, :8].copy().view(">u4").astype(np.int64)
                commits = heads[:, 1][heads[:, 1] > 0]
                yield np.unique(heads[:, 0]), int(commits.min(initial=1 << 32))

    def _add(self, pages: Pages, read: Read) -> None:
        """Keep these pages, none of which was kept before."""
        if not len(pages):
            return
        known, slots = self._table
        size = self._page_size
        if (len(known) + len(pages)) * size > KEPT_PAGES_BYTES_MAX:
            raise CannotKeepError(_too_many())
        disk = os.statvfs(self._shadow.meta_path)
        if disk.f_bavail * disk.f_frsize < len(pages) * size + FREE_BYTES_MIN:
            raise CannotKeepError(f"there is no room in {self._shadow.meta_path}")
        if self._descriptor < 0:
            self._descriptor = self._shadow.folder.nameless()
        slot = len(known)
        for first, count in _runs(pages, max(1, _READ_BYTES // size)):
            _write(self._descriptor, read(first, count), slot * size)
            slot += count
        # From here on a reader finds them.
        both = np.concatenate((known, pages))
        order = np.argsort(both, kind="stable")
        self._table = (both[order], np.concatenate((slots, np.arange(len(known), slot, dtype=np.int64)))[order])


def _runs(pages: Pages, count_max: int) -> Iterator[tuple[int, int]]:
    """Neighbouring pages together: the first of them, and how many."""
    breaks = np.flatnonzero(np.diff(pages) != 1) + 1
    for run in np.split(pages, breaks):
        for start in range(0, len(run), count_max):
            yield int(run[start]), min(count_max, len(run) - start)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _too_many() -> str:
    return f"more than {KEPT_PAGES_BYTES_MAX >> 20} MiB of pages have changed"
