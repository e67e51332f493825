"""Pause while something is uploaded: when it returns, nothing of ours reaches the replica any more."""

import threading
from pathlib import Path

import pytest

from replication.engine import engine as engine_module
from replication.storage.location import Location
from replication.storage.memory import MemoryStorage
from tests.engine.running import config_of, in_step, only, running, until
from tests.foreign import Shell


def test_an_upload_in_flight_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStorage()

    def open_memory(location: Location, permissions: object = None) -> MemoryStorage:
        return store

    monkeypatch.setattr(engine_module, "open_storage", open_memory)
    path, go_on = tmp_path / "app.db", threading.Event()
    shell = Shell(path)
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a);")
    with shell.open() as app, running(config_of(path, Path("a"))) as engine:
        app.execute("INSERT INTO t VALUES(1)")
        until(lambda: in_step(engine))
        store.hang("put", go_on)
        puts = store.calls["put"]
        app.execute("INSERT INTO t VALUES(2)")
        until(lambda: store.calls["put"] > puts)
        pausing = threading.Thread(target=engine.pause, args=(str(path),))
        pausing.start()
        until(lambda: only(engine).state == "paused")
        # The upload is under way, so the pause is as well, and the database is not let go of.
        assert pausing.is_alive()
        assert engine._sources[0].database.locked
        go_on.set()
        pausing.join()
        puts, before = store.calls["put"], store.names()
        app.execute("INSERT INTO t VALUES(3)")
        engine.sync_now()
        assert (store.calls["put"], store.names()) == (puts, before)
        engine.resume(str(path))
        until(lambda: in_step(engine))
        assert [event.message for event in engine.events_since(0) if event.level == "error"] == []
