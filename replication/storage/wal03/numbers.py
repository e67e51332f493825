"""The running number of each object of a generation's WAL, by which the first and the last tell that none is missing.

A listing says where segments begin and not where they end, so a hole inside an index does not show in it. Whoever
writes goes on counting from the object that its own follows. Where that one has no number, as Litestream's, counting
begins anew, and the number says where. Each counting has a sign of its own: where a copy of the program began anew in a
place that had been emptied, its numbers may fit those of the first one, and its objects do not.
"""

import re
import secrets
from dataclasses import dataclass, replace

from replication.position import OFFSET_LIMIT_BYTES
from replication.storage.note_fields import NoteFields
from replication.storage.wal03.names import Place

_NTH_LIMIT = 1 << 62
_INDEX_LIMIT = 1 << 32
_RUN = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Number:
    """So many objects lie before this one, from the place `first` on; from the beginning of the generation if None.

    `run` is the sign of its counting, "" in what earlier versions wrote.
    """

    nth: int = 0
    first: Place | None = None
    run: str = ""

    @classmethod
    def beginning(cls, first: Place | None = None) -> "Number":
        """The first of a counting that begins now."""
        return cls(0, first, secrets.token_hex(4))

    @property
    def following(self) -> "Number":
        """That of the next object."""
        return replace(self, nth=self.nth + 1)

    def fields(self) -> dict[str, str | int]:
        """What a note says of it."""
        found: dict[str, str | int] = {"nth": self.nth}
        if self.first is not None:
            found["nth_from"] = "{:08x}:{}".format(*self.first)
        return found | ({"nth_run": self.run} if self.run else {})

    @classmethod
    def noted(cls, note: NoteFields) -> "Number | None":
        """The number that a note tells; None if it tells none."""
        nth, first = note.get("nth"), note.get("nth_from", "")
        if not isinstance(nth, int) or isinstance(nth, bool) or not 0 <= nth < _NTH_LIMIT or not isinstance(first, str):
            return None
        said = note.get("nth_run")
        run = said if isinstance(said, str) and _RUN.fullmatch(said) else ""
        if not first:
            return cls(nth, None, run)
        index, _, offset = first.partition(":")
        try:
            place = (int(index, 16), int(offset))
        except ValueError:
            return None
        if not (0 <= place[0] < _INDEX_LIMIT and 0 <= place[1] < OFFSET_LIMIT_BYTES):
            return None
        return cls(nth, place, run)
