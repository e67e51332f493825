"""Sizes in SQLite's files: https://www.sqlite.org/fileformat2.html

Apart from what computes with them, so that a listing need not load numpy.
"""

import zlib

FRAME_HEADER_SIZE = 24
WAL_HEADER_SIZE = 32
PAGE_SIZES = tuple(1 << bits for bits in range(9, 17))


def sum_of_first_page(page: bytes) -> int:
    """A checksum of the first page without its change counters, the size, and what it says of the freelist."""
    return zlib.crc32(page[100:], zlib.crc32(page[40:92], zlib.crc32(page[:24])))


def align(size: int, page_size: int) -> int:
    """`size` rounded down to the end of a whole frame: 32 + k frames, or 0 below a header."""
    if size < WAL_HEADER_SIZE:
        return 0
    frame = FRAME_HEADER_SIZE + page_size
    return WAL_HEADER_SIZE + (size - WAL_HEADER_SIZE) // frame * frame
