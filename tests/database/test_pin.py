"""The moments in which the pin changes or was just taken: whatever others do then, no commit is lost."""

import os
from pathlib import Path
from typing import Any

import apsw
import pytest

from replication.database import wal_copier as copier_module
from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.database.wal_scanner import copy_frames
from replication.replica.wal03.replica import Replica
from replication.sqlite import pin as pin_module
from replication.sqlite.connection import begin_reading
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.foreign import ForeignConnection, Shell
from tests.replica.bench import Bench

READERS_OF_ONE_CHECKPOINT = 3
"""The helper's while the pin is moved, the pin's, and the pin's under the barrier."""


@pytest.mark.parametrize("mode", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
@pytest.mark.parametrize("moment", range(1, READERS_OF_ONE_CHECKPOINT + 1))
def test_others_write_checkpoint_and_restart_whenever_a_reader_begins(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str, moment: int
) -> None:
    """Just before each reader of a checkpoint of ours begins: a commit, a checkpoint of somebody's, and a commit more,
    which restarts the WAL if that is possible."""
    replica = bench.replica()
    bench.commit()
    replica.sync()
    begun = 0

    def others_first(connection: apsw.Connection) -> None:
        nonlocal begun
        begun += 1
        # Under the barrier nobody can write; what is there can be copied back.
        if begun == moment:
            if moment < READERS_OF_ONE_CHECKPOINT:
                bench.write("INSERT INTO t(b) VALUES(randomblob(100))")
            with Shell(bench.path).open(timeout=0) as other:
                try_checkpoint(other, mode)
            if moment < READERS_OF_ONE_CHECKPOINT:
                bench.write("INSERT INTO t(b) VALUES(randomblob(100))")
        begin_reading(connection)

    monkeypatch.setattr(pin_module, "begin_reading", others_first)
    bench.database.checkpoint()
    assert begun == READERS_OF_ONE_CHECKPOINT
    monkeypatch.undo()
    bench.commit()
    bench.settle()
    bench.check()
    assert len(bench.reasons()) == 1, "a new generation hides what was lost"


def try_checkpoint(connection: ForeignConnection, mode: str) -> None:
    """A checkpoint of somebody else's; that it is busy is an answer."""
    connection.execute(f"PRAGMA wal_checkpoint({mode})")


def test_a_restart_in_the_middle_of_the_first_copy_begins_a_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part of what is new was read when the WAL is restarted: the rest is in the database file, and nowhere else."""
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA page_size=1024; PRAGMA journal_mode=wal; CREATE TABLE t(x);")
    storage = MemoryStorage()
    with shell.open(autocheckpoint=False) as app:
        app.execute("INSERT INTO t VALUES(1)")
        first = open_database(shell.path)
        first.sync()
        assert first.position is not None
        before = first.position
        Replica("memory", ReplicaClient(storage), first, lambda *words, **values: None, restored_digest).sync()
        first.close()
        app.execute("INSERT INTO t VALUES('copied')")
        app.execute("INSERT INTO t VALUES('never copied')")
        app.execute("PRAGMA wal_checkpoint(PASSIVE)")

        def copy_a_part(wal: int, cursor: Any, end: int, sums: Any, sink: Any) -> Any:
            monkeypatch.undo()
            # One frame further; then the WAL is another life.
            sink(cursor.offset, memoryview(os.pread(wal, cursor.header.frame_size, cursor.offset)))
            app.execute("INSERT INTO t VALUES('restarts the WAL')")
            return copy_frames(wal, cursor, end, sums, sink)

        monkeypatch.setattr(copier_module, "copy_frames", copy_a_part)
        second = open_database(shell.path)
        second.sync()
        assert second.position is not None
        assert second.position.generation != before.generation
        second.close()


def open_database(path: Path) -> Database:
    """A database whose checkpoints are not due; not synced yet."""
    policy = CheckpointPolicy(1000, 10000, 60)
    return Database(path, path.with_name("meta"), policy, lambda *words, **values: None)
