"""Why a generation began, when, and after which: kept beside the shadow WAL, and noted in every snapshot."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ORIGIN_NAME = "litestream-tui.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """The birth of one generation. `began` is RFC 3339 in UTC; `previous` is empty for a first one."""

    generation: str
    reason: str
    previous: str
    began: str

    @classmethod
    def now(cls, generation: str, reason: str, previous: str) -> "Origin":
        return cls(generation, reason, previous, datetime.now(UTC).isoformat(timespec="milliseconds"))

    def save(self, meta_path: Path) -> None:
        """Write it down; a private file that Litestream leaves alone. Losing it loses words, no data."""
        with suppress(OSError):
            (meta_path / ORIGIN_NAME).write_text(json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, meta_path: Path, generation: str) -> "Origin":
        """What is known of `generation`: one that Litestream began has no reason here."""
        with suppress(OSError, ValueError, TypeError):
            origin = cls(**json.loads((meta_path / ORIGIN_NAME).read_text()))
            if origin.generation == generation:
                return origin
        return cls(generation, "", "", "")
