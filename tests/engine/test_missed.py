"""What is committed while a database is paused is counted from its WAL, without a lock on it."""

from pathlib import Path

from replication.engine.missed import Missed
from replication.errors import DatabaseError, PausedError
from tests.engine.running import config_of, in_step, running, until
from tests.foreign import Shell


def test_commits_since_the_pause_are_missed_and_grow(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1)")
    with running(config_of(shell.path, tmp_path / "replica")) as engine, shell.open(autocheckpoint=False) as writer:
        writer.execute("INSERT INTO t VALUES(2)")
        until(lambda: in_step(engine))
        engine.pause(str(shell.path))
        [database] = engine.status().databases
        [replica] = database.replicas
        assert database.paused_at > 0
        assert (replica.lag_seconds, replica.pending_bytes) == (0.0, 0)
        seen = 0
        for number in range(3):
            writer.execute(f"INSERT INTO t VALUES(zeroblob({(number + 1) * 10_000}))")
            [replica] = engine.status().databases[0].replicas
            assert replica.lag_seconds > 0
            assert replica.pending_bytes > seen + number * 10_000
            seen = replica.pending_bytes
        assert seen < Path(f"{shell.path}-wal").stat().st_size
        engine.resume(str(shell.path))
        until(lambda: in_step(engine))
        assert engine.status().databases[0].paused_at == 0


def test_a_wal_that_was_folded_in_may_hide_commits(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1)")
    missed = Missed(shell.path, None)
    missed.look()
    assert (missed.some, missed.bytes) == (False, 0)
    shell.run("INSERT INTO t VALUES(zeroblob(10000))")
    missed.look()
    assert (missed.some, missed.bytes) == (True, 0)


def test_what_cannot_be_done_while_it_is_paused_or_not_there_says_so(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with running(config_of(path, tmp_path / "replica")) as engine:
        until(lambda: engine.status().databases[0].state == "waiting")
        assert "does not exist" in refused(lambda: engine.snapshot(str(path)), DatabaseError)
        Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(x)")
        until(lambda: in_step(engine))
        engine.pause(str(path))
        for command in (engine.snapshot, engine.sync_now):
            assert "is paused by P" in refused(lambda: command(str(path)), PausedError)  # noqa: B023


def refused(call: object, kind: type[Exception]) -> str:
    assert callable(call)
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError("it was not refused")
