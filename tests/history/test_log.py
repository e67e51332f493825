"""What a commit is said to have done, compared with the rows of all tables before and after it."""

import threading
from itertools import pairwise
from pathlib import Path

import pytest

from replication.history.log import Entry, Log
from replication.history.moments import timelines
from replication.history.pages import first_cell, literal
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.storage.memory import MemoryStorage
from tests.history.looking import QUICK, Cached
from tests.history.states import asked, publish, written
from tests.restore.history import Commit, History, write_history

TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"


@pytest.fixture(scope="module", params=[(512, 1), (8192, 2)], ids=["512", "8192"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    page_size, seed = request.param
    return written(tmp_path_factory.mktemp("states"), page_size, seed, each=20)


def entries(storage: MemoryStorage, table: str | None = None) -> list[Entry]:
    """All commits that are told, oldest first."""
    stop, log = threading.Event(), Log(threading.Event())
    sources, options = [OpenReplica("test", storage)], RestoreOptions(backoff=QUICK)
    found = [
        entry
        for timeline in timelines(sources, options, Cached(), stop)
        for entry in log.entries(timeline, table=table)
    ]
    return found[::-1]


def rows(commit: Commit) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    names = asked(commit, TABLES)
    assert isinstance(names, list)
    for (name,) in names:
        answer = asked(commit, f'SELECT * FROM "{name}"')
        assert isinstance(answer, list)
        found[name] = answer
    return found


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_every_commit_is_told_with_the_tables_and_rows_that_it_changed(history: History, noted: bool) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted)
    found = {entry.position: entry for entry in entries(storage)}
    # What changes nothing is no commit; at the start of an index it leaves the WAL of the one before where it is.
    commits_: list[Commit] = []
    for commit in reversed(history.commits):
        if not commits_ or commit.at() < commits_[-1].at():
            commits_.append(commit)
    commits_.reverse()
    states = [rows(commit) for commit in commits_]
    counted = named = 0
    for commits, (was, became) in zip(pairwise(commits_), pairwise(states), strict=True):
        entry = found.pop(commits[1].at())
        told = {item.name: item.rows for item in entry.tables}
        differ = {name for name in {*was, *became} if was.get(name) != became.get(name)}
        assert differ <= told.keys(), (entry, differ)
        assert entry.is_whole
        # A page may be written as it was, and a table made anew with the same rows.
        named += len(told) - len(differ)
        for name, more in told.items():
            difference = len(became.get(name, [])) - len(was.get(name, []))
            assert more in (difference, None), (entry, name)
            counted += more is not None
    assert counted > 60
    assert named < 10
    # The commits of the first index before its first one that is known.
    assert len(found) <= 1


def test_a_table_that_is_too_large_to_count_is_counted_where_nothing_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.history.log.COUNT_PAGES_MAX", 3)
    numbers = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 500)"
    scripts = [
        "BEGIN; CREATE TABLE t(a INTEGER PRIMARY KEY, b); CREATE TABLE u(a); COMMIT;",
        f"{numbers} INSERT INTO t(b) SELECT 'x' FROM n;",
        "DELETE FROM t WHERE a = 77;",
        "UPDATE t SET b = 'y' WHERE a IN (1, 400);",
        "INSERT INTO u VALUES(1);",
        "DELETE FROM t WHERE a < 300;",
        "DROP TABLE t;",
    ]
    history = write_history(tmp_path, 512, [scripts])
    storage = MemoryStorage()
    publish(history, storage, True)
    told = [[(item.name, item.rows) for item in entry.tables] for entry in entries(storage)]
    expected = [[("t", 0), ("u", 0)], [("t", None)], [("t", -1)], [("t", 0)], [("u", 1)], [("t", None)], [("t", None)]]
    assert told == expected
    assert [len(entry.tables) for entry in entries(storage, "U")] == [2, 1]


def test_what_is_no_page_of_a_b_tree_has_no_first_cell() -> None:
    ends = (
        b"\x0d\0\0\0\0",
        b"\x0d\0\0\0\1\0\0\0\xff\xff",
        b"\x0a\0\0\0\1\0\0\0\1\xfe",
        b"\xff",
        b"\5\0\0\0\1\0\0\0\0\0\0\0\2",
    )
    for begin in ends:
        for rest in (b"\0", b"\xff"):
            first_cell(begin + rest * (512 - len(begin)), 2)
    assert first_cell(bytes(512), 2) is None
    values = (None, 1, 0.5, "it's", b"\0\xff")
    assert [literal(value) for value in values] == ["NULL", "1", "0.5", "'it''s'", "x'00ff'"]
