"""What of a database file is its content: the pages that SQLite counts, and nothing after them.

A file may be longer, and no reader of SQLite's ever sees the rest: an application lets it grow in large steps
(SQLITE_FCNTL_CHUNK_SIZE), or something was appended to it. Which of those bytes come along depends on whether the
size is taken from the header, from a commit in the WAL or from the file; so two files are one database if their counted
pages are equal. Pure.
"""

import hashlib
from collections.abc import Iterable

from replication.sqlite.format import PAGE_SIZES

_MAGIC = b"SQLite format 3\0"
_HEADER_SIZE = 100


def digest(pieces: Iterable[bytes]) -> str:
    """The digest of the content of a database, from its bytes in order; the first piece has the header."""
    found = hashlib.blake2b(digest_size=16)
    page_size = counted = at = 0
    for piece in pieces:
        if not at:
            page_size, counted = _sizes(piece[:_HEADER_SIZE])
        found.update(piece[: max(0, counted - at)] if counted else piece)
        at += len(piece)
    if page_size and at % page_size and (not counted or counted > at):
        # What the file lacks of its last page SQLite reads as zeros.
        found.update(bytes(-at % page_size))
    return found.hexdigest()


def _sizes(head: bytes) -> tuple[int, int]:
    """The size of a page, 0 if this is no database; and the bytes of all pages that its header counts.

    Those are 0 where SQLite goes by the size of the file: versions before 3.7.0 left the count as it was, which the
    change counter beside it tells. https://www.sqlite.org/fileformat2.html#in_header_database_size
    """
    if len(head) < _HEADER_SIZE or not head.startswith(_MAGIC):
        return 0, 0
    page_size = int.from_bytes(head[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    if page_size not in PAGE_SIZES:
        return 0, 0
    pages = int.from_bytes(head[28:32], "big") if head[24:28] == head[92:96] else 0
    return page_size, pages * page_size
