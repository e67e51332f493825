"""How rows are brought back: what may be done for them, and what became of each, in a preview and when it is done."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

PENDING, SAME, INSERTED, UPDATED, SKIPPED, REFUSED, STAYS = range(7)
"""What became of a row. STAYS is one that was refused while the row with its key was to give way."""
_DIGEST_BYTES = 16


@dataclass(slots=True)
class Became:
    """What became of the rows of a table, by their numbers, and which rows had their keys before any was written."""

    outcomes: bytearray = field(default_factory=bytearray)
    refusal: str = ""
    """Why none of them came, in words."""
    _before: bytearray = field(default_factory=bytearray)
    """Digests; of few bytes, for all rows have room in memory."""
    _second: set[int] = field(default_factory=set)
    """Rows that have the key of an earlier one, as today's key tells them apart."""

    def saw(self, rows: Iterable[tuple[Any, ...]], may_share: bool) -> None:
        """Keep in mind rows of the table: each after the number of the row that is to have its place.

        Several are to have the place of one only if they `may_share` a key.
        """
        self._before = bytearray()
        first: dict[bytes, int] = {}
        for id, *values in rows:
            if not self._before:
                self._before = bytearray(len(self.outcomes) * _DIGEST_BYTES)
            digest = _digest(values)
            self._before[id * _DIGEST_BYTES : (id + 1) * _DIGEST_BYTES] = digest
            if may_share:
                other = first.setdefault(digest, id)
                self._second |= {max(id, other)} - {min(id, other)}
                first[digest] = min(id, other)

    def is_second(self, id: int) -> bool:
        """True if the row that has the key of a staged one is there for another staged one, or has its place."""
        return id in self._second or not self._of(id)

    def stays(self, id: int, now: "Became") -> str:
        """Why the row with its key does not give way now, if this was the preview; "" if it does."""
        if self.outcomes[id] not in (SAME, UPDATED, STAYS):
            return "the row with its key came after the preview"
        if self._of(id) != now._of(id):
            return "the row with its key was changed after the preview"
        return ""

    def _of(self, id: int) -> bytes:
        return bytes(self._before[id * _DIGEST_BYTES : (id + 1) * _DIGEST_BYTES]).rstrip(b"\0")


def _digest(values: Sequence[Any]) -> bytes:
    return hashlib.blake2b(repr(list(values)).encode(), digest_size=_DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class How:
    """What is done where another row has the key. After a preview only rows give way that it saw, as it saw them."""

    on_conflict: Literal["skip", "replace"]
    previewed: Sequence[Became] = ()
    """What it said of each table; nothing if this is the preview."""
    progress: Callable[[int], None] = lambda rows: None
    """Told how many rows more were gone through."""
    refusals: Mapping[int, str] = field(default_factory=dict)
    """Why nothing of a table is brought back, by its number in the stage."""


def of_the_application(error: Exception) -> str:
    """Why nothing of a table comes back for which SQLite lacks something, in words."""
    return (
        f"SQLite says: {error}. If that is the application's own, write the rows to a file with -o and let the "
        "application bring them in"
    )
