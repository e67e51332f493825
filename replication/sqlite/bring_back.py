"""Staged rows into a database, as one transaction that SQLite makes: what fits comes, and what does not is named.

Its promise: at any end, a kill too, all of it is committed or nothing. Every row that is not brought back is counted
and, up to a bound, named. A row that is there stays as it is unless it is to be replaced, and then only the row with
the same key is; no row is ever deleted to make room. Constraints, foreign keys and triggers are SQLite's own: it is
asked to do it, and says what it refuses. The same function tries it out (sqlite/overlay.py) and does it.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import apsw

from replication.errors import BringBackError, RestoreCancelledError
from replication.sqlite.brought import Report
from replication.sqlite.errors import DatabaseBusyError
from replication.sqlite.foreign_keys import in_order, violators
from replication.sqlite.how import REFUSED, STAYS, UPDATED, Became, How
from replication.sqlite.rows import CANCELLED, TableRows
from replication.sqlite.stage import Stage
from replication.sqlite.watching import Watch
from replication.steps import reached

BUSY_SECONDS_MAX = 30.0
"""How long the application may keep us from writing."""
ROUNDS_MAX = 50
"""Times that the transaction is begun because foreign keys refuse rows of it."""
REFUSED_MAX = 1_000_000
"""Rows that foreign keys may refuse."""
_STEPS_BETWEEN_LOOKS = 20_000


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of every row, by table."""

    report: Report
    became: tuple[Became, ...]


def bring_back(
    connection: apsw.Connection,
    stage: Stage,
    how: How,
    stop: threading.Event,
    check: Callable[[Tried], None] = lambda tried: None,
) -> Tried:
    """Bring all rows of the stage into the database of the connection, to which it is attached.

    `check` sees what was done before it is committed, and what it raises undoes it. Raises BringBackError where nothing
    may be done, RestoreCancelledError, apsw.Error.
    """
    refused: list[dict[int, int]] = [{} for _ in stage.tables]
    may_commit = False
    # A trigger may roll all of it back: then no statement that follows is one by itself.
    connection.set_commit_hook(lambda: not may_commit)
    connection.set_progress_handler(stop.is_set, _STEPS_BETWEEN_LOOKS)
    connection.execute("PRAGMA foreign_keys=ON").fetchall()
    try:
        for _ in range(ROUNDS_MAX):
            _begin(connection, stop)
            reached("bring back: begun")
            try:
                tried, failing = _Round(connection, stage, how, stop, refused).run()
                if not any(failing):
                    check(tried)
                    reached("bring back: rows written")
                    # From here on it is done, whoever wants to stop it.
                    connection.set_progress_handler(None)
                    may_commit = True
                    connection.execute("COMMIT")
                    reached("bring back: committed")
                    return tried
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            for known, found, became in zip(refused, failing, tried.became, strict=True):
                known |= {id: STAYS if became.outcomes[id] == UPDATED else REFUSED for id in found}
            if sum(map(len, refused)) > REFUSED_MAX:
                break
    except apsw.InterruptError:
        if not stop.is_set():
            raise
        raise RestoreCancelledError(CANCELLED) from None
    finally:
        connection.set_progress_handler(None)
        connection.set_commit_hook(None)
    raise BringBackError(
        f"Foreign keys refuse {sum(map(len, refused)):,} rows and more. Bring back the tables that they refer to with "
        "them; nothing was changed."
    )


def _begin(connection: apsw.Connection, stop: threading.Event) -> None:
    """Begin, once no other connection writes."""
    deadline = time.monotonic() + BUSY_SECONDS_MAX
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            # Parents and children may come in any order; what is left of it is looked at before the commit.
            connection.execute("PRAGMA defer_foreign_keys=ON").fetchall()
            return
        except apsw.BusyError:
            if stop.is_set():
                raise RestoreCancelledError(CANCELLED) from None
            if time.monotonic() > deadline:
                raise DatabaseBusyError(
                    f"Another program has been writing to the database for {BUSY_SECONDS_MAX:.0f} s, and only one can. "
                    "Nothing was changed; try again"
                ) from None


@dataclass(slots=True)
class _Round:
    """One try, within a transaction. `refused` are rows whose foreign keys failed in those before."""

    connection: apsw.Connection
    stage: Stage
    how: How
    stop: threading.Event
    refused: Sequence[Mapping[int, int]]
    tables: list[TableRows] = field(default_factory=list)

    def run(self) -> tuple[Tried, list[set[int]]]:
        """What was done, and the rows of each table whose foreign keys fail."""
        began = time.monotonic()
        self.tables = [TableRows(self.connection, self.stage, staged, self.how) for staged in self.stage.tables]
        for rows in self.tables:
            rows.prepare()
        watch = Watch(self.connection)
        try:
            for rows in in_order(self.tables):
                rows.bring(self.refused[rows.staged.number], watch, self.stop)
        finally:
            watch.close()
        for rows in self.tables:
            rows.finish()
        for rows in self.tables:
            for id, outcome in sorted(self.refused[rows.staged.number].items()):
                rows.note(id, outcome, rows.fk_words)
        failing = violators(self.connection, self.tables)
        seconds = time.monotonic() - began
        report = Report(tuple(rows.report() for rows in self.tables), watch.triggers, watch.effects, seconds)
        return Tried(report, tuple(rows.became for rows in self.tables)), failing
