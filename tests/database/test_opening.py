"""Opening a database: what may go on, and what happens in the moments around it."""

import os
from pathlib import Path
from typing import Any

import pytest

from replication.database import continuity
from replication.database import opening as opening_module
from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.replica.wal03.replica import Replica
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.foreign import Shell

POLICY = CheckpointPolicy(1000, 10000, 60)


class Told:
    """Collects what a database emits."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def __call__(self, level: str, message: str, **attributes: Any) -> None:
        if "reason" in attributes:
            self.reasons.append(attributes["reason"])


def open_database(path: Path) -> tuple[Database, Told]:
    told = Told()
    return Database(path, path.with_name(f".{path.name}-litestream"), POLICY, told), told


def test_a_restart_between_the_pin_and_the_first_copy_begins_a_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is backfilled while we are down, so our pin does not keep a writer from restarting the WAL at once."""
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(x);")
    with shell.open(autocheckpoint=False) as app:
        app.execute("INSERT INTO t VALUES(1)")
        first, _ = open_database(shell.path)
        first.sync()
        assert first.position is not None
        generation = first.position.generation
        first.close()
        app.execute("INSERT INTO t VALUES('never copied')")
        assert app.execute("PRAGMA wal_checkpoint(PASSIVE)")[0][0] == 0

        decide = continuity.decide

        def decide_then_restart(*arguments: Any) -> Any:
            decision = decide(*arguments)
            app.execute("INSERT INTO t VALUES('restarts the WAL')")
            return decision

        monkeypatch.setattr(opening_module, "decide", decide_then_restart)
        second, told = open_database(shell.path)
        second.sync()
        assert second.position is not None
        assert second.position.generation != generation
        assert told.reasons == ["wal restarted while it was opened"]
        second.close()


def test_without_a_restart_the_generation_goes_on(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(x);")
    with shell.open(autocheckpoint=False) as app:
        app.execute("INSERT INTO t VALUES(1)")
        first, _ = open_database(shell.path)
        first.sync()
        before = first.position
        first.close()
        app.execute("INSERT INTO t VALUES(2)")
        second, told = open_database(shell.path)
        second.sync()
        assert before is not None
        assert second.position is not None
        assert second.position.generation == before.generation
        assert second.position.offset > before.offset
        assert told.reasons == []
        second.close()


def replicated_once(path: Path, replica: MemoryStorage) -> tuple[str, list[str]]:
    """Open, upload what there is, close; the generation, and the reasons why one began."""
    database, told = open_database(path)
    database.sync()
    Replica("memory", ReplicaClient(replica), database, Told(), restored_digest).sync()
    assert database.position is not None
    generation = database.position.generation
    database.close()
    return generation, told.reasons


def test_a_database_that_is_never_written_keeps_its_generation(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "app.db")
    shell.run("CREATE TABLE t(x); INSERT INTO t VALUES(1);")
    replica = MemoryStorage()
    first, _ = replicated_once(shell.path, replica)
    objects = replica.names()
    assert replicated_once(shell.path, replica) == (first, [])
    assert replicated_once(shell.path, replica) == (first, [])
    assert replica.names() == objects


@pytest.mark.parametrize("checkpointed", [True, False])
def test_a_database_written_while_we_were_down_begins_a_generation(tmp_path: Path, checkpointed: bool) -> None:
    shell = Shell(tmp_path / "app.db")
    shell.run("CREATE TABLE t(x); INSERT INTO t VALUES(1);")
    replica = MemoryStorage()
    first, _ = replicated_once(shell.path, replica)
    with shell.open() as app:
        app.execute("UPDATE t SET x=2")
        if checkpointed:
            app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        generation, reasons = replicated_once(shell.path, replica)
    assert generation != first
    assert reasons == ["no shadow wal"]


def test_the_time_of_a_file_proves_nothing_alone(tmp_path: Path) -> None:
    """Changed within a tick of the clock, or by a copy that keeps times: then the content tells."""
    shell = Shell(tmp_path / "app.db")
    shell.run("CREATE TABLE t(x); INSERT INTO t VALUES(1);")
    replica = MemoryStorage()
    first, _ = replicated_once(shell.path, replica)
    before = shell.path.stat()
    shell.run("UPDATE t SET x=2")
    assert shell.path.stat().st_size == before.st_size
    os.utime(shell.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    generation, reasons = replicated_once(shell.path, replica)
    assert generation != first
    assert reasons == ["no shadow wal"]
