"""sync-interval is the least time between uploads, however fast the application commits meanwhile."""

from collections.abc import Iterable
from pathlib import Path

from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.replica.wal03.replica import Replica
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.foreign import ForeignConnection, Shell

COMMITS_MAX = 50


class BusyStorage(MemoryStorage):
    """While an object is stored, the application commits once more, and that is copied at once."""

    def __init__(self, application: ForeignConnection, database: Database) -> None:
        super().__init__()
        self._application = application
        self._database = database
        self.commits = 0

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        stored = super().put(name, chunks, create=create)
        if self.commits < COMMITS_MAX:
            self.commits += 1
            self._application.execute("INSERT INTO t DEFAULT VALUES")
            self._database.sync()
        return stored


def test_one_sync_does_not_chase_the_writer(tmp_path: Path) -> None:
    """What is committed while a segment is on its way goes with the next one, not with one of its own."""
    shell = Shell(tmp_path / "t.db")
    shell.run("PRAGMA journal_mode=WAL; CREATE TABLE t (id INTEGER PRIMARY KEY)")
    database = Database(shell.path, tmp_path / "meta", CheckpointPolicy(1000, 0, 0), lambda *_, **__: None)
    with shell.open() as application:
        application.execute("INSERT INTO t DEFAULT VALUES")
        database.sync()
        storage = BusyStorage(application, database)
        replica = Replica("r", ReplicaClient(storage), database, lambda *_, **__: None, restored_digest)
        replica.sync()
        for _ in range(3):
            before, here = storage.commits, database.position
            replica.sync()
            assert storage.commits == before + 1, "more than one segment was written"
            assert replica.position == here
        database.close()
    # The first object is the snapshot.
    assert sum("/wal/" in item.name for item in storage.list("")) == storage.commits - 1
