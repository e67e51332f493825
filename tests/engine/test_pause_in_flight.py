"""Pause and resume while something is uploaded: paused is said when it is true, and a resume always replicates."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replication.engine import Engine, making
from replication.errors import PausedError
from replication.storage.memory import MemoryStorage
from tests.engine.running import config_of, in_step, only, running, until
from tests.foreign import ForeignConnection, Shell


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStorage:
    """The store of every replica that is opened in the test."""
    store = MemoryStorage()
    monkeypatch.setattr(making, "open_storage", lambda *_: store)
    return store


@contextmanager
def in_upload(path: Path, store: MemoryStorage, go_on: threading.Event) -> Iterator[tuple[Engine, ForeignConnection]]:
    """An engine in the middle of an upload that hangs until `go_on`, and an application with the database open."""
    shell = Shell(path)
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a);")
    with shell.open() as app, running(config_of(path, Path("a"))) as engine:
        app.execute("INSERT INTO t VALUES(1)")
        until(lambda: in_step(engine))
        store.hang("put", go_on)
        puts = store.calls["put"]
        app.execute("INSERT INTO t VALUES(2)")
        until(lambda: store.calls["put"] > puts)
        try:
            yield engine, app
        finally:
            go_on.set()


def is_held(engine: Engine) -> bool:
    return engine._workers[0].database.locked


def errors(engine: Engine) -> list[str]:
    return [event.message for event in engine.events_since(0) if event.level == "error"]


def test_an_upload_in_flight_is_waited_for(tmp_path: Path, store: MemoryStorage) -> None:
    path, go_on = tmp_path / "app.db", threading.Event()
    with in_upload(path, store, go_on) as (engine, app):
        pausing = threading.Thread(target=engine.pause, args=(str(path),))
        pausing.start()
        until(lambda: only(engine).state == "pausing")
        # The upload is under way, so the pause is as well, and the database is not let go of.
        assert pausing.is_alive()
        assert is_held(engine)
        go_on.set()
        pausing.join()
        assert only(engine).state == "paused"
        assert not is_held(engine)
        puts, before = store.calls["put"], store.names()
        app.execute("INSERT INTO t VALUES(3)")
        engine.sync_now()
        assert (store.calls["put"], store.names()) == (puts, before)
        engine.resume(str(path))
        until(lambda: in_step(engine))
        assert errors(engine) == []


def test_promise_2_a_resume_while_an_upload_hangs_leaves_no_database_unreplicated(
    tmp_path: Path, store: MemoryStorage
) -> None:
    path, go_on = tmp_path / "app.db", threading.Event()
    with in_upload(path, store, go_on) as (engine, app):
        refused: list[PausedError] = []

        def pause() -> None:
            try:
                engine.pause(str(path))
            except PausedError as error:
                refused.append(error)

        pausing = threading.Thread(target=pause)
        pausing.start()
        until(lambda: only(engine).state in ("pausing", "paused"))
        engine.resume(str(path))
        go_on.set()
        pausing.join()
        app.execute("INSERT INTO t VALUES(3)")
        before = only(engine).position
        until(lambda: only(engine).position not in (None, before) and in_step(engine))
        # Whoever asked for the pause is told that it did not come true.
        assert [type(error) for error in refused] == [PausedError]
        assert errors(engine) == []
