"""Promise 2 across stops, kills, and what happens to the files meanwhile.

A generation goes on only when nothing can have been skipped; else a new one begins, says why, and both restore.
"""

import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replication.config import default_meta_path
from replication.engine import Engine
from replication.errors import DatabaseError
from tests.engine.running import (
    begun,
    client_of,
    config_of,
    in_step,
    only,
    restore_points,
    restored,
    restored_each,
    running,
    until,
)
from tests.engine.writer import Writer
from tests.foreign import ForeignConnection, Shell

PROGRAM = Path(sys.executable).parent / "litestream-tui"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "replica"


@pytest.fixture
def shell(path: Path) -> Shell:
    shell = Shell(path)
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB);")
    return shell


def write(app: ForeignConnection, count: int = 5) -> None:
    for _ in range(count):
        app.execute("INSERT INTO t(b) VALUES(randomblob(500))")


def objects(folder: Path) -> list[str]:
    return sorted(str(item.relative_to(folder)) for item in folder.rglob("*.lz4"))


def replicate(path: Path, folder: Path) -> list[str]:
    """Run an engine until everything is in the replica; why generations began."""
    with running(config_of(path, folder)) as engine:
        until(lambda: in_step(engine))
        return begun(engine)


def replicate_with_writes(path: Path, folder: Path, shell: Shell) -> None:
    """Run an engine while an application writes, until everything is in the replica. The WAL is left as it is."""
    with running(config_of(path, folder)) as engine, shell.open() as app:
        before = only(engine).position
        write(app)
        until(lambda: only(engine).position != before and in_step(engine))


def test_a_clean_stop_and_start_continues_with_no_snapshot(path: Path, folder: Path, shell: Shell) -> None:
    with shell.open() as app:
        write(app)
        replicate(path, folder)
        snapshots = [name for name in objects(folder) if "snapshot" in name]
        write(app)  # while nobody looks
        assert replicate(path, folder) == []
        write(app)
        assert replicate(path, folder) == []
        truth = app.sha256()
    assert [name for name in objects(folder) if "snapshot" in name] == snapshots
    assert len(snapshots) == 1
    assert restored(client_of(folder), path.with_name("out.db")) == truth


def test_an_idle_restart_writes_nothing_at_all(path: Path, folder: Path, shell: Shell) -> None:
    replicate_with_writes(path, folder, shell)
    before = objects(folder)
    for _ in range(3):
        assert replicate(path, folder) == []
    assert objects(folder) == before


@contextmanager
def program(path: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real program, headless; killed at the end if it still runs."""
    config = path.with_name("litestream.yml")
    config.write_text(
        f"dbs:\n  - path: {path}\n    monitor-interval: 20ms\n    min-checkpoint-page-count: 15\n"
        f"    replicas:\n      - path: {folder}\n        sync-interval: 1ms\n"
    )
    process = subprocess.Popen(
        [PROGRAM, "replicate", "-config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_promise_2_a_program_that_is_killed_again_and_again_never_restores_wrong(path: Path, folder: Path) -> None:
    writer = Writer(path, 1024)
    for number in range(6):
        before = objects(folder)
        with program(path, folder) as process:
            writer.commit(1)
            until(lambda before=before: objects(folder) != before)  # type: ignore[misc]
            writer.commit(20 + 7 * number)
            process.send_signal(signal.SIGKILL)
            process.wait()
            # Half of the times while nobody holds the WAL.
            writer.commit(number % 2)
    with running(config_of(path, folder)) as engine:
        until(lambda: in_step(engine))
    writer.close()

    client = client_of(folder)
    order = {sha: number for number, sha in enumerate(writer.hashes)}
    assert restored(client, path.with_name("out.db")) == writer.hashes[-1]
    for generation in client.generations():
        points = restore_points(client, generation)
        states = [order.get(sha, -1) for sha in restored_each(client, points)]
        assert -1 not in states, f"{generation} restores to a state that never was"
        # Every commit of a generation, once, and in its order; the start of an index is the end of the one before.
        assert sorted({*states}) == list(range(states[0], states[-1] + 1))
        assert states == sorted(states)


def generations_said(path: Path, folder: Path) -> str:
    """What `litestream-tui generations` says."""
    return subprocess.run(
        [PROGRAM, "generations", f"file://{folder}"], check=True, capture_output=True, text=True
    ).stdout


def test_a_wal_checkpointed_and_removed_while_down_begins_a_generation_with_its_reason(
    path: Path, folder: Path, shell: Shell
) -> None:
    replicate_with_writes(path, folder, shell)
    # The last connection of an application checkpoints and removes the WAL.
    shell.run("INSERT INTO t(b) VALUES('while down');")
    [reason] = replicate(path, folder)
    assert reason == "wal empty: it was checkpointed while not replicating"
    assert reason in generations_said(path, folder)
    assert len(client_of(folder).generations()) == 2
    assert restored(client_of(folder), path.with_name("out.db")) == truth_of(shell)


def test_a_wal_restarted_while_down_begins_a_generation(path: Path, folder: Path, shell: Shell) -> None:
    with shell.open() as app:
        write(app)
        replicate(path, folder)
        app.execute("PRAGMA wal_checkpoint(RESTART)")
        write(app, 1)
        assert replicate(path, folder) == ["wal header mismatch: it was restarted while not replicating"]
        assert restored(client_of(folder), path.with_name("out.db")) == app.sha256()


def test_promise_4_nor_at_a_start_after_it_was_replaced(path: Path, folder: Path, shell: Shell) -> None:
    replicate_with_writes(path, folder, shell)
    other = Shell(path.with_name("other.db"))
    other.run("CREATE TABLE u(x); INSERT INTO u VALUES(randomblob(9000)); PRAGMA journal_mode=wal;")
    content = other.path.read_bytes()
    path.rename(path.with_name("aside"))
    other.path.rename(path)
    engine = Engine(config_of(path, folder, pages_min=1, checkpoint_seconds=0.01))
    engine.start()
    try:
        with pytest.raises(DatabaseError, match="still belongs to the file before"):
            engine.check()
        said = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout
        assert said.split()[0] == hashlib.sha256(content).hexdigest()
        path.with_name("app.db-wal").unlink()
        path.with_name("app.db-shm").unlink(missing_ok=True)
        until(lambda: in_step(engine))
        assert begun(engine) == ["database file replaced while not replicating"]
        assert restored(client_of(folder), path.with_name("out.db")) == truth_of(shell)
    finally:
        engine.close()


def test_a_database_copied_with_its_wal_and_local_folder_begins_a_generation(
    path: Path, folder: Path, shell: Shell
) -> None:
    replicate_with_writes(path, folder, shell)
    moved = path.parent / "moved"
    moved.mkdir()
    for item in (path, path.with_name("app.db-wal")):
        shutil.copy2(item, moved)
    shutil.copytree(default_meta_path(path), default_meta_path(moved / "app.db"))
    assert replicate(moved / "app.db", folder) == ["database file replaced while not replicating"]
    assert restored(client_of(folder), path.with_name("out.db")) == truth_of(Shell(moved / "app.db"))


def truth_of(shell: Shell) -> str:
    with shell.open() as reader:
        return reader.sha256()


def test_a_database_replaced_under_us_begins_a_generation_and_both_restore(
    path: Path, folder: Path, shell: Shell
) -> None:
    with running(config_of(path, folder)) as engine:
        shell.run("INSERT INTO t(b) VALUES('old');")
        until(lambda: in_step(engine) and begun(engine) == ["no generation exists"])
        old = truth_of(shell)
        until(lambda: in_step(engine))
        [first] = client_of(folder).generations()

        other = Shell(path.with_name("other.db"))
        other.run("PRAGMA journal_mode=wal; CREATE TABLE u(x); INSERT INTO u VALUES(randomblob(9000));")
        other.path.rename(path)
        path.with_name("app.db-wal").unlink(missing_ok=True)
        path.with_name("app.db-shm").unlink(missing_ok=True)
        until(lambda: len(client_of(folder).generations()) >= 2 and in_step(engine))
        with shell.open() as app:
            position = only(engine).position
            app.execute("INSERT INTO u VALUES('new')")
            new = app.sha256()
            until(lambda: only(engine).position != position and in_step(engine))
        assert only(engine).generation_reason.startswith(("database file replaced", "wal removed"))
    client = client_of(folder)
    assert restored(client, path.with_name("out.db")) == new
    assert restored(client, path.with_name("out.db"), restore_points(client, first)[-1]) == old


def test_promise_4_a_database_that_replaces_another_is_not_mixed_with_the_wal_of_that(
    path: Path, folder: Path, shell: Shell
) -> None:
    # Whoever opens the new file beside the old WAL lets SQLite bring that WAL's pages into it.
    with running(config_of(path, folder, pages_min=1, checkpoint_seconds=0.01)) as engine:
        with shell.open() as app, shell.open() as reader:
            # The reader keeps our checkpoints from being complete, so that the old WAL has what its file lacks.
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM t")
            write(app)
            old = app.sha256()
            reader.kill()
            app.kill()
        until(lambda: in_step(engine))
        [first] = client_of(folder).generations()
        other = Shell(path.with_name("other.db"))
        other.run("CREATE TABLE u(x); INSERT INTO u VALUES(randomblob(9000)); PRAGMA journal_mode=wal;")
        content = other.path.read_bytes()
        other.path.rename(path)
        until(lambda: only(engine).state == "error")
        assert "app.db-wal still belongs to the file before" in only(engine).error
        # Read by another process: opening the file here would drop our own locks on it.
        said = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout
        assert said.split()[0] == hashlib.sha256(content).hexdigest()

        path.with_name("app.db-wal").unlink()
        path.with_name("app.db-shm").unlink(missing_ok=True)
        until(lambda: len(client_of(folder).generations()) == 2 and in_step(engine))
        assert begun(engine)[-1] == "database file replaced"
        new = truth_of(shell)
    client = client_of(folder)
    assert restored(client, path.with_name("out.db")) == new
    assert restored(client, path.with_name("out.db"), restore_points(client, first)[-1]) == old


@pytest.mark.parametrize("same_files", [True, False], ids=["in place", "as new files"])
def test_a_database_set_back_with_its_local_folder_begins_a_generation_and_both_restore(
    path: Path, folder: Path, shell: Shell, same_files: bool
) -> None:
    wal, meta, saved = path.with_name("app.db-wal"), default_meta_path(path), path.with_name("saved")
    replicate_with_writes(path, folder, shell)
    saved.mkdir()
    shutil.copy2(path, saved)
    shutil.copy2(wal, saved)
    shutil.copytree(meta, saved / meta.name)
    replicate_with_writes(path, folder, shell)
    [first] = client_of(folder).generations()
    newest = restore_points(client_of(folder), first)[-1]
    ahead = restored(client_of(folder), path.with_name("out.db"), newest)

    shutil.rmtree(meta)
    shutil.copytree(saved / meta.name, meta)
    path.with_name("app.db-shm").unlink(missing_ok=True)
    for item in (path, wal):
        if same_files:
            item.write_bytes((saved / item.name).read_bytes())
        else:
            # Kept aside, lest the new file gets its inode number.
            item.rename(item.with_name(f"{item.name}.aside"))
            shutil.copy2(saved / item.name, item)

    with running(config_of(path, folder)) as engine, shell.open() as app:
        until(lambda: len(begun(engine)) == 1 and in_step(engine))
        before = only(engine).position
        write(app, 3)
        branch = app.sha256()
        until(lambda: only(engine).position != before and in_step(engine))
        [reason] = begun(engine)
    assert reason.startswith("database file written to" if same_files else "database file replaced")
    client = client_of(folder)
    assert len(client.generations()) == 2
    assert restored(client, path.with_name("out.db")) == branch
    assert restored(client, path.with_name("out.db"), newest) == ahead
