"""Numbers and values as records of SQLite have them. Pure.

https://www.sqlite.org/fileformat2.html#record_format
"""

import struct
from collections.abc import Callable
from typing import TypeVar

_INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FLOAT, _ZERO, _ONE, _VALUES_FROM = 7, 8, 9, 12

TextT = TypeVar("TextT")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends. Raises IndexError if it does not."""
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def signed(value: int) -> int:
    """A number of 64 bits with its sign."""
    return value - (1 << 64) if value >> 63 else value


def size_of(kind: int) -> int:
    """How many bytes a value takes, by its serial type."""
    return _INTEGER_SIZES.get(kind, 8 if kind == _FLOAT else max(0, (kind - _VALUES_FROM) // 2))


def value_of(kind: int, part: bytes, text: Callable[[bytes], TextT]) -> int | float | bytes | TextT | None:
    """The value of these bytes, by its serial type; `text` makes one of the bytes of a text.

    Raises ValueError for a serial type that there is not.
    """
    if kind in _INTEGER_SIZES:
        return int.from_bytes(part, "big", signed=True)
    if kind == _FLOAT:
        return float(struct.unpack(">d", part)[0])
    if kind in (_ZERO, _ONE):
        return kind - _ZERO
    if kind == 0:
        return None
    if kind < _VALUES_FROM:
        raise ValueError(f"{kind} is no kind of value")
    return part if kind % 2 == 0 else text(part)
