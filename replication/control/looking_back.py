"""What jobs that look at the commits of a replica do, in the engine's process. They write nothing, anywhere.

Its promise: nothing but the replica is read, and a job that is cancelled lets go of the store at once.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from replication.config import Config
from replication.control import requests as ask
from replication.control.jobs import Jobs, Run
from replication.control.results import Discovery
from replication.errors import UsageError
from replication.history import questions
from replication.history.cache import Tables, cache_folder
from replication.history.changes import Answer, Question
from replication.history.contract import Found
from replication.history.log import Entry
from replication.history.moments import find, search
from replication.history.past import Answer as Rows
from replication.history.past import Past
from replication.history.questions import Wanted
from replication.position import Position
from replication.restore.open_replicas import replicas_of
from replication.restore.options import RestoreOptions
from replication.restore.target import AtPosition, Latest
from replication.sqlite.moment import Query

FELL_ROWS_MAX = 1 << 62


class LookingBack:
    """Carries out History, Entries, Query and Find."""

    def __init__(self, config: Callable[[], Config], jobs: Jobs) -> None:
        self._config = config
        self._jobs = jobs

    def history(self, request: ask.History, run: Run) -> None:
        """Keep a replica open; it is first asked by the jobs below."""
        config, path, replica = self._config(), Path(request.database), request.replica
        tables = Tables(cache_folder(os.environ))
        run.keep(Past(lambda: replicas_of(config, path, replica), RestoreOptions(Latest()), tables))

    def entries(self, request: ask.Entries, run: Run) -> tuple[Entry, ...]:
        """What commits did."""
        position = position_of(request.position)
        with self._jobs.using(request.history, "history") as past:
            run.when_cancelled(lambda: past.break_off(run.cancel))
            found: tuple[Entry, ...] = past.entries(position, request.limit, run.cancel)
            return found

    def query(self, request: ask.Query, run: Run) -> Rows:
        """The answer to SQL at a commit."""
        position = position_of(request.position)
        with self._jobs.using(request.history, "history") as past:
            run.when_cancelled(lambda: past.break_off(run.cancel))
            rows: Rows = past.answer(position, request.sql, request.limit, request.timeout, run.cancel)
            return rows

    def find(self, request: ask.Find, run: Run) -> Discovery:
        """The newest change that is looked for."""
        wanted = wanted_of(request)
        looks = 0

        def question(query: Query) -> Answer:
            nonlocal looks
            looks += 1
            run.say(f"look {looks}")
            return wanted.question(query)

        counted: Question = question
        position = position_of(request.position) if request.position else None
        options = RestoreOptions(
            AtPosition(position) if position is not None else Latest(),
            generation=(position.generation if position is not None else request.generation) or None,
            waiting=run.say,
        )
        with replicas_of(self._config(), Path(request.database), request.replica) as sources:
            for source in sources:
                run.when_cancelled(source.storage.interrupt)
            cache = Tables(cache_folder(os.environ))
            searching = search(sources, options, replace(wanted, question=counted), cache, run.cancel)
            found = find(searching)
            tables = (request.table,) if request.what in ("gone", "fell", "row") and request.table else ()
            return _discovery(wanted, found, searching.looks, searching.bytes_read, tables)


def position_of(text: str) -> Position:
    """A position as it is written. Raises UsageError."""
    try:
        return Position.parse(text)
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def wanted_of(request: ask.Find) -> Wanted:
    """What is looked for. Raises UsageError for what is not said."""
    table = request.table
    if request.what == "sql":
        if not request.sql.strip():
            raise UsageError("SQL is needed, such as SELECT count(*) FROM orders")
        return questions.sql(request.sql)
    if request.what == "gone" and not table:
        return questions.any_gone()
    if not table:
        raise UsageError("the name of a table is needed")
    if request.what == "fell":
        if not 0 < request.rows < FELL_ROWS_MAX:
            raise UsageError("rows must be a number from 1 up")
        return questions.fell(table, request.rows)
    if request.what == "row":
        if not request.row:
            raise UsageError("the key of the row is needed")
        return questions.row(table, request.row)
    return questions.gone(table) if request.what == "gone" else questions.appeared(table)


def _discovery(wanted: Wanted, found: Found, looks: int, bytes_read: int, tables: tuple[str, ...]) -> Discovery:
    was, became, words = _words(found.was), _words(found.became), wanted.words
    if isinstance(found.was, frozenset) and isinstance(found.became, frozenset):
        tables = tuple(sorted(found.was - found.became))
        words, was, became = f"{', '.join(tables)} went", "", ""
    before, made_before = _time(found.before_seen, found.before_time)
    after, made_after = _time(found.after_seen, found.after_time)
    made = made_before and made_after
    return Discovery(
        words, found.before, found.after, before, after, made, was, became, found.is_sure, looks, bytes_read, tables
    )


def _time(seen: datetime | None, stored: datetime) -> tuple[datetime, bool]:
    return (seen, True) if seen is not None else (stored, False)


def _words(answer: object) -> str:
    return "" if isinstance(answer, bool) else str(answer)
