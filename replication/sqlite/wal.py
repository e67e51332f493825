"""The write-ahead log: header, frames, and which of them count.

Pure: bytes in, values out. https://www.sqlite.org/fileformat2.html#walformat
A frame counts when its salts are the header's, its checksum continues the chain, and a commit follows or it is one.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from replication.sqlite.checksum import Sums, checksum, valid_frames
from replication.sqlite.format import FRAME_HEADER_SIZE, WAL_HEADER_SIZE
from replication.sqlite.format import PAGE_SIZES as PAGE_SIZES
from replication.sqlite.format import align as align

_MAGIC_LITTLE_ENDIAN = 0x377F0682
_MAGIC_BIG_ENDIAN = 0x377F0683
_VERSION = 3007000
RESTARTS_MAX = 1 << 16
"""Salts that differ by more restarts than this are taken for those of a WAL that was made anew."""
PACKED_MAX = 1024
"""Headers whose bytes are kept: one for each database that is followed. With more, some are packed at each copy."""


@dataclass(frozen=True, slots=True)
class WALHeader:
    """The first 32 bytes of a WAL. `big_endian` is the order of the words that checksums add up."""

    big_endian: bool
    page_size: int
    sequence: int
    salt1: int
    salt2: int
    sums: Sums

    @property
    def salts(self) -> tuple[int, int]:
        return self.salt1, self.salt2

    @property
    def salts_by_chance(self) -> bool:
        """True if the salts say nothing of the life of the WAL before.

        A connection that restarts the WAL adds one to the first salt. But a connection that never did so takes salts by
        chance when it is the first to write into an empty WAL: a new one, or one that somebody else has emptied
        (TRUNCATE).
        """
        return self.sequence == 0

    @property
    def frame_size(self) -> int:
        return FRAME_HEADER_SIZE + self.page_size

    @classmethod
    def parse(cls, data: bytes) -> "WALHeader":
        """Read a header; raise ValueError, in words, unless all 32 bytes are right."""
        if len(data) < WAL_HEADER_SIZE:
            raise ValueError(f"a WAL header has {WAL_HEADER_SIZE} bytes, here are {len(data)}")
        magic, version, page_size, sequence, salt1, salt2, sum0, sum1 = struct.unpack_from(">8I", data)
        if magic not in (_MAGIC_LITTLE_ENDIAN, _MAGIC_BIG_ENDIAN):
            raise ValueError(f"{magic:08x} is not the magic number of a WAL")
        if version != _VERSION:
            raise ValueError(f"WAL version {version} is not {_VERSION}")
        if page_size not in PAGE_SIZES:
            raise ValueError(f"{page_size} is not a page size")
        big_endian = magic == _MAGIC_BIG_ENDIAN
        if checksum(data[:24], (0, 0), big_endian) != (sum0, sum1):
            raise ValueError("the checksum of the WAL header is wrong")
        return cls(big_endian, page_size, sequence, salt1, salt2, (sum0, sum1))

    def pack(self) -> bytes:
        """The 32 bytes of this header, its checksum made anew."""
        return _packed(self)


@lru_cache(PACKED_MAX)
def _packed(header: WALHeader) -> bytes:
    # Kept, since every copy compares the WAL's header with the one that is followed.
    magic = _MAGIC_BIG_ENDIAN if header.big_endian else _MAGIC_LITTLE_ENDIAN
    head = struct.pack(">6I", magic, _VERSION, header.page_size, header.sequence, header.salt1, header.salt2)
    return head + struct.pack(">2I", *checksum(head, (0, 0), header.big_endian))


@dataclass(frozen=True, slots=True)
class Frames:
    """Verified frames of one WAL, in order, over one buffer that is not copied.

    `count` frames continue the chain; the first `committed` of them end with a commit frame.
    `sums` is the chain's pair after all `count` frames, `committed_sums` after the committed ones.
    """

    rows: NDArray[np.uint8]
    pages: NDArray[np.uint32]
    commits: NDArray[np.uint32]
    count: int
    committed: int
    sums: Sums
    committed_sums: Sums
    database_pages: int
    """Size of the database in pages after the last commit frame; 0 if there is none."""


def restarts_between(before: WALHeader, after: WALHeader) -> int:
    """How many times the WAL was restarted from one header to the other; 0 if the second cannot come after the first.

    SQLite adds one to the first salt at each restart; but see WALHeader.salts_by_chance.
    """
    restarts = (after.salt1 - before.salt1) & 0xFFFFFFFF
    return restarts if restarts <= RESTARTS_MAX else 0


def frames_in(data: bytes | bytearray | memoryview, header: WALHeader, sums: Sums) -> Frames:
    """Verify the whole frames at the start of `data`, which continue a chain at `sums`; a rest is passed over."""
    size = header.frame_size
    whole = len(data) // size
    rows = np.frombuffer(data, dtype=np.uint8, count=whole * size).reshape(whole, size)
    fields = rows[:, :16].copy().view(">u4").astype(np.uint32)
    salted = (fields[:, 2] == header.salt1) & (fields[:, 3] == header.salt2)
    count = whole if salted.all() else int(np.argmin(salted))
    count, sums_after = valid_frames(rows[:count], header.page_size, sums, header.big_endian)
    commits = fields[:count, 1]
    ends = np.flatnonzero(commits)
    committed = int(ends[-1]) + 1 if len(ends) else 0
    committed_sums = sums
    if committed:
        sum0, sum1 = struct.unpack(">2I", rows[committed - 1, 16:24].tobytes())
        committed_sums = (sum0, sum1)
    return Frames(
        rows=rows[:count],
        pages=fields[:count, 0],
        commits=commits,
        count=count,
        committed=committed,
        sums=sums_after,
        committed_sums=committed_sums,
        database_pages=int(commits[committed - 1]) if committed else 0,
    )
