"""Another configuration while an engine runs: what it is compared to, pauses and leases, and the end in the middle."""

from dataclasses import replace
from pathlib import Path

import pytest

from replication.config import Config, DatabaseConfig, ReplicaConfig, default_meta_path
from replication.engine.fleet import Fleet
from replication.engine.reload import compare
from replication.engine.worker import Worker
from replication.errors import PausedError
from replication.storage.file.location import FileLocation
from replication.storage.s3.location import S3Location
from tests.engine.running import begun, client_of, config_of, in_step, only, restore_points, running, until
from tests.foreign import Shell


def database(name: str, *replicas: ReplicaConfig) -> DatabaseConfig:
    path = Path("/srv") / name
    return DatabaseConfig(path, default_meta_path(path), replicas)


def replica(name: str) -> ReplicaConfig:
    return ReplicaConfig(name, FileLocation(Path("/copies") / name))


ONE, TWO, THREE = database("one", replica("a")), database("two", replica("b")), database("three", replica("c"))


def test_the_same_is_no_step() -> None:
    changes = compare([ONE, TWO], [TWO, ONE])
    assert not changes
    assert changes.words == "nothing changed"


def test_steps_are_told_by_paths() -> None:
    other = replace(TWO, monitor_interval=7.0)
    changes = compare([ONE, TWO], [other, THREE])
    assert (changes.added, changes.removed) == ((THREE,), (ONE,))
    assert [(change.before, change.after) for change in changes.changed] == [(TWO, other)]
    assert changes.words == "1 added, 1 removed, 1 changed"


def test_a_change_is_told_by_its_keys_and_without_a_secret() -> None:
    store = S3Location("b", "p", access_key_id="someone", secret_access_key="hidden in no message")
    before = database("one", replica("a"), replica("b"), ReplicaConfig("s3", store))
    after = replace(
        before,
        checkpoint_interval=3.0,
        max_backlog_bytes=1,
        replicas=(
            replace(before.replicas[0], sync_interval=3.0),
            replica("c"),
            ReplicaConfig("s3", replace(store, secret_access_key="another"), retention=1.0),
        ),
    )
    [change] = compare([before], [after]).changed
    assert change.words == (
        "checkpoint-interval, max-backlog-size, replica b removed, replica a: sync-interval, replica c added, "
        "replica s3: retention, its place"
    )
    assert not change.is_anew
    assert change.freed == {replica("b").location.identity}
    assert compare([before], [replace(before, meta_path=Path("/other"))]).changed[0].is_anew
    assert compare([before], [replace(before, replicas=before.replicas[::-1])]).changed[0].words == (
        "the order of its replicas"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    return path


def test_a_pause_outlives_a_change(path: Path, tmp_path: Path) -> None:
    first, second = config_of(path, tmp_path / "a"), config_of(path, tmp_path / "a", tmp_path / "b")
    with running(first) as engine:
        until(lambda: in_step(engine))
        engine.pause(str(path), "somebody", 60.0)
        engine.reload(second)
        assert only(engine).state == "paused"
        assert not engine._workers[0].database.locked
        engine.renew(str(path), "somebody", 60.0)
        assert client_of(tmp_path / "b").generations() == []
        assert engine.resume(str(path), "somebody") == ()
        until(lambda: in_step(engine) and bool(client_of(tmp_path / "b").generations()))
        assert begun(engine) == ["no generation exists"]


def test_a_pause_outlives_a_change_of_the_local_folder(path: Path, tmp_path: Path) -> None:
    config = config_of(path, tmp_path / "a")
    moved = Config(None, (replace(config.databases[0], meta_path=tmp_path / "local"),))
    with running(config) as engine:
        until(lambda: in_step(engine))
        engine.pause(str(path), "somebody", 60.0)
        engine.reload(moved)
        until(lambda: only(engine).state == "paused")
        engine.renew(str(path), "somebody", 60.0)
        assert not (tmp_path / "local").exists()
        engine.resume(str(path), "somebody")
        until(lambda: in_step(engine) and (tmp_path / "local").exists())


def test_one_that_is_removed_while_it_is_paused_is_left_alone(path: Path, tmp_path: Path) -> None:
    with running(config_of(path, tmp_path / "a")) as engine:
        until(lambda: in_step(engine))
        engine.pause(str(path), "somebody", 60.0)
        removed = engine._workers[0]
        assert engine.reload(Config(None, ())).words == "1 removed"
        assert engine.status().databases == ()
        with pytest.raises(PausedError):
            removed.renew("somebody", 60.0)
        engine.reload(config_of(path, tmp_path / "a"))
        until(lambda: in_step(engine))
        assert begun(engine) == ["no generation exists"]


@pytest.mark.parametrize("place", ["a", "b"])
def test_who_needs_the_place_of_another_begins_after_that_has_ended(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    other = tmp_path / "other.db"
    Shell(other).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    steps: list[str] = []
    begin, end = Fleet.begin, Worker.end

    def begins(fleet: Fleet, worker: Worker) -> None:
        steps.append(f"begins {worker.database.path.name}")
        begin(fleet, worker)

    def ends(worker: Worker) -> None:
        end(worker)
        steps.append(f"has ended {worker.database.path.name}")

    with running(config_of(path, tmp_path / "a")) as engine:
        until(lambda: in_step(engine))
        monkeypatch.setattr(Fleet, "begin", begins)
        monkeypatch.setattr(Worker, "end", ends)
        assert engine.reload(config_of(other, tmp_path / place)).words == "1 added, 1 removed"
        until(lambda: in_step(engine))
        assert steps == ["has ended app.db", "begins other.db"] if place == "a" else steps[0] == "begins other.db"
        monkeypatch.undo()


def test_an_engine_that_closes_changes_nothing_any_more(path: Path, tmp_path: Path) -> None:
    with running(config_of(path, tmp_path / "a")) as engine:
        until(lambda: in_step(engine))
        Shell(path).run("INSERT INTO t VALUES(1)")
        assert engine.close() == []
        engine.reload(Config(None, ()))
        assert len(engine._workers) == 1
    client = client_of(tmp_path / "a")
    [generation] = client.generations()
    assert restore_points(client, generation)[-1] == only(engine).position
