"""Promise 8 with the real program: a volume is cloned with database, local folder and configuration.

Production runs, and the copy is started on another host, at the same place. Real SQLite, two processes, real stores.
"""

import ctypes
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from replication.config import default_meta_path
from replication.storage.file.location import FileLocation
from replication.storage.open import open_storage
from replication.storage.s3.location import S3Location
from replication.storage.wal03.replica_client import ReplicaClient
from tests.cli.program import Replicating, refuses, run, succeeds
from tests.engine.running import restore_points, restored, sha256, until
from tests.foreign import ForeignConnection, Shell
from tests.replica.bench import copy_volume

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUTS = 0x04000000


def another_host() -> None:
    """For `before`: a host name of its own, where this user may have one."""
    if _LIBC.unshare(_CLONE_NEWUTS) == 0:
        socket.sethostname("staging")


@pytest.fixture(params=["file", "weed", "juicefs"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> FileLocation | S3Location:
    """A folder, a server that heeds If-None-Match, and one that ignores it."""
    if request.param == "file":
        return FileLocation(tmp_path / "replica")
    made: S3Location = request.getfixturevalue(request.param).location()
    return made


def configure(folder: Path, location: FileLocation | S3Location) -> Path:
    """The configuration of one host: both have the same, but for the path of the database."""
    if isinstance(location, FileLocation):
        place = f"type: file\n    path: {location.path}"
    else:
        place = (
            f"type: s3\n    bucket: {location.bucket}\n    path: {location.path}\n    endpoint: {location.endpoint}\n"
            f"    access-key-id: {location.access_key_id}\n    secret-access-key: {location.secret_access_key}"
        )
    config = folder / "litestream.yml"
    config.write_text(
        f"dbs:\n- path: {folder / 'app.db'}\n  monitor-interval: 20ms\n  min-checkpoint-page-count: 10\n"
        f"  replicas:\n  - sync-interval: 10ms\n    name: shared\n    {place}\n"
    )
    return config


@pytest.fixture
def client(location: FileLocation | S3Location) -> Iterator[ReplicaClient]:
    storage = open_storage(location)
    yield ReplicaClient(storage)
    storage.close()


def insert(app: ForeignConnection, client: ReplicaClient, output: Path, generation: list[str], count: int = 3) -> str:
    """Commit, and wait until the last commit is restored from a generation; its hash. The newest is meant if none is
    named.
    """
    for _ in range(count):
        app.execute("INSERT INTO t(b) VALUES(randomblob(900))")
    sha = app.sha256()

    def there() -> bool:
        names = generation or client.generations()
        return any(
            client.snapshots(name) and restored(client, output, restore_points(client, name)[-1]) == sha
            for name in names
        )

    until(there)
    return sha


def test_promise_8_a_cloned_volume_parts_from_production(
    location: FileLocation | S3Location, client: ReplicaClient, tmp_path: Path
) -> None:
    home, copy, output = tmp_path / "home", tmp_path / "copy", tmp_path / "out.db"
    home.mkdir()
    copy.mkdir()
    configs = [configure(home, location), configure(copy, location)]
    with Shell(home / "app.db").open() as app:
        app.execute("PRAGMA journal_mode=wal")
        app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        with Replicating(tmp_path / "log-home", "-config", configs[0]) as production:
            insert(app, client, output, [])
            [shared] = client.generations()
            copy_volume(home / "app.db", default_meta_path(home / "app.db"), copy / "app.db", _meta(copy))
            with (
                Replicating(tmp_path / "log-copy", "-config", configs[1], before=another_host) as clone,
                Shell(copy / "app.db").open() as other,
            ):
                clone.wait_for("generation continues")
                clone.wait_for("replica position")
                mine = insert(app, client, output, [shared])
                for _ in range(4):
                    other.execute("INSERT INTO t(b) VALUES(randomblob(900))")
                line = clone.wait_for("another program writes the same history")
                assert f"pid {production.pid}, running since" in line
                assert f"host {socket.gethostname().replace(' ', '-')}" in line
                [own] = [name for name in _until_two(client) if name != shared]
                theirs = insert(other, client, output, [own])
                mine = insert(app, client, output, [shared], 30)
                theirs = insert(other, client, output, [own], 30)
                shown = json.loads(succeeds("status", "-config", configs[1], "-json").out)[0]["replicas"][0]
                assert shown["state"] == "shared"
                assert f"pid {production.pid}" in shown["warning"]
                assert "another program" in succeeds("status", "-config", configs[1]).out
                assert clone.end() == 0
            assert production.end() == 0
            assert production.said.count("generation begins") == 1
    for generation, sha in ((shared, mine), (own, theirs)):
        output.unlink(missing_ok=True)
        succeeds("restore", "-o", output, "-generation", generation, "-config", configs[0], home / "app.db")
        assert sha256(output) == sha
    output.unlink()
    result = run("restore", "-o", output, "-config", configs[0], home / "app.db")
    refuses(result, 10, "Two programs went on with generation", shared, own, "-generation")
    listed = succeeds("generations", "-config", configs[0], home / "app.db").out
    assert "litestream-tui on host" in listed


def _meta(folder: Path) -> Path:
    return default_meta_path(folder / "app.db")


def _until_two(client: ReplicaClient) -> list[str]:
    until(lambda: len(client.generations()) == 2)
    return client.generations()
