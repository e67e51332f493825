"""Rows brought back by jobs, in the engine's process and over its socket: said first, then done, or written down."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.control.local import Local
from replication.control.values import JobStatus
from replication.errors import BringBackError, NoJobError, NotAllowedError, OutputExistsError, UsageError
from replication.position import Position
from tests.control.serving import WAYS, Served, served
from tests.engine.running import in_step, only, until
from tests.foreign import Shell

ROWS = [[1, "apple"], [2, "pear"], [3, "plum"]]


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


def filled(at: Served) -> Position:
    return commit(
        at,
        "CREATE TABLE fruit(id INTEGER PRIMARY KEY, name TEXT UNIQUE); "
        "INSERT INTO fruit VALUES(1, 'apple'), (2, 'pear'), (3, 'plum')",
    )


def ended(at: Served, request: ask.Request) -> JobStatus:
    job = at.control.begin(request)
    while not job.over:
        job = at.control.job(job.id, job.version, 5.0)
    return job


def said(at: Served, position: Position, where: str = "", on_conflict: ask.OnConflict = "skip") -> JobStatus:
    history = ended(at, ask.History(database=at.name, replica="replica")).id
    job = ended(
        at,
        ask.BringBack(
            database=at.name,
            history=history,
            position=str(position),
            tables=("fruit",),
            where=where,
            on_conflict=on_conflict,
        ),
    )
    assert job.failure is None, job.failure
    return job


def test_a_table_that_went_comes_back_as_it_was_said(at: Served) -> None:
    position = filled(at)
    dropped = commit(at, "DROP TABLE fruit")
    job = said(at, position)
    [table] = job.result.report.tables
    assert (table.table, table.is_made, table.inserted, job.result.is_stopped) == ("fruit", True, 3, False)
    assert Shell(at.path).rows("SELECT count(*) FROM sqlite_schema WHERE name = 'fruit'") == [[0]]
    brought = carry_out(at.control, ask.Apply(database=at.name, preview=job.id))
    assert (brought.is_as_previewed, brought.before) == (True, dropped)
    assert Shell(at.path).rows("SELECT * FROM fruit") == ROWS
    until(lambda: in_step(at.engine))
    at.control.forget(job.id)
    with pytest.raises(NoJobError):
        carry_out(at.control, ask.Apply(database=at.name, preview=job.id))


def test_rows_by_a_condition_and_what_is_in_their_place(at: Served) -> None:
    position = filled(at)
    commit(at, "DELETE FROM fruit WHERE id < 3; INSERT INTO fruit VALUES(2, 'quince')")
    job = said(at, position, "id IN (1, 2)")
    [table] = job.result.report.tables
    assert (table.rows, table.inserted, table.skipped) == (2, 1, 1)
    job = said(at, position, on_conflict="abort")
    assert job.result.is_stopped
    with pytest.raises(BringBackError, match="nothing was changed"):
        carry_out(at.control, ask.Apply(database=at.name, preview=job.id))
    assert Shell(at.path).rows("SELECT * FROM fruit") == [[2, "quince"], [3, "plum"]]
    job = said(at, position, "id IN (1, 2)", "replace")
    carry_out(at.control, ask.Apply(database=at.name, preview=job.id))
    assert Shell(at.path).rows("SELECT * FROM fruit") == ROWS


def test_rows_are_written_to_a_new_file(at: Served) -> None:
    position = filled(at)
    commit(at, "DROP TABLE fruit")
    job = said(at, position)
    for name, words in (("rows.sql", "INSERT OR IGNORE INTO"), ("rows.csv", "1,apple")):
        output = at.path.with_name(name)
        written = ask.WriteRows(database=at.name, preview=job.id, output=str(output))
        assert carry_out(at.control, written) == str(output)
        assert words in output.read_text()
        with pytest.raises(OutputExistsError):
            carry_out(at.control, written)
    with pytest.raises(UsageError, match="absolute"):
        at.control.begin(ask.WriteRows(database=at.name, preview=job.id, output="rows.sql"))


def test_what_is_no_request_is_refused_at_once(at: Served) -> None:
    def begin(**fields: object) -> None:
        given = {"database": at.name, "history": "none", "position": "0011223344556677/00000000:0", **fields}
        at.control.begin(ask.BringBack(**given))  # type: ignore[arg-type]

    for fields in ({"tables": ()}, {"tables": ("a", "b"), "where": "1"}, {"tables": ("a",), "position": "x"}):
        with pytest.raises(UsageError):
            begin(**fields)


def test_a_screen_that_leaves_the_database_alone_says_nothing_of_it(at: Served) -> None:
    local = Local(at.engine, at.engine.config, "test", opens_live=False)
    request = ask.BringBack(database=at.name, history="none", position="0011223344556677/00000000:0", tables=("fruit",))
    with pytest.raises(NotAllowedError, match="left alone"):
        local.begin(request)
    local.close()
