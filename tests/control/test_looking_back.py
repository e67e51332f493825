"""What commits did, SQL asked of them and the search for one, as jobs: in the engine's process and over its socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.errors import NoJobError, NoRestorePointError, QueryError, StatementError, UsageError
from replication.position import Position
from tests.control.serving import WAYS, Served, served
from tests.engine.running import in_step, only, until
from tests.foreign import Shell

LOST_ROWS = 300


@pytest.fixture(params=WAYS)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, request.param) as found:
        yield found


def commit(at: Served, sql: str) -> Position:
    """Its position, once the replica has it."""
    before = only(at.engine).position
    Shell(at.path).run(sql)
    until(lambda: only(at.engine).position != before and in_step(at.engine))
    position = only(at.engine).position
    assert position is not None
    return position


def many(rows: int) -> str:
    return f"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO lost SELECT i FROM n"


def begun(at: Served) -> str:
    job = at.control.begin(ask.History(database=at.name, replica="replica"))
    while not job.over:
        job = at.control.job(job.id, job.version, 5.0)
    return job.id


def test_what_commits_did_is_told_from_a_place_back(at: Served) -> None:
    commit(at, "CREATE TABLE lost(a INTEGER PRIMARY KEY)")
    filled = commit(at, many(LOST_ROWS))
    dropped = commit(at, "DROP TABLE lost")
    history = begun(at)
    newest, *_ = carry_out(at.control, ask.Entries(history=history, position=str(dropped)))
    [table] = newest.tables
    assert (newest.position, table.name, table.rows, table.change) == (dropped, "lost", -LOST_ROWS, "gone")
    assert newest.seen is not None
    assert newest.seen <= newest.time
    [one] = carry_out(at.control, ask.Entries(history=history, position=str(filled), limit=1))
    assert (one.position, one.tables[0].rows) == (filled, LOST_ROWS)
    at.control.forget(history)
    with pytest.raises(NoJobError, match="begin it again"):
        carry_out(at.control, ask.Entries(history=history, position=str(filled)))


def test_sql_is_asked_of_a_moment_and_nothing_is_written(at: Served) -> None:
    filled = commit(at, "CREATE TABLE lost(a); INSERT INTO lost VALUES('x'), (NULL), (x'0aff')")
    commit(at, "DROP TABLE lost")
    history = begun(at)

    def asked(sql: str, limit: int = 200) -> object:
        return carry_out(at.control, ask.Query(history=history, position=str(filled), sql=sql, limit=limit))

    found = carry_out(at.control, ask.Query(history=history, position=str(filled), sql="SELECT a FROM lost", limit=2))
    assert (found.columns, found.rows, found.more) == (("a",), (("x",), (None,)), True)
    with pytest.raises(StatementError, match="no such table"):
        asked("SELECT * FROM nowhere")
    with pytest.raises(QueryError, match="would write"):
        asked("DELETE FROM lost")


def test_a_change_is_found_with_the_commit_before_it(at: Served) -> None:
    commit(at, "CREATE TABLE lost(a INTEGER PRIMARY KEY)")
    filled = commit(at, many(LOST_ROWS))
    dropped = commit(at, "DROP TABLE lost")
    commit(at, "INSERT INTO t VALUES(2)")

    def find(what: ask.Change, table: str = "", **more: object) -> tuple[str, Position, Position, bool]:
        request = ask.Find(database=at.name, replica="replica", what=what, table=table, **more)  # type: ignore[arg-type]
        found = carry_out(at.control, request)
        assert found.made
        assert found.before_time <= found.after_time
        assert found.looks > 1
        assert found.tables == (("lost",) if what != "sql" else ())
        return (found.words, found.before, found.after, found.is_sure)

    assert find("gone", "lost") == ("lost went", filled, dropped, True)
    assert find("gone") == ("lost went", filled, dropped, True)
    assert find("fell", "lost", rows=LOST_ROWS) == (f"lost lost {LOST_ROWS} rows or more", filled, dropped, True)
    assert find("sql", sql="SELECT count(*) FROM lost")[1:] == (filled, dropped, True)
    assert find("row", "lost", row="7")[1:3] == (filled, dropped)
    # Up to a commit before it there is no such change.
    with pytest.raises(NoRestorePointError, match="no commit at which lost went"):
        find("gone", "lost", position=str(filled))
    for request in ({"what": "appeared"}, {"what": "row", "table": "t"}, {"what": "sql"}, {"what": "fell", "rows": 0}):
        with pytest.raises(UsageError):
            carry_out(at.control, ask.Find(database=at.name, replica="replica", **request))
    with pytest.raises(UsageError):
        at.control.begin(ask.Find(database=at.name, replica="replica", what="gone", position="nowhere"))
