"""The exact database at one commit, streamed while others write.

Pages that the shadow WAL holds up to that commit are read from there, all others from the database file. While the pin
is not moved, nobody can backfill a page that is not in the shadow WAL up to the commit: what is read from the file
cannot change under us, and no reader elsewhere can keep us from it. Before a checkpoint of ours moves the pin, pages
that may change by it are kept (`Image.keep`). A program that writes the file past SQLite can change it: so it is asked
at the end whether the files are still the ones that were followed.
"""

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.database.kept_pages import KeptPages, Pages
from replication.errors import DatabaseError
from replication.local.folder import LocalFile
from replication.position import Position
from replication.sqlite.checksum import FRAME_HEADER_SIZE, WAL_HEADER_SIZE

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Overlay:
    """The newest version of each page in one shadow file up to an offset: page numbers, ascending, and where it is."""

    file: LocalFile
    pages: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @classmethod
    def read(cls, file: LocalFile, end: int, page_size: int) -> "Overlay":
        """The overlay of `file` up to `end`, from its frame headers. The file may grow meanwhile."""
        frame_size = FRAME_HEADER_SIZE + page_size
        count = max(0, end - WAL_HEADER_SIZE) // frame_size
        if count == 0:
            empty = np.empty(0, dtype=np.int64)
            return cls(file, empty, empty)
        with file.opened() as shadow, mmap.mmap(shadow, end, access=mmap.ACCESS_READ) as mapped:
            rows = np.frombuffer(mapped, np.uint8, count * frame_size, WAL_HEADER_SIZE).reshape(count, frame_size)
            numbers = rows[:, :4].copy().view(">u4").astype(np.int64).reshape(count)
            del rows
        pages, last = np.unique(numbers[::-1], return_index=True)
        offsets = WAL_HEADER_SIZE + (count - 1 - last) * frame_size + FRAME_HEADER_SIZE
        return cls(file, pages, offsets.astype(np.int64))


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
        kept: KeptPages | None = None,
    ) -> None:
        """`file_bytes` are in the database file as the image is made; `check` raises if it is no longer what it was.

        Without `kept` nothing may be copied back while it is open.
        """
        self.position = position
        self.pages = pages
        self.page_size = page_size
        self._overlay = overlay
        self._read_file = read
        self._file_pages = file_bytes // page_size
        self._check = check
        self._kept = kept
        self.ended = ""
        """Why the image must end before it is whole; "" while it need not."""
        self._done = 0
        """Pages up to this one were read. They may change from then on, for none is read twice."""

    @property
    def size(self) -> int:
        """Bytes of the whole image."""
        return self.pages * self.page_size

    def chunks(self) -> Iterator[bytes]:
        """Yield the image in order, in pieces of at most 1 MiB. It can be read once only.

        Raises DatabaseError if the file was let go of, or turns out not to be what it was: then what was yielded is
        not to be used.
        """
        assert not self._done, "an image is read once"
        overlay, page_size = self._overlay, self.page_size
        pages_per_chunk = max(1, CHUNK_BYTES // page_size)
        with ExitStack() as stack:
            shadow = stack.enter_context(overlay.file.opened()) if len(overlay.pages) else -1
            for first in range(1, self.pages + 1, pages_per_chunk):
                if self.ended:
                    raise DatabaseError(f"the snapshot took too long and was ended, and is tried again: {self.ended}")
                count = min(pages_per_chunk, self.pages + 1 - first)
                low, high = np.searchsorted(overlay.pages, (first, first + count))
                data = self._read(first, count) if high - low < count else bytes(count * page_size)
                self._done = first + count - 1
                if low == high:
                    yield data
                    continue
                patched = bytearray(data)
                for page, offset in zip(overlay.pages[low:high], overlay.offsets[low:high], strict=True):
                    start = (int(page) - first) * page_size
                    patched[start : start + page_size] = os.pread(shadow, page_size, int(offset))
                yield bytes(patched)
            self._check()

    def keep(self, end: Position) -> None:
        """Keep the pages that frames up to `end` may write over or cut off. Called before a checkpoint may copy them
        back.

        Raises CannotKeepError: then they must not be copied back before this image ends.
        """
        assert self._kept is not None
        self._kept.keep(end, self._needed, self._read)

    @property
    def keeps(self) -> bool:
        """False if some page could not be kept."""
        return self._kept is not None and not self._kept.failed

    def close(self) -> None:
        """Let go of what was kept."""
        if self._kept is not None:
            self._kept.close()

    def _needed(self, pages: Pages) -> Pages:
        """The pages among `pages` that are still to be read from the database file."""
        pages = pages[(pages > self._done) & (pages <= self.pages)]
        return pages[~np.isin(pages, self._overlay.pages, assume_unique=True)]

    def _read(self, first: int, count: int) -> bytes:
        """Pages from the database file.

        A page that the file no longer has must have been kept, or be in the shadow WAL, or never have been there.
        """
        size = self.page_size
        whole, data = self._read_file((first - 1) * size, count * size)
        if not whole:
            last = min(first + count, self._file_pages + 1)
            elsewhere = {int(page) for page in self._overlay.pages[slice(*self._rows(first, last))]}
            for page in range(first, last):
                if page in elsewhere or self._read_file((page - 1) * size, size)[0]:
                    continue
                # In this order: what was cut off by a checkpoint was kept before.
                if self._kept is None or not self._kept.holds(page):
                    raise DatabaseError(
                        f"the database file became shorter while a snapshot read page {page} of it: another program "
                        "than SQLite writes to it; the snapshot is taken again"
                    )
        return self._kept.patch(first, data) if self._kept is not None else data

    def _rows(self, first: int, last: int) -> tuple[int, int]:
        low, high = np.searchsorted(self._overlay.pages, (first, last))
        return int(low), int(high)
