"""What a restore needs of a layout, and gets from each in the same words: a plan, and the pages that it leads to.

layout.py has what else everybody needs of one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from replication.position import Position
from replication.restore.points import Fetch


class Plan(Protocol):
    """What is to be read, in a layout's own way, and what every caller may ask of it."""

    @property
    def generation(self) -> str:
        """The generation, an unbroken history, that is restored from."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know."""

    @property
    def size(self) -> int:
        """Stored bytes to fetch."""

    @property
    def objects(self) -> int:
        """Objects to fetch."""

    @property
    def file_size(self) -> int:
        """Bytes of the restored file, as far as is known before."""

    def lines(self) -> Iterator[str]:
        """The plan for people, one object a line."""

    def fetch(self) -> Fetch:
        """The plan for a screen: in short, and line by line."""

    def values(self) -> Mapping[str, object]:
        """The plan in plain JSON values."""


class PageFile(Protocol):
    """What WAL is replayed onto: pages that can be read back. It begins as what a snapshot holds."""

    @property
    def page_size(self) -> int:
        """Bytes of a page."""

    @property
    def size(self) -> int:
        """Bytes of all pages now."""

    def read_page(self, number: int) -> bytes:
        """One page as it is now; shorter or empty past the end."""

    def write_frames(self, rows: NDArray[np.uint8], pages: NDArray[np.uint32], at: Position) -> None:
        """Take frames, one a row, that write these pages; the first begins at `at`, and the last is a commit or will
        be followed by one."""

    def resize(self, pages: int) -> None:
        """Cut or extend it to this number of pages."""


@dataclass(frozen=True, slots=True)
class Written:
    """What the pages of a plan came to.

    `base` names the object that held a whole database, `changes` counts those that were applied to it. `mode` has the
    permission bits of the source, if they are known, and `problems` what SQLite's check was known to find in it.
    `remarks` are what a person should know. With `is_unfinished` the replica ends inside a transaction, which was left
    out.
    """

    position: Position
    base: str
    changes: int
    size: int
    page_size: int
    mode: int | None
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    is_unfinished: bool
