"""Snapshots of Litestream that a restore left out, since nothing proves which commit they hold: it may be a later one.

A snapshot of Litestream holds its index up to some commit that is not written down. If WAL behind it is missing, it may
hold more than what an older snapshot and the WAL lead to:

    older snapshot  |---c---c---|---c---c  the WAL ends here
    left out                    |~~~~~~~~~~~~?

Its promise: what is restored without such a snapshot is not older than it, or is refused with the position to ask for.
The two are compared by digests of their pages, so that no second file is needed.
"""

import hashlib
from dataclasses import dataclass

from replication.errors import MayBeOlderError, UnprovenSnapshotError
from replication.position import Position
from replication.restore.plan_contract import PageFile
from replication.restore.wal03.catalog import Snapshot


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest of the first `pages` pages of a file but for those in `without`."""

    without: frozenset[int]
    pages: int
    digest: bytes


class UndatedSnapshotError(UnprovenSnapshotError):
    """It is not known which commit a snapshot holds. `whole` is the digest of all its pages.

    `rest` is that of all pages but those that the WAL of its index wrote, if these are as one of the commits there left
    them; else None.
    """

    def __init__(self, message: str, snapshot: Snapshot, whole: Digest, rest: Digest | None) -> None:
        super().__init__(message)
        self.snapshot = snapshot
        self.whole = whole
        self.rest = rest


def digest_of(file: PageFile, without: frozenset[int] = frozenset(), pages: int | None = None) -> Digest:
    """The digest of so many pages of a file, or of all."""
    count = file.size // file.page_size if pages is None else pages
    digest = hashlib.sha256()
    for number in range(1, count + 1):
        if number not in without:
            digest.update(file.read_page(number))
    return Digest(without, count, digest.digest())


class Doubts:
    """The snapshots that were left out, while a restore goes on without them, until it is shown that nothing is lost.

    A snapshot holds nothing that the restore lacks if either of these is true:

    - it equals the file at the start of its index (`at_start`);
    - the pages that the WAL of its index wrote are in it as one of the commits there left them (known when it was left
      out: it has a `rest`), and all its other pages equal the finished file (`at_end`).
    """

    def __init__(self) -> None:
        self._left: list[UndatedSnapshotError] = []

    def add(self, left_out: UndatedSnapshotError) -> None:
        """Remember a snapshot that is left out."""
        self._left.append(left_out)

    def at_start(self, index: int, file: PageFile) -> None:
        """Compare the file, which is the database at the start of an index, with the snapshots of that index."""
        self._left = [item for item in self._left if item.snapshot.info.index != index or digest_of(file) != item.whole]

    def at_end(self, file: PageFile, reached: Position) -> None:
        """Compare the finished file with what is left. Raises MayBeOlderError if a snapshot is still in doubt."""
        for item in self._left:
            rest = item.rest
            if rest is None or digest_of(file, rest.without, rest.pages) != rest:
                raise MayBeOlderError(
                    f"{item.snapshot.info.name}, which Litestream wrote, may hold later commits than the WAL in the "
                    f"replica, which ends at {reached} for what was asked for: nothing was written after it that "
                    f"tells, so WAL may be missing. An older state is given only to who names it: -position {reached}.",
                    item.snapshot.info.index,
                )
