"""The running number of each object of a generation's WAL, by which the first and the last tell that none is missing.

A listing says where segments begin and not where they end, so a hole inside an index does not show in it. Whoever
writes goes on counting from the object that its own follows. Where that one has no number, as Litestream's, counting
begins anew, and the number says where.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from replication.position import OFFSET_LIMIT_BYTES
from replication.replica.holdings import Place

_NTH_LIMIT = 1 << 62
_INDEX_LIMIT = 1 << 32


@dataclass(frozen=True, slots=True)
class Number:
    """So many objects lie before this one, from the place `first` on; from the beginning of the generation if None."""

    nth: int = 0
    first: Place | None = None

    @property
    def following(self) -> "Number":
        """That of the next object."""
        return replace(self, nth=self.nth + 1)

    def note(self) -> dict[str, str | int]:
        """What a note says of it."""
        if self.first is None:
            return {"nth": self.nth}
        return {"nth": self.nth, "nth_from": "{:08x}:{}".format(*self.first)}


def noted(note: Mapping[str, str | int] | None) -> Number | None:
    """The number that a note tells; None if it tells none."""
    nth, first = (note or {}).get("nth"), (note or {}).get("nth_from", "")
    if not isinstance(nth, int) or isinstance(nth, bool) or not 0 <= nth < _NTH_LIMIT or not isinstance(first, str):
        return None
    if not first:
        return Number(nth)
    index, _, offset = first.partition(":")
    try:
        place = (int(index, 16), int(offset))
    except ValueError:
        return None
    if not (0 <= place[0] < _INDEX_LIMIT and 0 <= place[1] < OFFSET_LIMIT_BYTES):
        return None
    return Number(nth, place)
