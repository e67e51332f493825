"""Pause: another program may have the database meanwhile, replicas included."""

from pathlib import Path

from replication.engine import Engine
from tests.engine.running import client_of, config_of, in_step, only, restored, running, until
from tests.foreign import ForeignConnection, Shell


def write(engine: Engine, app: ForeignConnection, count: int) -> None:
    """Commits that the engine has uploaded when this returns."""
    for _ in range(count):
        before = only(engine).position
        app.execute("INSERT INTO t VALUES(randomblob(500))")
        until(lambda before=before: only(engine).position != before and in_step(engine))  # type: ignore[misc]


def test_what_another_engine_sent_during_a_pause_is_not_sent_again(tmp_path: Path) -> None:
    path, folder = tmp_path / "app.db", tmp_path / "replica"
    shell = Shell(path)
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a);")
    with shell.open() as app, running(config_of(path, folder)) as engine:
        write(engine, app, 2)
        engine.pause(str(path))
        with running(config_of(path, folder)) as other:
            write(other, app, 3)
        engine.resume(str(path))
        until(lambda: only(engine).state == "ok")
        write(engine, app, 2)
        truth = app.sha256()
    client = client_of(folder)
    assert len(client.generations()) == 1
    assert restored(client, tmp_path / "out.db") == truth


def test_what_waits_during_a_pause_is_seen_to_wait_longer(tmp_path: Path) -> None:
    path, folder = tmp_path / "app.db", tmp_path / "nowhere" / "replica"
    folder.parent.write_text("no folder")
    shell = Shell(path)
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a);")
    with shell.open() as app, running(config_of(path, folder)) as engine:
        app.execute("INSERT INTO t VALUES(1)")
        until(lambda: only(engine).replicas[0].lag_seconds > 0)
        engine.pause(str(path))
        assert only(engine).state == "paused"
        paused = only(engine).replicas[0].lag_seconds
        until(lambda: only(engine).replicas[0].lag_seconds > paused > 0)
