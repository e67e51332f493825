"""What a replica holds, read in the plainest way: all objects in order by lz4 and struct, frames up to each commit.

The reference of the differential test. Nothing of the product is imported here, so that a mistake there is not made
here as well. It knows no notes: what a snapshot holds, and how long an index was, is told by who saw it written.
"""

import hashlib
import struct
from collections.abc import Mapping

import lz4.frame

Place = tuple[int, int]
"""Index and offset."""
_HEADER, _FRAME_HEADER = 32, 24


def unpack(data: bytes) -> bytes:
    """The content of an object; ValueError if it is torn. Skippable frames before it are passed over."""
    while len(data) >= 8 and struct.unpack_from("<I", data)[0] >> 4 == 0x184D2A5:
        data = data[8 + struct.unpack_from("<I", data, 4)[0] :]
    try:
        return bytes(lz4.frame.decompress(data))
    except (RuntimeError, EOFError) as error:
        raise ValueError(str(error)) from None


def commits_of(wal: bytes, start: int, page_size: int) -> list[int]:
    """Where commits end in a piece of WAL that begins at the offset `start`."""
    size, first = _FRAME_HEADER + page_size, 0 if start else _HEADER
    ends = range(first + size, len(wal) + 1, size)
    return [start + end for end in ends if struct.unpack_from(">I", wal, end - size + 4)[0]]


def states(
    snapshots: Mapping[Place, bytes], segments: Mapping[Place, bytes], lengths: Mapping[int, int]
) -> dict[Place, str]:
    """Every commit that these contents bring back, with the hash of the database then.

    A snapshot stands at the commit that it holds; `lengths` says how long each index was when the next one began.
    """
    found: dict[Place, str] = {}
    for base, content in sorted(snapshots.items(), reverse=True):
        found[base] = hashlib.sha256(content).hexdigest()
        database, waiting = bytearray(content), []
        expected: Place = (base[0], 0)
        page_size = struct.unpack_from(">H", content, 16)[0] or 65536
        page_size = 65536 if page_size == 1 else page_size
        while True:
            if expected not in segments and lengths.get(expected[0]) == expected[1]:
                expected = (expected[0] + 1, 0)
            wal = segments.get(expected)
            if wal is None:
                break
            index, offset = expected
            if not wal:
                # An end mark: nothing follows in this index.
                expected = (index + 1, 0)
                continue
            for at in range(0 if offset else _HEADER, len(wal), _FRAME_HEADER + page_size):
                page, pages = struct.unpack_from(">2I", wal, at)
                waiting.append((page - 1, wal[at + _FRAME_HEADER : at + _FRAME_HEADER + page_size]))
                place = (index, offset + at + _FRAME_HEADER + page_size)
                if pages and place > base:
                    database.extend(bytes(max(0, pages * page_size - len(database))))
                    for number, data in waiting:
                        database[number * page_size : (number + 1) * page_size] = data
                    del database[pages * page_size :]
                    found[place] = hashlib.sha256(database).hexdigest()
                if pages:
                    waiting.clear()
            expected = (index, offset + len(wal))
    return found
