"""find in all its kinds, and log, agree with an oracle that kept every state, over histories by chance.

With VACUUM, growth and shrinking, tables WITHOUT ROWID, full-text indexes, auto_vacuum, UTF-16, pages of 512 to
65536 bytes, generations that begin late, and snapshots anywhere or as in replicas of Litestream.
"""

import random
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from replication.errors import InconclusiveError, NoRestorePointError, QueryError
from replication.history import changes, questions
from replication.history.contract import Found
from replication.history.log import Log
from replication.history.moments import find, timelines
from replication.history.questions import Wanted
from replication.history.wal03.find import Search
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from tests.history.looking import QUICK, Cached
from tests.restore.history import Commit
from tests.torture.conftest import Torture
from tests.torture.finding import KEYS, STATEMENTS, TABLES, State, World, ask, keyed, rows_of, world

ROUNDS_SHORT = 1
QUESTIONS_EACH = 6
BY_TABLE = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
Oracle = tuple[Wanted, Callable[[Commit], Any], Callable[[Any, Any], bool]]


def differ(was: Any, became: Any) -> bool:
    return bool(was != became)


def question(chance: random.Random) -> Oracle:
    """What is looked for, and the same asked of a state by other means."""
    table = chance.choice((*TABLES, "v", "f", "nosuch"))
    name = "'" + table.replace("'", "''") + "'"
    there = f"SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = {name}"
    kind = chance.choice(("gone", "appeared", "fell", "row", "row", "sql", "sql"))
    if kind == "gone":
        return questions.gone(table.upper()), lambda commit: ask(commit, there), lambda was, became: was and not became
    if kind == "appeared":
        return questions.appeared(table), lambda commit: ask(commit, there), lambda was, became: became and not was
    if kind == "fell":
        rows = chance.choice((1, 2, 10))

        def count(commit: Commit) -> int:
            return len(rows_of(commit, table) or [])

        return questions.fell(table, rows), count, lambda was, became: was - became >= rows
    if kind == "row":
        key, table = chance.choice(KEYS), chance.choice(TABLES)
        return questions.row(table, key), lambda commit: keyed(commit, table, key), differ
    statement = chance.choice(STATEMENTS)
    return questions.sql(statement), lambda commit: ask(commit, statement), differ


def test_promise_3_what_is_found_is_what_an_oracle_says(
    torture: Torture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, chance in enumerate(torture.rounds(ROUNDS_SHORT)):
        folder = tmp_path / str(number)
        folder.mkdir()
        indexes, each = (chance.randint(1, 4), chance.randint(5, 40)) if torture.long else (3, 8)
        made = world(folder, chance, indexes, each)
        torture.counts["commits"] += len(made.states)
        torture.counts["generations"] += made.generations
        for _ in range(QUESTIONS_EACH):
            asked = question(chance)
            answers = [asked[1](state.commit) for state in made.states]
            monkeypatch.setattr(changes, "LOOKS_MAX", chance.choice((1, 2, 4, 16)))
            all_found(made, asked, answers, torture)
            one_found(made, asked, answers, torture, chance.choice((0, 3, 2_000)))
        for path in folder.iterdir():
            path.unlink()


def test_promise_3_what_the_log_tells_is_what_an_oracle_says(torture: Torture, tmp_path: Path) -> None:
    for number, chance in enumerate(torture.rounds(ROUNDS_SHORT)):
        folder = tmp_path / str(number)
        folder.mkdir()
        indexes, each = (chance.randint(1, 4), chance.randint(5, 40)) if torture.long else (3, 8)
        logged(world(folder, chance, indexes, each), torture)
        for path in folder.iterdir():
            path.unlink()


def changed(made: World, asked: Oracle, answers: list[Any], search: Search) -> list[tuple[State, State]]:
    """What the oracle says, the newest first, since the first commit that can be looked at."""
    places = [state.position for state in made.states]
    # Of Litestream's first snapshot it may be known only later which commit it holds.
    first = places.index(search.first) if search.first in places else 0
    pairs = list(zip(pairwise(made.states), pairwise(answers), strict=True))[first:]
    return [states for states, (was, became) in pairs if asked[2](was, became)][::-1]


def search(made: World, wanted: Wanted, is_all: bool) -> Search:
    sources = [OpenReplica("test", made.storage)]
    return Search(sources, RestoreOptions(backoff=QUICK), wanted, Cached(), threading.Event(), is_all)


def places(found: Found) -> tuple[Any, Any]:
    return found.before, found.after


def all_found(made: World, asked: Oracle, answers: list[Any], torture: Torture) -> None:
    searching = search(made, asked[0], True)
    found = list(searching.changes())
    expected = [(before.position, after.position) for before, after in changed(made, asked, answers, searching)]
    first = made.states[0].position
    assert [places(item) for item in found if item.after != first] == expected, asked[0].words
    assert all(item.is_sure for item in found)
    torture.counts["changes found"] += len(found)
    torture.counts["looks"] += searching.looks


def one_found(made: World, asked: Oracle, answers: list[Any], torture: Torture, each: int) -> None:
    searching = search(made, asked[0], False)
    searching._each_left = each
    try:
        found = find(searching)
    except InconclusiveError:
        assert each < 2_000, asked[0].words
        torture.counts["not known"] += 1
        return
    except NoRestorePointError:
        assert not changed(made, asked, answers, searching), asked[0].words
        torture.counts["none"] += 1
        return
    except QueryError:
        # SQL that is refused, a row of a key with other columns, or a view of what is gone, at every commit.
        assert all(answer in (None, [], 0) for answer in answers), asked[0].words
        torture.counts["refused"] += 1
        return
    if found.after == made.states[0].position:
        return
    searching.first = None
    expected = [(before.position, after.position) for before, after in changed(made, asked, answers, searching)]
    assert places(found) in expected, asked[0].words
    if found.is_sure:
        assert places(found) == expected[0], asked[0].words
        torture.counts["sure"] += 1
    torture.counts["found"] += 1


def logged(made: World, torture: Torture) -> None:
    """Every commit is told, with the tables that it changed and the rows that came or went."""
    stop, log = threading.Event(), Log(threading.Event())
    sources, options = [OpenReplica("test", made.storage)], RestoreOptions(backoff=QUICK)
    told = {
        entry.position: entry
        for timeline in timelines(sources, options, Cached(), stop)
        for entry in log.entries(timeline)
    }
    kept = [contents(state.commit) for state in made.states]
    for after, (was, became) in zip(made.states[1:], pairwise(kept), strict=True):
        entry = told.get(after.position)
        if entry is None:
            # Nothing is told of the commit that a generation begins with, as far as it is known.
            earlier = [item for item in told if item.generation == after.position.generation and item < after.position]
            assert not earlier, after.position
            continue
        named = {item.name: item.rows for item in entry.tables}
        differing = {name for name in {*was, *became} if was.get(name) != became.get(name)}
        assert differing <= named.keys() or not entry.is_whole, (entry, differing)
        for name, more in named.items():
            difference = len(became.get(name, [])) - len(was.get(name, []))
            assert more in (difference, None), (entry, name, difference)
        torture.counts["commits that the log has"] += 1


def contents(commit: Commit) -> dict[str, list[Any]]:
    return {name: rows_of(commit, name) or [] for (name,) in ask(commit, BY_TABLE) or []}
