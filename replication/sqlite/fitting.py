"""How staged rows fit into the tables of a live database as they are now, for a file that others load into it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from replication.sqlite.errors import sqlite_errors
from replication.sqlite.live_pages import live_pages
from replication.sqlite.matching import Match, match
from replication.sqlite.overlay import overlay
from replication.sqlite.shape import Table, table_of
from replication.sqlite.stage import Stage


@dataclass(frozen=True, slots=True)
class Fitting:
    """How the rows of one table fit. `is_made` is true if the table is gone, and None if it is not known."""

    fits: Match
    is_made: bool | None
    refusal: str = ""
    """Why they do not fit; then they are as they were."""


def fits_now(path: Path, stage: Stage, written: Callable[[int], None]) -> list[Fitting]:
    """How the rows of each table of the stage fit into the database. Raises DatabaseError, OSError."""
    with sqlite_errors(path), live_pages(path) as pages, overlay(pages, written) as connection:
        return [_fitting(item.table, table_of(connection.execute, item.table.name)) for item in stage.tables]


def fits_unknown(stage: Stage) -> list[Fitting]:
    """The same where there is no database to ask: as if nothing had changed."""
    return [Fitting(_as_it_was(item.table), None) for item in stage.tables]


def _fitting(then: Table, now: Table | None) -> Fitting:
    if now is None:
        return Fitting(_as_it_was(then), True)
    found = match(then, now)
    return Fitting(_as_it_was(then), False, found) if isinstance(found, str) else Fitting(found, False)


def _as_it_was(then: Table) -> Match:
    found = match(then, then)
    if isinstance(found, Match):
        return found
    # Nothing tells its rows apart, and all of them can be written down.
    columns = tuple((place, item.name) for place, item in enumerate(then.columns) if not item.is_generated)
    return Match(then, columns, frozenset(), (), False, False, ())
