"""How rows are brought back: what may be done for them, and what became of each, in a preview and when it is done."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
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

    def saw(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Keep in mind rows of the table: each after the number of the row that is to have its place."""
        self._before = bytearray()
        for id, *values in rows:
            if not self._before:
                self._before = bytearray(len(self.outcomes) * _DIGEST_BYTES)
            digest = hashlib.blake2b(repr(values).encode(), digest_size=_DIGEST_BYTES).digest()
            self._before[id * _DIGEST_BYTES : (id + 1) * _DIGEST_BYTES] = digest

    def stays(self, id: int, now: "Became") -> str:
        """Why the row with its key does not give way now, if this was the preview; "" if it does."""
        if self.outcomes[id] not in (SAME, UPDATED, STAYS):
            return "the row with its key came after the preview"
        if self._of(id) != now._of(id):
            return "the row with its key was changed after the preview"
        return ""

    def _of(self, id: int) -> bytes:
        return bytes(self._before[id * _DIGEST_BYTES : (id + 1) * _DIGEST_BYTES]).rstrip(b"\0")


@dataclass(frozen=True, slots=True)
class How:
    """What is done where another row has the key. After a preview only rows give way that it saw, as it saw them."""

    on_conflict: Literal["skip", "replace"]
    previewed: Sequence[Became] = ()
    """What it said of each table; nothing if this is the preview."""
    progress: Callable[[int], None] = lambda rows: None
    """Told how many rows more were gone through."""
