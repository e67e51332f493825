"""Rows brought back by an engine, asked in its process, over its socket and from another host."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.control.local import Local
from replication.control.values import JobStatus
from replication.errors import BringBackError, NoJobError, NotAllowedError, OutputExistsError, UsageError
from replication.position import Position
from replication.recall.wanted import Pick
from tests.control.serving import WAYS, Served, served
from tests.engine.running import in_step, only, until
from tests.foreign import ForeignConnection, Shell


@pytest.fixture(params=WAYS)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, request.param) as found:
        yield found


def lost(at: Served) -> str:
    """Lose a table, a row and one more. Return the position before that."""
    shell = Shell(at.path)
    shell.run("CREATE TABLE u(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO u VALUES(1, 'x'), (2, 'y')")
    until(lambda: in_step(at.engine))
    carry_out(at.control, ask.Sync(database=at.name, wait=True))
    position = str(only(at.engine).position)
    shell.run("DROP TABLE u; DELETE FROM t")
    carry_out(at.control, ask.Sync(database=at.name, wait=True))
    return position


def position_of(at: Served) -> Position:
    found = only(at.engine).position
    assert found is not None
    return found


def previewed(at: Served, **more: object) -> JobStatus:
    job = at.control.begin(ask.PreviewBack(database=at.name, **more))  # type: ignore[arg-type]
    while not job.over:
        job = at.control.job(job.id, job.version, 5.0)
    return job


def test_promise_4_the_engine_brings_back_what_its_preview_said(at: Served) -> None:
    position = lost(at)
    with ForeignConnection(at.path) as application:
        application.execute("SELECT 1")
        job = previewed(at, position=position, until="now")
        assert job.result is not None, job.failure
        assert str(job.result.origin.moment) == position
        tables = {table.table: (table.is_made, table.inserted) for table in job.result.preview.report.tables}
        assert tables == {"t": (False, 1), "u": (True, 2)}
        assert application.execute("SELECT * FROM t") == []
        brought = carry_out(at.control, ask.BringBack(preview=job.id))
        assert (brought.report.inserted, brought.is_as_previewed) == (3, True)
        assert application.execute("SELECT * FROM u") == [[1, "x"], [2, "y"]]
        assert application.execute("SELECT * FROM t") == [[1]]
        # It is a commit like others, and so is the one before it.
        carry_out(at.control, ask.Sync(database=at.name, wait=True))
        output = at.path.with_name("before.db")
        carry_out(at.control, ask.Restore(database=at.name, output=str(output), position=str(brought.before)))
    assert Shell(output).rows("SELECT count(*) FROM sqlite_schema WHERE name = 'u'") == [[0]]
    # The engine still holds the database: nothing of it was let go of, and no generation began.
    assert only(at.engine).error == ""
    assert str(only(at.engine).position).split("/")[0] == position.split("/")[0]


def test_what_is_refused_and_what_is_forgotten(at: Served) -> None:
    position = lost(at)
    with pytest.raises(UsageError, match="what is to be brought back"):
        carry_out(at.control, ask.PreviewBack(database=at.name, position=position))
    with pytest.raises(BringBackError, match="no table none then"):
        carry_out(at.control, ask.PreviewBack(database=at.name, position=position, picks=(Pick("none"),)))
    job = previewed(at, position=position, picks=(Pick("u", key="2"),), on_conflict="abort")
    assert job.result.preview.report.tables[0].inserted_rows == (("2", "y"),)
    at.control.forget(job.id)
    with pytest.raises(NoJobError):
        carry_out(at.control, ask.BringBack(preview=job.id))


@pytest.mark.parametrize("is_first", [False, True], ids=["in the same life of the wal", "the first of another"])
def test_the_commit_before_is_named(tmp_path: Path, is_first: bool) -> None:
    with served(tmp_path) as at, ForeignConnection(at.path, autocheckpoint=False) as application:
        position = lost(at)
        job = previewed(at, position=position, picks=(Pick("t"),))
        index = position_of(at).index
        if is_first:
            # So much that the engine copies all back, and the next commit restarts the WAL.
            last = only(at.engine).last_checkpoint
            application.execute("CREATE TABLE much(a)")
            application.execute("INSERT INTO much VALUES(zeroblob(6000000))")
            at.engine.sync_now()
            until(lambda: in_step(at.engine) and only(at.engine).last_checkpoint > last)
        carry_out(at.control, ask.Sync(database=at.name, wait=True))
        before = position_of(at)
        assert carry_out(at.control, ask.BringBack(preview=job.id)).before == before
        carry_out(at.control, ask.Sync(database=at.name, wait=True))
        assert (position_of(at).index > index) == is_first


def test_rows_are_written_to_a_new_file(at: Served) -> None:
    position = lost(at)
    job = previewed(at, position=position, picks=(Pick("u"),))
    for name, words in (("rows.sql", 'INTO "u"'), ("rows.csv", "1,x")):
        output = at.path.with_name(name)
        written = ask.WriteRows(preview=job.id, output=str(output))
        assert carry_out(at.control, written) == str(output)
        assert words in output.read_text()
        with pytest.raises(OutputExistsError):
            carry_out(at.control, written)
    with pytest.raises(UsageError, match="absolute"):
        at.control.begin(ask.WriteRows(preview=job.id, output="rows.sql"))
    assert Shell(at.path).rows("SELECT count(*) FROM sqlite_schema WHERE name = 'u'") == [[0]]
    # What was made again fits the database as it is.
    Shell(at.path).run(at.path.with_name("rows.sql").read_text())
    assert Shell(at.path).rows("SELECT * FROM u") == [[1, "x"], [2, "y"]]


def test_a_screen_that_leaves_the_database_alone_says_nothing_of_it(at: Served) -> None:
    local = Local(at.engine, at.engine.config, "test", opens_live=False)
    with pytest.raises(NotAllowedError, match="brought back by an engine"):
        local.begin(ask.PreviewBack(database=at.name, picks=(Pick("t"),)))
    local.close()
