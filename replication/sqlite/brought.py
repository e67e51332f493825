"""What bringing rows back does, or would do: plain values, for people and for a screen."""

from dataclasses import dataclass
from typing import Literal

OnConflict = Literal["skip", "replace", "abort"]
"""What becomes of a row whose place another one has: that one stays, gives way, or nothing is brought back."""

NAMED_MAX = 100
"""Rows of a table that are named with a reason."""
SAMPLES_MAX = 20
"""Rows of a table that are shown."""


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A row by its key, and why it is not brought back."""

    key: str
    words: str


@dataclass(frozen=True, slots=True)
class TableReport:
    """What becomes of the rows of one table. Rows that are there as they were count as `same`."""

    table: str
    rows: int
    """Rows that were looked at."""
    is_made: bool
    """True if the table is gone, and made again."""
    refusal: str = ""
    """Why none of its rows is brought back; then all that follows is empty."""
    inserted: int = 0
    updated: int = 0
    same: int = 0
    skipped: int = 0
    """For a conflict: the row that has the place stays."""
    refused: int = 0
    """Rows that a constraint, a foreign key or a trigger refused."""
    renumbered: int = 0
    """Rows that were inserted with another row number, since another row has theirs."""
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    inserted_rows: tuple[tuple[str, ...], ...] = ()
    """The first of the inserted rows, as texts."""
    updated_rows: tuple[tuple[str, ...], ...] = ()
    skipped_rows: tuple[NamedRow, ...] = ()
    refused_rows: tuple[NamedRow, ...] = ()


@dataclass(frozen=True, slots=True)
class TriggerRun:
    """How often a trigger did something."""

    trigger: str
    runs: int


@dataclass(frozen=True, slots=True)
class SideEffect:
    """Rows of a table that triggers, and actions of foreign keys, write."""

    table: str
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True, slots=True)
class Report:
    """What becomes of all tables. `seconds` is how long the transaction takes, in which other writers wait."""

    tables: tuple[TableReport, ...]
    triggers: tuple[TriggerRun, ...]
    effects: tuple[SideEffect, ...]
    seconds: float

    @property
    def inserted(self) -> int:
        """Rows of all tables."""
        return sum(item.inserted for item in self.tables)

    @property
    def updated(self) -> int:
        """Rows of all tables."""
        return sum(item.updated for item in self.tables)

    @property
    def changes_something(self) -> bool:
        """False if the database would stay as it is."""
        return any(item.inserted or item.updated or (item.is_made and not item.refusal) for item in self.tables)

    @property
    def is_refused(self) -> bool:
        """True if no row comes back or is there, and some were refused."""
        came = self.changes_something or any(item.same for item in self.tables)
        return not came and any(item.refusal or item.refused for item in self.tables)

    @property
    def is_whole(self) -> bool:
        """True if every row comes back, or is there."""
        return not any(item.refusal or item.skipped or item.refused for item in self.tables)
