"""The rows of one table on their way back: one statement for each row, and what became of it.

It leaves to the caller the transaction around all rows, and foreign keys, which are only known at its end.
"""

import threading
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import apsw

from replication.errors import BringBackError
from replication.sqlite.brought import NAMED_MAX, SAMPLES_MAX, NamedRow, TableReport
from replication.sqlite.how import INSERTED, REFUSED, SAME, SKIPPED, STAYS, UPDATED, Became, How, of_the_application
from replication.sqlite.making import make_one
from replication.sqlite.matching import Match, match, unfit
from replication.sqlite.savepoint import Savepoint
from replication.sqlite.shape import Ask, Made, exists, quoted, sequence_of, table_of, text
from replication.sqlite.shown import read, shown
from replication.sqlite.stage import Stage, Staged
from replication.sqlite.statements import Statements, itself, statements
from replication.sqlite.watching import Watch

CANCELLED = "It was cancelled; nothing was changed."
TOGETHER_ROWS = 500
"""Rows that one statement inserts, as long as all of them fit."""
_OF_THE_ROW = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.SQLError)
"""What a row may fail with."""
_CONFLICTS = (
    apsw.SQLITE_CONSTRAINT_UNIQUE,
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
    apsw.SQLITE_CONSTRAINT_ROWID,
)


class _PassedOverError(Exception):
    """The row was not written, or another one went for it; the message says so. What was done for it is undone."""


class _RefusedError(Exception):
    """Nothing of the table can be brought back; the message says why."""


@dataclass(slots=True)
class TableRows:
    """One table, within a transaction."""

    connection: apsw.Connection
    stage: Stage
    staged: Staged
    how: How
    fits: Match | None = None
    """None if it is refused."""
    became: Became = field(default_factory=Became)
    _is_made: bool = False
    _notes: list[str] = field(default_factory=list)
    _named: dict[int, list[NamedRow]] = field(default_factory=lambda: {SKIPPED: [], REFUSED: []})
    _renumbered: int = 0
    _sql: Statements | None = None

    def prepare(self) -> None:
        """Make the table if it is gone, and see how its rows fit."""
        self.became.outcomes = bytearray(self.stage.last(self.staged) + 1)
        try:
            with Savepoint(self.connection):
                self._prepare()
        except (_RefusedError, apsw.SQLError) as error:
            self._refuse(str(error))

    def bring(self, left_out: Collection[int], watch: Watch, stop: threading.Event) -> None:
        """Bring all of its rows but these. Raises BringBackError, apsw.Error."""
        if self.fits is None:
            return
        sql = self._sql
        assert sql is not None, "prepared"
        watch.target = self.fits.table.name
        try:
            with Savepoint(self.connection):
                last = len(self.outcomes) - 1
                for first in range(1, last + 1, TOGETHER_ROWS):
                    span = (first, min(last, first + TOGETHER_ROWS - 1))
                    ids = [int(id) for (id,) in self._all(sql.ids, *span) if id not in left_out]
                    if not self._together(sql, ids, span, watch):
                        for id in ids:
                            self._one(sql, id, watch)
                            # What a row did that was refused is undone with it.
                            (watch.keep if self.outcomes[id] in (INSERTED, UPDATED) else watch.forget)()
                    self.how.progress(len(ids))
                    if stop.is_set():
                        raise apsw.InterruptError
        except _RefusedError as error:
            self._refuse(str(error))

    def finish(self) -> None:
        """What comes after the rows: the triggers of a table that was made, and the numbers that it has given out."""
        if self.fits is None:
            return
        table, ask = self.fits.table, self._ask
        if self._is_made:
            self._make(self.staged.table.triggers, "trigger")
        sequence = self.staged.sequence
        if sequence is not None and exists(ask, "sqlite_sequence") and "AUTOINCREMENT" in table.sql.upper():
            now = sequence_of(ask, table.name)
            name = text(table.name)
            if now is None:
                self.connection.execute(f"INSERT INTO main.sqlite_sequence VALUES({name}, {sequence})")
            elif now < sequence:
                self.connection.execute(f"UPDATE main.sqlite_sequence SET seq = {sequence} WHERE name = {name}")

    def note(self, id: int, outcome: int, words: str | Callable[[int], str]) -> None:
        """Note what became of a row, and why: the words are made if it is named."""
        self.outcomes[id] = outcome
        named = self._named[SKIPPED if outcome == SKIPPED else REFUSED]
        if len(named) < NAMED_MAX:
            named.append(NamedRow(self._key_of(id), words if isinstance(words, str) else words(id)))

    def fk_words(self, id: int) -> str:
        """Which row its foreign keys lack."""
        for reference in self.fits.table.references if self.fits is not None else ():
            places = self.places(reference.columns)
            if places is None:
                continue
            pairs = list(zip(reference.parent_columns, places, strict=True))
            same = " AND ".join(f"p.{quoted(name)} = s.c{place}" for name, place in pairs)
            known = " AND ".join(f"s.c{place} IS NOT NULL" for place in places)
            sql = (
                f"SELECT 1 FROM {self.staged.name} s WHERE id = ? AND {known} AND NOT EXISTS "
                f"(SELECT 1 FROM main.{quoted(reference.table)} p WHERE {same})"
            )
            if self._all(sql, id):
                values = self._texts(id, places)
                wanted = ", ".join(f"{name} {value}" for (name, _), value in zip(pairs, values, strict=True))
                return f"FOREIGN KEY: {reference.table} has no {wanted}"
        return "FOREIGN KEY constraint failed"

    def places(self, names: Collection[str]) -> list[int] | None:
        """The numbers of these columns in a staged row (c0, c1, and so on); None if it lacks one."""
        assert self.fits is not None
        known = {name.lower(): place for place, name in self.fits.columns}
        found = [known[name.lower()] for name in names if name.lower() in known]
        return found if len(found) == len(names) else None

    def report(self) -> TableReport:
        """What became of all rows of the table."""
        name = self.fits.table.name if self.fits is not None else self.staged.table.name
        there = self.staged.rows - self.stage.count(self.staged)
        if self.became.refusal:
            return TableReport(name, self.staged.rows, False, self.became.refusal)
        counts = [self.outcomes.count(outcome) for outcome in range(STAYS + 1)]
        return TableReport(
            name,
            self.staged.rows,
            self._is_made,
            inserted=counts[INSERTED],
            updated=counts[UPDATED],
            same=counts[SAME] + there,
            skipped=counts[SKIPPED],
            refused=counts[REFUSED] + counts[STAYS],
            renumbered=self._renumbered,
            notes=tuple(self._notes),
            columns=tuple(column.name for column in self.staged.table.columns),
            inserted_rows=self._samples(INSERTED),
            updated_rows=self._samples(UPDATED),
            skipped_rows=tuple(self._named[SKIPPED]),
            refused_rows=tuple(self._named[REFUSED]),
        )

    @property
    def outcomes(self) -> bytearray:
        """What became of each row, by its number."""
        return self.became.outcomes

    # -- inside -----------------------------------------------------------------------------------------------------

    @property
    def _ask(self) -> Ask:
        return self.connection.execute

    def _refuse(self, words: str) -> None:
        if self._is_made and self.fits is not None:
            self.connection.execute(f"DROP TABLE main.{quoted(self.fits.table.name)}")
        self.fits, self._is_made = None, False
        self.became = Became(bytearray(len(self.outcomes)), words)

    def _prepare(self) -> None:
        then, ask = self.staged.table, self._ask
        previewed = self.how.previewed[self.staged.number].refusal if self.how.previewed else ""
        if words := self.how.refusals.get(self.staged.number) or previewed or unfit(then):
            raise _RefusedError(words)
        taken = exists(ask, then.name)
        if taken in ("index", "trigger"):
            raise _RefusedError(f"{then.name} is gone, and {taken} has its name now")
        if not taken:
            make_one(self.connection, then.sql)
            self._is_made = True
            self._make(then.indexes, "index")
            if then.triggers:
                names = ", ".join(item.name for item in then.triggers)
                self._notes.append(f"made again after its rows, so that they do not run for them: triggers {names}")
        now = table_of(ask, then.name)
        assert now is not None, "it was made"
        found = match(then, now)
        if isinstance(found, str):
            raise _RefusedError(found)
        for reference in now.references:
            if not exists(ask, reference.table) and reference.table.lower() != now.name.lower():
                wanted = any(item.table.name.lower() == reference.table.lower() for item in self.stage.tables)
                if not wanted:
                    raise _RefusedError(
                        f"{now.name} refers to {reference.table}, which is gone: bring that back with it"
                    )
        self.fits = found
        self._notes[:0] = found.notes
        self._sql = sql = statements(found, self.staged)
        if self.how.on_conflict == "replace" and sql.before:
            then_key = tuple(name.lower() for name in then.key), then.key_collations
            now_key = tuple(name.lower() for name in now.key), now.key_collations
            self.became.saw(self.connection.execute(sql.before), then_key != now_key)

    def _make(self, items: Collection[Made], what: str) -> None:
        for item in items:
            if exists(self._ask, item.name):
                self._notes.append(f"{what} {item.name} is not made: something else has its name")
                continue
            try:
                with Savepoint(self.connection):
                    make_one(self.connection, item.sql)
            except apsw.Error as error:
                self._notes.append(f"{what} {item.name} cannot be made: {error}")

    def _together(self, sql: Statements, ids: list[int], span: tuple[int, int], watch: Watch) -> bool:
        """Insert these rows by one statement. Return False, and change nothing, if one of them needs a look."""
        [(count,)] = self._all(sql.count, *span)
        if len(ids) != count or not ids or sql.may_end_everything or self._all(sql.any_taken, *span):
            return False
        try:
            with Savepoint(self.connection):
                self.connection.execute(sql.insert_all, span)
                if self.connection.changes() != count:
                    raise apsw.ConstraintError
        except _OF_THE_ROW as error:
            if not self.connection.in_transaction:
                raise self._ended(f"One of the rows {ids[0]} to {ids[-1]}", error) from None
            watch.forget()
            return False
        watch.keep()
        for id in ids:
            self.outcomes[id] = INSERTED
        return True

    def _one(self, sql: Statements, id: int, watch: Watch) -> None:
        found = next(iter(self._all(sql.lookup, id)), None) if sql.lookup else None
        if found is not None:
            if found[0]:
                self.outcomes[id] = SAME
            elif self.how.on_conflict == "skip":
                self.note(id, SKIPPED, "the row with its key is another one now")
            elif self.became.is_second(id):
                self.note(id, SKIPPED, "another of these rows has its key, as the key is now")
            elif self.how.previewed and (words := self.how.previewed[self.staged.number].stays(id, self.became)):
                self.note(id, SKIPPED, words)
            else:
                self._write(sql, sql.update if found[1] else sql.update_with_key, id, UPDATED, watch)
        elif sql.is_rowid_taken and self._all(sql.is_rowid_taken, id):
            self._write(sql, sql.insert_without_rowid, id, INSERTED, watch)
            self._renumbered += self.outcomes[id] == INSERTED
        else:
            self._write(sql, sql.insert, id, INSERTED, watch)

    def _all(self, sql: str, *values: int) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, values).fetchall()

    def _write(self, sql: Statements, statement: str, id: int, outcome: int, watch: Watch) -> None:
        refused = STAYS if outcome == UPDATED else REFUSED
        try:
            try:
                self._try(statement, id, watch)
            except apsw.ConstraintError as error:
                if not sql.may_say_itself or not self.connection.in_transaction:
                    raise
                if getattr(error, "extendedresult", 0) == apsw.SQLITE_CONSTRAINT_NOTNULL:
                    # A table that replaces NULL would take the row with another value.
                    raise
                # It may be that a trigger's INSERT OR IGNORE was overruled as well.
                watch.forget()
                with suppress(_PassedOverError):
                    self._try(itself(statement), id, watch)
                    self.outcomes[id] = outcome
                    return
                raise
            self.outcomes[id] = outcome
        except _PassedOverError as error:
            self.note(id, refused, str(error))
        except _OF_THE_ROW as error:
            if not self.connection.in_transaction:
                raise self._ended(f"Row {self._key_of(id)}", error) from None
            if isinstance(error, apsw.SQLError):
                self._check_prepares(statement)
            is_conflict = getattr(error, "extendedresult", 0) in _CONFLICTS
            if not is_conflict or self.how.on_conflict == "replace":
                more = "; only a row with the same key is replaced" if is_conflict else ""
                self.note(id, refused, f"{error}{more}")
            else:
                self.note(id, SKIPPED, str(error))

    def _try(self, statement: str, id: int, watch: Watch) -> None:
        """Write a row, or leave nothing of what its triggers did."""
        assert self.fits is not None
        table = self.fits.table
        with Savepoint(self.connection) if table.triggers else nullcontext():
            self.connection.execute(statement, (id,))
            if not self.connection.changes() or watch.made_room(table.name):
                more = ": what that wrote is undone" if watch.wrote else ""
                raise _PassedOverError(f"a trigger passes over it{more}")

    def _ended(self, row: str, error: apsw.Error) -> BringBackError:
        return BringBackError(
            f"{row} of {self.staged.table.name} makes a trigger roll everything back: {error}. Leave it out; "
            "nothing was changed."
        )

    def _check_prepares(self, sql: str) -> None:
        """Raise _RefusedError if it is the table that fails, and not the row: it needs what the application brings."""
        try:
            self.connection.execute(f"EXPLAIN {sql}", (0,)).fetchall()
        except apsw.SQLError as error:
            raise _RefusedError(of_the_application(error)) from None

    def _key_of(self, id: int) -> str:
        places = [place for place, _ in self.fits.key] if self.fits is not None else []
        return ", ".join(self._texts(id, places))

    def _texts(self, id: int, places: Collection[int]) -> tuple[str, ...]:
        """Values of a staged row for people; of no column the row number."""
        values = ", ".join(shown(f"c{place}") for place in places) or shown("rid")
        [row] = self._all(f"SELECT {values} FROM {self.staged.name} WHERE id = ?", id)
        return read(row, self.stage.encoding)

    def _samples(self, outcome: int) -> tuple[tuple[str, ...], ...]:
        found: list[tuple[str, ...]] = []
        at = self.outcomes.find(outcome)
        while at >= 0 and len(found) < SAMPLES_MAX:
            found.append(self._texts(at, range(len(self.staged.table.columns))))
            at = self.outcomes.find(outcome, at + 1)
        return tuple(found)
