"""The exact database at one commit, streamed while others write.

Pages that the shadow WAL holds up to that commit are read from there, all others from the database file. The
pin is not moved meanwhile, so nobody can backfill a page that is not in the shadow WAL up to the commit: what
is read from the file cannot change under us, and no reader elsewhere can keep us from it. Whoever writes the file past
SQLite can: so it is asked at the end whether the files are still the ones that were followed.
"""

import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replication.errors import DatabaseError
from replication.position import Position
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Overlay:
    """The newest version of each page in one shadow file up to an offset: page numbers ascending, and where."""

    path: Path
    pages: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path, end: int, page_size: int) -> "Overlay":
        """Look at every frame header of `path` before `end`; the file may grow meanwhile."""
        frame_size = FRAME_HEADER_SIZE + page_size
        count = max(0, end - WAL_HEADER_SIZE) // frame_size
        if count == 0:
            empty = np.empty(0, dtype=np.int64)
            return cls(path, empty, empty)
        with path.open("rb") as file, mmap.mmap(file.fileno(), end, access=mmap.ACCESS_READ) as mapped:
            rows = np.frombuffer(mapped, np.uint8, count * frame_size, WAL_HEADER_SIZE).reshape(count, frame_size)
            numbers = rows[:, :4].copy().view(">u4").astype(np.int64).reshape(count)
            del rows
        pages, last = np.unique(numbers[::-1], return_index=True)
        offsets = WAL_HEADER_SIZE + (count - 1 - last) * frame_size + FRAME_HEADER_SIZE
        return cls(path, pages, offsets.astype(np.int64))


class Image:
    """The database at `position`: `pages` pages of `page_size` bytes. Made and released by Database.image."""

    def __init__(
        self,
        position: Position,
        pages: int,
        page_size: int,
        overlay: Overlay,
        read: Callable[[int, int], tuple[bool, bytes]],
        file_bytes: int = 0,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`file_bytes` are in the database file as the image is made; `check` raises if it is no longer what it was."""
        self.position = position
        self.pages = pages
        self.page_size = page_size
        self._overlay = overlay
        self._read_file = read
        self._file_pages = file_bytes // page_size
        self._check = check

    @property
    def size(self) -> int:
        """Bytes of the whole image."""
        return self.pages * self.page_size

    def chunks(self) -> Iterator[bytes]:
        """Yield the image in order, in pieces of at most 1 MiB.

        Raises DatabaseError if the file was let go of, or turns out not to be what it was: then what was yielded is
        not to be used.
        """
        overlay, page_size = self._overlay, self.page_size
        pages_per_chunk = max(1, CHUNK_BYTES // page_size)
        shadow = os.open(overlay.path, os.O_RDONLY | os.O_CLOEXEC) if len(overlay.pages) else -1
        try:
            for first in range(1, self.pages + 1, pages_per_chunk):
                count = min(pages_per_chunk, self.pages + 1 - first)
                low, high = np.searchsorted(overlay.pages, (first, first + count))
                if low == high:
                    yield self._read((first - 1) * page_size, count * page_size)
                    continue
                patched = (
                    bytearray(self._read((first - 1) * page_size, count * page_size))
                    if high - low < count
                    else bytearray(count * page_size)
                )
                for page, offset in zip(overlay.pages[low:high], overlay.offsets[low:high], strict=True):
                    start = (int(page) - first) * page_size
                    patched[start : start + page_size] = os.pread(shadow, page_size, int(offset))
                yield bytes(patched)
            self._check()
        finally:
            if shadow >= 0:
                os.close(shadow)

    def _read(self, offset: int, size: int) -> bytes:
        """From the database file; what it no longer has must be in the shadow WAL, or never have been there."""
        whole, data = self._read_file(offset, size)
        if not whole:
            first = offset // self.page_size + 1
            last = min(first + size // self.page_size, self._file_pages + 1)
            elsewhere = {int(page) for page in self._overlay.pages[slice(*self._rows(first, last))]}
            for page in range(first, last):
                if page not in elsewhere and not self._read_file((page - 1) * self.page_size, self.page_size)[0]:
                    raise DatabaseError(
                        f"the database file became shorter while a snapshot read page {page} of it: another program "
                        "than SQLite writes to it; the snapshot is taken again"
                    )
        return data

    def _rows(self, first: int, last: int) -> tuple[int, int]:
        low, high = np.searchsorted(self._overlay.pages, (first, last))
        return int(low), int(high)
