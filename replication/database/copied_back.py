"""Whether a database file holds the pages that checkpoints have copied into it from a WAL.

SQLite passes over frames that were copied back, and goes by the file. So if the file was replaced
under its WAL, as when a backup is copied over it, the two no longer fit, which shows here. Reads only.
"""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from replication.database.wal_scanner import WALCursor
from replication.local.folder import LocalFile
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.wal_index import WALIndexHeader

FRAMES_MAX = 65536
"""For a longer life of the WAL it is not found out whether a file belongs to it."""
_READ_BYTES = 1 << 20

Read = Callable[[int, int], tuple[bool, bytes]]
"""Given an offset and a size: whether the database file has all of these bytes, and the bytes."""


@dataclass(frozen=True, slots=True)
class CopiedBack:
    """Pages by number, as a checkpoint has put them into the database file."""

    pages: dict[int, bytes]
    page_size: int

    @classmethod
    def read(cls, wal: int, index: WALIndexHeader, frames_max: int) -> "CopiedBack | None":
        """The pages that the last frames copied back have put into the file, or None if the WAL was restarted.

        A checkpoint leaves out a page of which there was a later frame that it might not copy, and one that was beyond
        the end of the database; so pages with a later frame say nothing, nor those beyond the end at any commit since.
        """
        later: set[int] = set()
        pages_min = index.pages
        for number, frame in _frames(wal, index.page_size, max(1, index.backfilled), index.frames):
            if number > index.backfilled:
                later.add(_page(frame))
            pages_min = min(pages_min, _commit(frame) or pages_min)
        pages: dict[int, bytes] = {}
        salts, count = struct.pack(">2I", *index.salts), 0
        for _, frame in _frames(wal, index.page_size, max(1, index.backfilled + 1 - frames_max), index.backfilled):
            if frame[8:16] != salts:
                return None
            count += 1
            if _page(frame) <= pages_min and _page(frame) not in later:
                pages[_page(frame)] = bytes(frame[FRAME_HEADER_SIZE:])
        return cls(pages, index.page_size) if count == min(frames_max, index.backfilled) else None

    @classmethod
    def whole(cls, life: LocalFile, cursor: WALCursor, frames_max: int = FRAMES_MAX) -> "CopiedBack":
        """The pages in the file once all frames of a life of the WAL were copied back: `life` is its shadow file, up to
        `cursor`.

        A page that was beyond the end of the database at a later commit says nothing, as above.
        """
        pages: dict[int, bytes] = {}
        size, highest = cursor.header.page_size, 0
        with life.opened() as file:
            for _, frame in _frames(file, size, max(1, cursor.frames + 1 - frames_max), cursor.frames):
                pages[_page(frame)] = bytes(frame[FRAME_HEADER_SIZE:])
                highest = max(highest, _page(frame))
                if highest > (end := _commit(frame)) > 0:
                    pages, highest = {page: data for page, data in pages.items() if page <= end}, end
        return cls(pages, size)

    def without_what_changed(self, wal: int, index: WALIndexHeader) -> "CopiedBack":
        """The same without pages that the WAL holds, or that the database did not have after each of its commits."""
        changed, pages_min = set(), index.pages
        for _, frame in _frames(wal, index.page_size, 1, index.frames):
            changed.add(_page(frame))
            pages_min = min(pages_min, _commit(frame) or pages_min)
        left = {page: data for page, data in self.pages.items() if page <= pages_min and page not in changed}
        return CopiedBack(left, self.page_size)

    def is_in(self, read: Read) -> bool:
        """True if the database file holds every one of these pages."""
        size = self.page_size
        return all(read((page - 1) * size, size) == (True, content) for page, content in self.pages.items())


def is_of_this_life(wal: int, index: WALIndexHeader, read: Read) -> bool:
    """True if the file looks like one into which a checkpoint has copied frames of the WAL up to some frame.

    Nothing says up to which. Frames that are not copied back are read from the WAL, so a file from any moment of this
    life fits; one from before it holds none of the WAL's versions of the pages.
    """
    if index.frames > FRAMES_MAX:
        return False
    found: dict[int, int] = {}
    newest: dict[int, int] = {}
    contents: dict[int, int | None] = {}
    pages_min = index.pages
    for number, frame in _frames(wal, index.page_size, 1, index.frames):
        page = _page(frame)
        pages_min = min(pages_min, _commit(frame) or pages_min)
        newest[page] = number
        if page not in contents:
            # What lies beyond the end of the file is read as zeros, and was not copied there.
            there, content = read((page - 1) * index.page_size, index.page_size)
            contents[page] = hash(content) if there else None
        if page not in found and hash(bytes(frame[FRAME_HEADER_SIZE:])) == contents[page]:
            found[page] = number
    reached = max(found.values(), default=0)
    # A page without a later frame was copied by a checkpoint that came so far, unless the database was smaller then;
    # one
    # that was broken off has not reached all of them.
    due = [page for page, number in newest.items() if number <= reached and page <= pages_min]
    return bool(found) and 2 * sum(page in found for page in due) >= len(due)


def _page(frame: memoryview) -> int:
    return int.from_bytes(frame[:4], "big")


def _commit(frame: memoryview) -> int:
    """The size of the database in pages if the frame ends a commit, else 0."""
    return int.from_bytes(frame[4:8], "big")


def commits_counted_after(wal: int, index: WALIndexHeader, frames: int) -> int:
    """How many commits that count the WAL holds after its first `frames` frames."""
    return sum(_commit(frame) > 0 for _, frame in _frames(wal, index.page_size, frames + 1, index.frames))


def _frames(wal: int, page_size: int, first: int, last: int) -> Iterator[tuple[int, memoryview]]:
    """The frames `first` to `last`, counted from 1, as far as the file has them."""
    size = FRAME_HEADER_SIZE + page_size
    at_once = max(1, _READ_BYTES // size)
    for start in range(first, last + 1, at_once):
        count = min(at_once, last + 1 - start)
        data = memoryview(os.pread(wal, count * size, WAL_HEADER_SIZE + (start - 1) * size))
        for row in range(len(data) // size):
            yield start + row, data[row * size : (row + 1) * size]
