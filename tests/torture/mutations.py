"""Spoilt bytes: real ones after mutations, in pieces of any size, or under right checksums. Chance is given."""

import random
import struct
from collections.abc import Iterator

from replication.sqlite.wal import WALHeader


def spoilt(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """The bytes after one to four mutations."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(made) + 1)
        length = chance.choice([1, 1, 2, 4, 8, 24, 32, 536, chance.randrange(1, 4096)])
        match chance.randrange(8):
            case 0 if made:
                made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
            case 1:
                del made[at : at + length]
            case 2:
                made[at:at] = chance.randbytes(length)
            case 3:
                other = chance.choice(others)
                begin = chance.randrange(len(other) + 1)
                made[at:] = other[begin:]
            case 4:
                made[at:at] = made[at : at + length]
            case 5:
                value = chance.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, chance.getrandbits(32)])
                made[at : at + 4] = struct.pack(chance.choice(["<I", ">I"]), value)
            case 6:
                made[at : at + length] = bytes(length)
            case _:
                del made[at:]
    return bytes(made)


def chunked(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """The bytes in pieces of any size, as a network brings them."""
    at = 0
    while at < len(data):
        size = chance.choice([1, 7, 8, 100, 4096, len(data)])
        yield data[at : at + size]
        at += size


def resummed(frames: bytes, header: WALHeader) -> bytes:
    """Frames with the salts and checksums that `header` asks for, and page numbers and sizes that stay small."""
    size = header.frame_size
    made, sums = bytearray(), header.sums
    for at in range(0, len(frames) - size + 1, size):
        page, commit = struct.unpack_from(">2I", frames, at)
        start = struct.pack(">2I", page % 5000, commit % 5000)
        body = frames[at + 24 : at + size]
        sums = _checksum(start + body, sums, header)
        made += start + struct.pack(">4I", *header.salts, *sums) + body
    return bytes(made)


def _checksum(data: bytes, sums: tuple[int, int], header: WALHeader) -> tuple[int, int]:
    """As SQLite's documentation has it, word by word: the product has another way."""
    order = ">" if header.big_endian else "<"
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for a, b in zip(words[::2], words[1::2], strict=True):
        first = (first + a + second) & 0xFFFFFFFF
        second = (second + b + first) & 0xFFFFFFFF
    return first, second
