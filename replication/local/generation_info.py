"""Why a generation began, when, and after which: kept beside the shadow WAL, and noted in every snapshot.

A replica may never have got the generation before, nor the one before that. So a generation names several, lest
its order among those that the replica has be left to clocks.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from replication.local.files import GENERATION_INFO_NAME
from replication.local.folder import LocalFolder
from replication.position import Position

EARLIER_MAX = 64
"""Generations named besides the one before; each takes 17 bytes of a note."""
LEFTS_KEPT_MAX = 8
"""Generations of which it is known how far they were copied here."""


@dataclass(frozen=True, slots=True)
class GenerationInfo:
    """How one generation began. `began` is RFC 3339 in UTC; `previous` is empty for a first one.

    `earlier` names those before `previous`, the newest first. `lefts` are the ends of the last of these, as far as they
    were copied here: what is past one of them in a replica was written by somebody else.
    """

    generation: str
    reason: str
    previous: str
    began: str
    earlier: tuple[str, ...] = ()
    lefts: tuple[str, ...] = ()

    @classmethod
    def now(
        cls, generation: str, reason: str, previous: "GenerationInfo", left: Position | None = None
    ) -> "GenerationInfo":
        """The info of a generation that begins now, after that of `previous`, which was copied up to `left`."""
        earlier = (previous.previous, *previous.earlier)[:EARLIER_MAX] if previous.previous else ()
        began = datetime.now(UTC).isoformat(timespec="milliseconds")
        lefts = (*([str(left)] if left is not None else ()), *previous.lefts)[:LEFTS_KEPT_MAX]
        return cls(generation, reason, previous.generation, began, earlier, lefts)

    def save(self, meta_path: Path) -> None:
        """Write it to a private file that Litestream leaves alone. Losing that loses words, no data."""
        with suppress(OSError):
            LocalFolder(meta_path).write(GENERATION_INFO_NAME, f"{json.dumps(asdict(self))}\n".encode())

    @classmethod
    def load(cls, meta_path: Path, generation: str) -> "GenerationInfo":
        """What is known of `generation`: one that Litestream began has no reason here."""
        with suppress(OSError, ValueError, TypeError):
            found = cls(**json.loads(LocalFolder(meta_path).read(GENERATION_INFO_NAME)))
            if found.generation == generation:
                earlier = tuple(str(name) for name in found.earlier)[:EARLIER_MAX]
                return replace(found, earlier=earlier, lefts=tuple(str(left) for left in found.lefts)[:LEFTS_KEPT_MAX])
        return cls(generation, "", "", "")
