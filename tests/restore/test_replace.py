"""A restore over the live database, with applications in other processes: refused, or whole, and the old one kept."""

import errno
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from replication.engine import Engine
from replication.errors import (
    LocalFileError,
    ReplicationError,
    RestoreCancelledError,
    RestoreError,
)
from replication.restore.kept import kept_path
from replication.restore.open_replica import OpenReplica
from replication.restore.replace import Replaced, restore_over
from replication.restore.restore import RestoreOptions, RestoreProgress
from replication.restore.target import AtPosition, Latest
from replication.sqlite.exclusive import DatabaseInUseError
from tests.engine.running import begun, client_of, config_of, in_step, only, restore_points, restored, running, until
from tests.foreign import ForeignConnection, Shell

NOW = datetime(2026, 10, 20, 12, 4, 2, tzinfo=UTC)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An application's database, its process ended as a crash would."""
    shell = Shell(tmp_path / "app.db")
    app = shell.open()
    app.execute("PRAGMA journal_mode=wal")
    app.execute("CREATE TABLE t(x)")
    app.execute("INSERT INTO t VALUES(1)")
    app.kill()
    app.close()
    return shell


@pytest.fixture
def replica(shell: Shell, tmp_path: Path) -> Path:
    """A replica of it as it is now; then the live database goes on."""
    folder = tmp_path / "replica"
    with running(config_of(shell.path, folder)) as engine:
        until(lambda: in_step(engine))
    app = shell.open()
    app.execute("DELETE FROM t")
    app.kill()
    app.close()
    return folder


def nothing() -> None:
    """For callers that replicate nothing."""


def over(
    shell: Shell, replica: Path, pause: Callable[[], None] = nothing, resume: Callable[[], None] = nothing
) -> Replaced:
    sources = [OpenReplica("test", client_of(replica).storage)]
    kept = kept_path(shell.path, NOW)
    return restore_over(sources, shell.path, RestoreOptions(Latest()), kept, pause, resume)


def left(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir() if item.is_file())


def test_the_restored_file_takes_the_place_and_the_old_one_is_kept_whole(shell: Shell, replica: Path) -> None:
    shell.path.chmod(0o604)
    calls: list[str] = []
    done = over(shell, replica, pause=lambda: calls.append("pause"), resume=lambda: calls.append("resume"))
    assert calls == ["pause", "resume"]
    assert done.kept.name == "app.db.before-restore-20261020T120402Z"
    assert shell.path.stat().st_mode & 0o777 == done.kept.stat().st_mode & 0o777 == 0o604
    assert shell.rows("SELECT x FROM t") == [[1]]
    assert left(shell.path.parent) == ["app.db", done.kept.name]
    assert Shell(done.kept).rows("SELECT count(*) FROM t") == [[0]]
    assert (done.result.output, done.result.check, done.result.warnings) == (shell.path, "ok", ())


@pytest.mark.parametrize("first", ["SELECT count(*) FROM t", ""], ids=["has read", "idle"])
def test_a_database_that_an_application_has_open_is_refused(shell: Shell, replica: Path, first: str) -> None:
    with shell.open() as app:
        app.execute(first or "SELECT 1")
        resumed: list[bool] = []
        with pytest.raises(DatabaseInUseError, match=rf"\(python.*, pid {app.process.pid}\)"):
            over(shell, replica, resume=lambda: resumed.append(True))
        assert resumed == [True]
        assert app.execute("SELECT count(*) FROM t") == [[0]]
        app.execute("INSERT INTO t VALUES(5)")
    assert not any(".before-restore" in name or "replacement" in name for name in left(shell.path.parent))
    assert shell.rows("SELECT x FROM t") == [[5]]


def test_an_application_that_opens_it_during_the_restore_wins(
    shell: Shell, replica: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps: list[ForeignConnection] = []

    def open_at_the_end(progress: RestoreProgress) -> None:
        if progress.phase == "done":
            apps.append(shell.open())
            apps[0].execute("INSERT INTO t VALUES(7)")

    # Locks alone must do here: not every process of a machine can be looked into.
    monkeypatch.setattr("replication.restore.replace.openers", lambda path: [])
    kept = kept_path(shell.path, NOW)
    with pytest.raises(DatabaseInUseError):
        restore_over(
            [OpenReplica("test", client_of(replica).storage)],
            shell.path,
            RestoreOptions(),
            kept,
            progress=open_at_the_end,
        )
    apps[0].close()
    assert left(shell.path.parent) == ["app.db"]
    assert shell.rows("SELECT x FROM t") == [[7]]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "link", "fsync of the folder"])
def test_a_failure_at_any_step_leaves_the_old_one_in_place(
    shell: Shell, replica: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What concerns the kept file fails; the restore before it makes files of its own, which do not."""
    verb = call.split()[0]
    real = getattr(os, verb)
    reached: list[str] = []
    monkeypatch.setattr("replication.steps.hook", reached.append)

    def fails(what: object, *args: object, **more: object) -> object:
        hidden = shell.path.with_name(".app.db.keeping")
        if isinstance(what, int):
            folder = "replacement: old one named" in reached
            ours = folder if "folder" in call else "replacement: wal folded in" in reached and not folder
        else:
            # Reached from its open folder, by its name alone.
            ours = Path(str(what)).name == hidden.name
        if ours:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(what))
        return real(what, *args, **more)

    monkeypatch.setattr(os, verb, fails)
    with pytest.raises(LocalFileError):
        over(shell, replica)
    monkeypatch.undo()
    assert set(left(shell.path.parent)) <= {"app.db", "app.db-wal", "app.db-shm"}
    assert shell.rows("SELECT count(*) FROM t") == [[0]]


def test_without_hard_links_the_kept_one_is_moved(shell: Shell, replica: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(source: object, *args: object, **more: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", none)
    done = over(shell, replica)
    assert shell.rows("SELECT x FROM t") == [[1]]
    assert Shell(done.kept).rows("SELECT count(*) FROM t") == [[0]]


def test_cancelled_leaves_everything_as_it_was(shell: Shell, replica: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    before = {name: (shell.path.parent / name).read_bytes() for name in left(shell.path.parent)}
    with pytest.raises(RestoreCancelledError):
        restore_over(
            [OpenReplica("test", client_of(replica).storage)],
            shell.path,
            RestoreOptions(),
            kept_path(shell.path, NOW),
            cancel=cancel,
        )
    after = {name: (shell.path.parent / name).read_bytes() for name in left(shell.path.parent)}
    assert after.keys() == before.keys()
    assert {k: v for k, v in after.items() if not k.endswith("-shm")} == {
        k: v for k, v in before.items() if not k.endswith("-shm")
    }


def test_what_is_no_database_or_not_there_is_refused_with_what_to_do(shell: Shell, replica: Path) -> None:
    for name in left(shell.path.parent):
        (shell.path.parent / name).unlink()
    shell.path.write_bytes(b"no database at all" * 100)
    with pytest.raises(RestoreError, match=r"begins with app\.db- away"):
        over(shell, replica)
    shell.path.unlink()
    with pytest.raises(RestoreError, match="as to a new file"):
        over(shell, replica)


def test_a_link_is_followed_and_stays(shell: Shell, replica: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to("app.db")
    done = restore_over([OpenReplica("test", client_of(replica).storage)], link, RestoreOptions(), kept_path(link, NOW))
    assert link.is_symlink()
    assert done.kept.name.startswith("app.db.before-restore")
    assert Shell(link).rows("SELECT x FROM t") == [[1]]


def test_the_name_of_the_old_file_is_always_free(tmp_path: Path) -> None:
    first = kept_path(tmp_path / "a.db", NOW)
    first.touch()
    assert kept_path(tmp_path / "a.db", NOW) == first.with_name(first.name + "-2")


def test_under_a_running_engine_a_new_generation_begins(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "live-replica"
    with running(config_of(shell.path, folder)) as engine:
        until(lambda: in_step(engine))
        client = client_of(folder)
        position = only(engine).position
        assert position is not None
        app = shell.open()
        app.execute("DELETE FROM t")
        until(lambda: in_step(engine) and only(engine).position != position)
        over_live = RestoreOptions(AtPosition(position), position.generation)
        path = str(shell.path)

        def go(engine: Engine) -> Replaced:
            return restore_over(
                [OpenReplica("test", client.storage)],
                shell.path,
                over_live,
                kept_path(shell.path, NOW),
                lambda: engine.pause(path),
                lambda: engine.resume(path),
            )

        with pytest.raises(ReplicationError, match="is open in another program"):
            go(engine)
        app.close()
        # The application may have left as the last one while the engine was paused: that began one as well.
        until(lambda: in_step(engine))
        before = len(begun(engine))
        go(engine)
        until(lambda: in_step(engine) and len(begun(engine)) > before)
        generation = only(engine).position
        assert generation is not None
        until(lambda: bool(restore_points(client, generation.generation)))
        with shell.open() as app:
            app.execute("INSERT INTO t VALUES(2)")
            # The kernel's time of a write may be some milliseconds before a sync that did not see it.
            until(lambda: in_step(engine) and only(engine).position != generation)
            assert restored(client, tmp_path / "again.db") == app.sha256()
    assert shell.rows("SELECT x FROM t") == [[1], [2]]
