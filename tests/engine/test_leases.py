"""A pause is held by somebody, and a hold with a lease ends by itself if whoever has it is no longer there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from replication.control import BY_HAND, Control
from replication.control.pause_lease import PauseLease
from replication.engine import Engine, making
from replication.errors import DatabaseError, PausedError
from replication.storage.memory import MemoryStorage
from tests.engine.running import config_of, in_step, only, running, until
from tests.foreign import Shell

CLIENT = "a client"
SHORT, LONG = 0.05, 3600.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    with running(config_of(path, tmp_path / "replica")) as engine:
        until(lambda: in_step(engine))
        yield engine


def name_of(engine: Engine) -> str:
    return only(engine).path


def said(engine: Engine) -> list[tuple[str, str]]:
    """What was told of pauses, and of whom."""
    return [
        (event.message, str(dict(event.attributes).get("by", "")))
        for event in engine.events_since(0)
        if "pause" in event.message or event.message == "resumed"
    ]


def commit(engine: Engine) -> None:
    """A commit that arrives."""
    before = only(engine).position
    Shell(Path(name_of(engine))).run("INSERT INTO t VALUES(2)")
    until(lambda: only(engine).position not in (None, before) and in_step(engine))


def test_promise_2_a_lease_that_is_not_renewed_leaves_no_database_paused(engine: Engine) -> None:
    # A short lease might end before the database is let go of.
    engine.pause(name_of(engine), CLIENT, LONG)
    engine.renew(name_of(engine), CLIENT, SHORT)
    # Whoever has it is gone; nobody asks for anything any more.
    commit(engine)
    assert said(engine) == [
        ("paused", CLIENT),
        ("a pause was not renewed in time and has ended", CLIENT),
        ("resumed", CLIENT),
    ]
    with pytest.raises(PausedError, match="no longer paused for a client"):
        engine.renew(name_of(engine), CLIENT, LONG)
    assert only(engine).state == "ok"


def test_a_lease_that_is_renewed_lasts(engine: Engine) -> None:
    path = name_of(engine)
    engine.pause(path, CLIENT, LONG)
    engine.pause(path, CLIENT, LONG)
    engine.renew(path, CLIENT, LONG)
    assert only(engine).state == "paused"
    assert engine.resume(path, CLIENT) == ()
    commit(engine)


def test_it_stays_paused_for_as_long_as_anybody_needs_it(engine: Engine) -> None:
    path = name_of(engine)
    engine.pause(path, CLIENT, LONG)
    engine.pause(path)
    # What another one wants is no way to take it from under a restore.
    assert engine.resume(path) == (CLIENT,)
    assert only(engine).state == "paused"
    engine.pause(path)
    engine.pause(path, CLIENT, SHORT)
    until(lambda: ("a pause was not renewed in time and has ended", CLIENT) in said(engine))
    assert only(engine).state == "paused"
    with pytest.raises(PausedError, match=f"is paused by {BY_HAND}: nothing is copied or uploaded"):
        engine.snapshot(path)
    with pytest.raises(PausedError, match=f"is paused by {BY_HAND}: nothing is copied or uploaded"):
        engine.verify(path, threading.Event())
    assert engine.resume(path) == ()
    commit(engine)


def test_what_it_held_is_shown_while_it_is_paused(engine: Engine) -> None:
    before = only(engine)
    engine.pause(name_of(engine))
    after = only(engine)
    assert (after.state, after.position) == ("paused", before.position)
    assert [item.position for item in after.replicas] == [before.position]
    engine.resume(name_of(engine))


@contextmanager
def uploading_without_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Engine, Path, threading.Event]]:
    """An engine whose upload of a commit hangs until the event is set."""
    store, go_on, path = MemoryStorage(), threading.Event(), folder / "app.db"
    monkeypatch.setattr(making, "open_storage", lambda *_: store)
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    with running(config_of(path, folder / "replica")) as engine:
        until(lambda: in_step(engine))
        store.hang("put", go_on)
        puts = store.calls["put"]
        Shell(path).run("INSERT INTO t VALUES(1)")
        until(lambda: store.calls["put"] > puts)
        yield engine, path, go_on


def test_promise_2_a_pause_that_hangs_ends_with_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with uploading_without_end(tmp_path, monkeypatch) as (engine, path, go_on):
        with pytest.raises(PausedError, match="asked to go on before it had been let go of"):
            engine.pause(str(path), CLIENT, SHORT)
        assert only(engine).state in ("ok", "starting")
        go_on.set()
        commit(engine)


def test_nobody_pauses_what_is_ending(engine: Engine) -> None:
    engine.pause(name_of(engine))
    assert engine.close() == []
    with pytest.raises(DatabaseError, match="the program is ending"):
        engine.pause(name_of(engine))
    assert engine.resume(name_of(engine)) == ()


def test_a_pause_is_renewed_while_it_is_needed_and_not_after_it_was_given_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screen's restore over a database: cancelled, and hanging all the same."""
    path, stop = name_of(engine), threading.Event()
    lease = PauseLease(engine, path, "a restore", stop, seconds=0.3)
    lease.begin()
    holder = said(engine)[0][1]
    renewals: list[str] = []
    renew = engine.renew

    def counted(database: str, holder: str, lease_seconds: float) -> None:
        renew(database, holder, lease_seconds)
        renewals.append(holder)

    monkeypatch.setattr(engine, "renew", counted)
    # More of them than one lease could last.
    until(lambda: len(renewals) > 5)
    assert only(engine).state == "paused"
    assert set(renewals) == {holder}
    stop.set()
    commit(engine)
    assert ("a pause was not renewed in time and has ended", holder) in said(engine)
    lease.end()
    assert only(engine).state == "ok"


def test_whoever_has_lost_its_lease_is_told_to_stop(engine: Engine) -> None:
    path, stop = name_of(engine), threading.Event()
    lease = PauseLease(engine, path, "a restore", stop, seconds=0.3)
    lease.begin()
    engine.resume(path, said(engine)[0][1])
    assert stop.wait(10.0)
    assert "no longer paused for a restore" in lease.lost


def test_a_pause_that_hangs_can_be_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with uploading_without_end(tmp_path, monkeypatch) as (engine, path, go_on):
        control: Control = engine
        lease = PauseLease(control, str(path), "a restore", threading.Event())
        ended: list[str] = []

        def restore() -> None:
            with suppress(PausedError):
                lease.begin()
            ended.append("without a pause" if not lease.paused else "paused")

        thread = threading.Thread(target=restore)
        thread.start()
        until(lambda: only(engine).state == "pausing")
        lease.give_up()
        thread.join()
        assert ended == ["without a pause"]
        go_on.set()
        commit(engine)
