"""Positions: where in the history of a database we are.

A position is generation / index : offset, the words and the text form of Litestream 0.3:
the index is 8 hex digits, the offset is decimal (bytes of the uncompressed WAL, header included).
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from replication.scrub import quoted

GENERATION_PATTERN = re.compile(r"[0-9a-f]{16}")
_POSITION_PATTERN = re.compile(r"([0-9a-f]{16})/([0-9a-f]{8}):([0-9]{1,10})")

INDEX_MAX = 0x7FFFFFFF
"""The highest WAL index that Litestream 0.3.13 accepts."""

OFFSET_LIMIT_BYTES = 1 << 32
"""No offset may reach this: object names hold offsets in 8 hex digits."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """One place in one generation. Positions of different generations have no order that means anything."""

    generation: str
    index: int
    offset: int

    def __str__(self) -> str:
        return f"{self.generation}/{self.index:08x}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read `GENERATION/INDEX:OFFSET`; raise ValueError, in words, for anything else."""
        match = _POSITION_PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{quoted(text)!r} is not a position: it is GENERATION/INDEX:OFFSET, "
                "16 hex digits, 8 hex digits and a decimal offset, such as 632cec0a13baa286/00000000:16512"
            )
        return cls(match[1], int(match[2], 16), int(match[3]))


def is_generation(text: str) -> bool:
    """True for exactly 16 lowercase hex digits."""
    return GENERATION_PATTERN.fullmatch(text) is not None


def positions_in(words: str) -> tuple[Position, ...]:
    """Those of these words that are positions."""
    found: list[Position] = []
    for word in words.split():
        with suppress(ValueError):
            found.append(Position.parse(word))
    return tuple(found)
