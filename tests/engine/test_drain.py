"""The end of an engine: what hangs in one database costs no other its last upload, or its good order."""

import threading
from pathlib import Path

import pytest

from replication.config import Config
from replication.engine import Engine
from tests.engine.running import client_of, config_of, restored, until
from tests.foreign import Shell

CLOSE_SECONDS = 3.0


def test_a_last_sync_that_hangs_costs_no_other_database_its_last_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shells = [Shell(tmp_path / name) for name in ("dead.db", "alive.db")]
    configs = []
    for shell in shells:
        shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a);")
        configs.append(config_of(shell.path, tmp_path / f"{shell.path.name}-replica", monitor_seconds=3600.0))
    engine = Engine(Config(path=None, databases=tuple(config.databases[0] for config in configs)))
    engine.start()
    until(lambda: all(item.replicas[0].state == "ok" for item in engine.status().databases))
    dead, alive = engine._workers
    go_on, began = threading.Event(), threading.Event()

    def hangs() -> None:
        began.set()
        go_on.wait()

    with shells[1].open() as app:
        # As on a file system that has gone.
        monkeypatch.setattr(dead.database, "sync", hangs)
        engine.sync_now(str(dead.database.path))
        assert began.wait(10.0)
        # Looked at by nobody but the last sync.
        monkeypatch.setattr(engine._shared, "wake_upload", lambda *_: None)
        app.execute("INSERT INTO t VALUES(1)")

        def has_something_left() -> bool:
            # An upload that was under way may take a commit with it.
            app.execute("INSERT INTO t VALUES(2)")
            return alive.database.position != alive.replicas.runners[0].replica.position

        until(has_something_left)
        truth = app.sha256()
        monkeypatch.undo()
        left = engine.close(CLOSE_SECONDS)
    assert [name.partition("-")[0] for name in left] == ["sync"]
    assert restored(client_of(tmp_path / "alive.db-replica"), tmp_path / "out.db") == truth
    assert not alive.database.locked
    assert dead.database.locked
    go_on.set()
    until(lambda: not dead.lifecycle.state.at_work)
    dead.database.close()
