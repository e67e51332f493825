"""Pages into the new database file, straight to their places: no SQLite, no WAL, no shared memory.

It writes what it is given and checks only that a snapshot looks like a database; the chain of frames is
verified in replay.py, and where the file is and what becomes of it is decided in output.py.
"""

import os
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from replication.errors import CorruptObjectError
from replication.position import Position
from replication.sqlite.checksum import FRAME_HEADER_SIZE
from replication.sqlite.wal import PAGE_SIZES

_MAGIC = b"SQLite format 3\0"
_DATABASE_HEADER_SIZE = 100


class DatabaseFile:
    """An open file that is becoming a database. `page_size` is known once the snapshot's first page is.

    `written` is called with the bytes of each write, and may raise.
    """

    def __init__(self, descriptor: int, written: Callable[[int], None] = lambda size: None) -> None:
        self._descriptor = descriptor
        self._written = written
        self.page_size = 0

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self._descriptor).st_size

    def write_snapshot(self, name: str, pieces: Iterable[bytes], noted: tuple[int, int] | None) -> None:
        """Write a snapshot from the start of the file. `noted` is the number and size of its pages, if its note says
        so.

        Raises CorruptObjectError if it is no database, or not of that size.
        """
        at = 0
        head = b""
        size = noted[0] * noted[1] if noted is not None else None
        for piece in pieces:
            if size is not None and at > size:
                # Checked at once: a few stored bytes can expand to very many.
                break
            if len(head) < _DATABASE_HEADER_SIZE:
                head += piece[: _DATABASE_HEADER_SIZE - len(head)]
            _write_at(self._descriptor, piece, at)
            self._written(len(piece))
            at += len(piece)
        self.page_size = page_size_of(name, head)
        if noted is not None and size is not None and (self.page_size != noted[1] or at != size):
            raise CorruptObjectError(
                name,
                f"it holds {'at least ' if at > size else ''}{at} bytes with pages of {self.page_size}, "
                f"and its note says {noted[0]} pages of {noted[1]}",
            )

    def write_frames(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], at: Position) -> None:
        """Write the last version of each page among frames (one a row), neighbouring pages in one call."""
        # The first occurrence in reverse order is the last one written.
        numbers, last = np.unique(pages[::-1], return_index=True)
        block = rows[len(pages) - 1 - last, FRAME_HEADER_SIZE:]
        edges = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1), len(numbers)]
        for begin, end in pairwise(edges):
            _write_at(self._descriptor, block[begin:end].data, (int(numbers[begin]) - 1) * self.page_size)
        self._written(len(numbers) * self.page_size)

    def read_page(self, number: int) -> bytes:
        """One page as it is in the file now. Past the end of the file it is shorter, or empty."""
        return os.pread(self._descriptor, self.page_size, (number - 1) * self.page_size)

    def resize(self, pages: int) -> None:
        """Cut or extend the file to this number of pages."""
        os.ftruncate(self._descriptor, pages * self.page_size)


def page_size_of(name: str, head: bytes) -> int:
    """The page size in a database header. Raises CorruptObjectError if it is none."""
    if len(head) < _DATABASE_HEADER_SIZE or not head.startswith(_MAGIC):
        raise CorruptObjectError(name, "it does not begin as an SQLite database does")
    size = int.from_bytes(head[16:18], "big")
    size = 65536 if size == 1 else size
    if size not in PAGE_SIZES:
        raise CorruptObjectError(name, f"{size} in its header is not a page size")
    return size


def _write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
