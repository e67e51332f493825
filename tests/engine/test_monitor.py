"""What the kernel tells of nothing is found by glances: every change, on systems without inotify too."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from replication.config import Config
from replication.database import wal_stat, watch
from replication.database.path_target import FOLDER_REPLACED, LINK_SWITCHED, VOLUME_EXCHANGED, PathTarget
from replication.local.files import LOCK_NAME
from tests.engine.running import begun, client_of, config_of, in_step, only, restored, running, until
from tests.foreign import ForeignConnection, Shell


@pytest.fixture(params=["inotify", "glances"])
def told_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "glances":
        monkeypatch.setattr(watch, "_open_inotify", lambda: None)
    else:
        # So seldom that it would not be in time.
        monkeypatch.setattr(wal_stat, "WHOLE_SECONDS", 1e9)
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "app.db"


@pytest.fixture
def app(path: Path) -> Iterator[ForeignConnection]:
    path.parent.mkdir()
    with Shell(path).open() as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("CREATE TABLE t(a)")
        yield connection


@pytest.fixture
def config(told_by: str, path: Path, tmp_path: Path) -> Config:
    return config_of(path, tmp_path / "replica", monitor_seconds=60.0 if told_by == "inotify" else 0.05)


def test_commits_are_found(app: ForeignConnection, config: Config, tmp_path: Path) -> None:
    with running(config) as engine:
        until(lambda: in_step(engine))
        for number in range(5):
            before = only(engine).position
            app.execute(f"INSERT INTO t VALUES({number})")
            until(lambda before=before: only(engine).position != before and in_step(engine))  # type: ignore[misc]
        assert restored(client_of(tmp_path / "replica"), tmp_path / "out.db") == app.sha256()


def remove_wal(path: Path) -> None:
    path.with_name("app.db-wal").unlink()


def put_in_place(path: Path) -> None:
    Shell(path).run(f"VACUUM INTO '{path}.new'")
    remove_wal(path)
    path.with_name("app.db.new").replace(path)


@pytest.mark.parametrize("change", [remove_wal, put_in_place, Path.unlink])
def test_files_that_go_or_are_replaced_are_found(
    app: ForeignConnection, config: Config, path: Path, change: Callable[[Path], None]
) -> None:
    app.execute("INSERT INTO t VALUES(1)")
    with running(config) as engine:
        until(lambda: in_step(engine))
        change(path)
        # While the application has the files that were there, SQLite itself may refuse those that are.
        until(lambda: only(engine).state != "ok" or len(begun(engine)) > 1)


def test_a_database_that_appears_is_found(told_by: str, config: Config, path: Path) -> None:
    path.parent.mkdir()
    with running(config) as engine:
        assert only(engine).state == "waiting"
        Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
        until(lambda: in_step(engine))


def test_a_link_that_leads_elsewhere_is_found(app: ForeignConnection, config: Config, path: Path) -> None:
    other, link = path.with_name("other.db"), path.with_name("link.db")
    Shell(path).run(f"INSERT INTO t VALUES(1); VACUUM INTO '{other}'")
    link.symlink_to(path)
    database = replace(config.databases[0], path=link)
    with running(replace(config, databases=(database,))) as engine:
        until(lambda: in_step(engine))
        link.with_name("new.db").symlink_to(other)
        link.with_name("new.db").rename(link)
        until(lambda: begun(engine)[1:] == [LINK_SWITCHED])


def test_a_folder_that_is_a_link_to_another_volume_now_is_told_as_such(path: Path, tmp_path: Path) -> None:
    """Not as a local folder that was removed: as when a deploy switches "current" from one release to the next."""
    first, second, link = tmp_path / "volume1", tmp_path / "volume2", tmp_path / "current"
    for number, folder in enumerate((first, second)):
        folder.mkdir()
        Shell(folder / "app.db").run(f"PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES({number})")
    link.symlink_to(first)
    config = config_of(link / "app.db", tmp_path / "replica", monitor_seconds=0.02)
    with running(config) as engine:
        until(lambda: in_step(engine))
        link.with_name("new").symlink_to(second)
        link.with_name("new").rename(link)
        until(lambda: begun(engine)[1:] == [f"{LINK_SWITCHED}, while replicating"])
        until(lambda: in_step(engine))


def test_what_became_of_a_place() -> None:
    here = PathTarget("/srv/app.db", (1, 2))
    assert here.became(here) == ""
    assert here.became(PathTarget("/srv/two/app.db", (1, 3))) == LINK_SWITCHED
    assert here.became(PathTarget("/srv/app.db", (2, 2))) == VOLUME_EXCHANGED
    assert here.became(PathTarget("/srv/app.db", (1, 3))) == FOLDER_REPLACED


def test_a_database_that_was_removed_is_not_one_that_does_not_exist_yet(
    app: ForeignConnection, config: Config, path: Path
) -> None:
    with running(config) as engine:
        until(lambda: in_step(engine))
        app.close()
        for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            name.unlink(missing_ok=True)
        until(lambda: only(engine).state == "waiting")
        assert "was removed" in only(engine).error
        assert [event for event in engine.events_since(0) if "database was removed" in event.message]
    with running(config) as engine:
        until(lambda: only(engine).state == "waiting")
        assert "was removed" in only(engine).error


def test_a_folder_that_was_made_anew_is_watched(app: ForeignConnection, config: Config, path: Path) -> None:
    with running(config) as engine:
        until(lambda: in_step(engine))
        shutil.rmtree(path.parent)
        until(lambda: only(engine).state == "waiting")
        path.parent.mkdir()
        with Shell(path).open() as again:
            again.execute("PRAGMA journal_mode=wal")
            again.execute("CREATE TABLE t(a)")
            until(lambda: engine.sync_now() or in_step(engine))  # type: ignore[func-returns-value]
            before = only(engine).position
            again.execute("INSERT INTO t VALUES(1)")
            until(lambda: only(engine).position != before)


@pytest.mark.parametrize("whole", [False, True])
def test_a_lock_that_is_removed_is_found_by_glances(
    app: ForeignConnection, path: Path, tmp_path: Path, whole: bool
) -> None:
    config = config_of(path, tmp_path / "replica", monitor_seconds=0.02)
    meta = config.databases[0].meta_path
    with running(config) as engine:
        until(lambda: in_step(engine))
        shutil.rmtree(meta) if whole else os.unlink(meta / LOCK_NAME)  # noqa: PTH108
        until(lambda: begun(engine)[1:] == ["local folder removed, while replicating"])
        assert (meta / LOCK_NAME).exists()


def test_a_checkpoint_comes_when_its_time_has_come(app: ForeignConnection, path: Path, tmp_path: Path) -> None:
    """A database at rest is woken by the time of its checkpoint, though nobody writes."""
    config = config_of(path, tmp_path / "replica", monitor_seconds=60.0, checkpoint_seconds=0.5)
    with running(config) as engine:
        app.execute("INSERT INTO t VALUES(1)")
        until(lambda: only(engine).last_checkpoint > 0)
