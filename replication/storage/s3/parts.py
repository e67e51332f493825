"""How a stream of unknown length is cut into the parts of a multipart upload. Pure.

The first parts are of one size, which some servers insist on; later ones grow, so that the most parts a
store allows hold the largest object it allows.
"""

from collections.abc import Iterable, Iterator

PART_BYTES = 8 * 1024 * 1024
"""The size of a part; what is not longer goes in one PUT. Stores take none under 5 MiB but the last."""
PARTS_MAX = 10_000
OBJECT_BYTES_MAX = 5 * 1024**4
_PART_BYTES_MAX = 5 * 1024**3
_EQUAL_PARTS = 5_000
_PARTS_PER_DOUBLING = 500


def part_size(number: int) -> int:
    """Bytes of part `number`, which counts from 1."""
    doublings = max(0, number - 1 - _EQUAL_PARTS + _PARTS_PER_DOUBLING) // _PARTS_PER_DOUBLING
    return min(PART_BYTES << doublings, _PART_BYTES_MAX)


def cut_parts(chunks: Iterable[bytes]) -> Iterator[tuple[bytearray, bool]]:
    """Yield each part and whether it is the last; an empty stream is one empty last part.

    A part belongs to the caller. Beside it nothing is kept but the chunk that it ends in.
    """
    part = bytearray()
    number = 1
    for chunk in chunks:
        rest = memoryview(chunk)
        while len(part) + len(rest) > (size := part_size(number)):
            room = size - len(part)
            part += rest[:room]
            rest = rest[room:]
            yield part, False
            part = bytearray()
            number += 1
        part += rest
    yield part, True
