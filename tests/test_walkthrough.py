"""A published first walk through Litestream, command for command with only the program's name changed.

Its author made a database, replicated it to MinIO, restored it, stopped MinIO, wrote, started it again, and
restored once more. What differs from what they saw is on purpose: a restore leaves no other files, no tables are
added, and what was written during the outage goes by itself once the store is back.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import peers
from tests.foreign import Shell
from tests.interchange.program import PROGRAM, Running, litestream_tui, wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "litestream-bucket"
OUTAGE_SECONDS = 8.0
"""After this long the wait between two tries has reached its longest."""
BACK_SECONDS_MAX = 3.0
"""What is pending is in the store this soon after the store answers again."""

TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
SCHEMA = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema"
FRUITS = [["apple", "red"], ["banana", "yellow"], ["grape", "purple"], ["mango", "orange"]]


@pytest.fixture(params=[peers.SeaweedServer, peers.JuiceServer], ids=["weed", "juicefs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[peers.S3Server]:
    """A server of the test's own, to stop and start as the walk-through does."""
    with peers.running(request.param(tmp_path / "server")) as server:
        server.make_bucket(BUCKET)
        yield server


def write_config(folder: Path, server: peers.S3Server) -> None:
    (folder / "litestream.yml").write_text(
        f"""\
dbs:
  - path: {folder}/fruits.db
    replicas:
      - type: s3
        bucket: litestream-bucket
        path: fruits.db
        endpoint: {server.endpoint}
        region: us-east-1
        access-key-id: {server.access_key}
        secret-access-key: {server.secret_key}
        force-path-style: true
"""
    )


def objects(client: "S3Client", bucket: str = BUCKET) -> list[str]:
    """The names in the bucket, as its web page shows them. A folder that MinIO is making is no object yet."""
    found = (item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", []))
    return sorted(name for name in found if not name.endswith("/"))


def test_walkthrough(store: peers.S3Server, tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    write_config(folder, store)
    client = store.client()
    sqlite3 = Shell(folder / "fruits.db")

    def replicate(log: str) -> Running:
        return Running(PROGRAM, "-config", "./litestream.yml", log=tmp_path / log, cwd=folder)

    def insert(name: str, color: str) -> None:
        sqlite3.run(f"INSERT INTO fruits (name, color) VALUES ('{name}', '{color}');")

    def restore(output: str) -> Shell:
        litestream_tui("restore", "-o", output, "-config", "./litestream.yml", folder / "fruits.db", cwd=folder)
        return Shell(folder / output)

    def ls(pattern: str) -> list[str]:
        return sorted(path.name for path in folder.glob(pattern))

    sqlite3.run("CREATE TABLE fruits (name TEXT, color TEXT);")
    insert("apple", "red")
    insert("banana", "yellow")
    assert sqlite3.rows("SELECT * FROM fruits") == FRUITS[:2]
    before = [sqlite3.rows(SCHEMA), sqlite3.rows("PRAGMA user_version")]

    with replicate("first.log") as first:
        # The database shows in the bucket. It had no WAL yet, so that its snapshot is all of it.
        wait_until("the database in the bucket", lambda: objects(client) != [], lambda: first.log)
        [snapshot] = objects(client)
        generation = snapshot.split("/")[2]
        assert snapshot == f"fruits.db/generations/{generation}/snapshots/00000000.snapshot.lz4"
        insert("grape", "purple")
        wait_until("the grape in the bucket", lambda: len(objects(client)) == 2, lambda: first.log)
        assert first.interrupt() == 0

    restored = restore("restore_fruits.db")
    assert ls("restore*") == ["restore_fruits.db"]
    assert restored.rows(TABLES) == [["fruits"]]
    assert restored.rows("SELECT * FROM fruits") == FRUITS[:3]

    with replicate("second.log") as second:
        second.wait_for_line("generation continues")
        second.wait_for_line("replica position")
        held = objects(client)
        store.stop()
        insert("mango", "orange")
        error = second.wait_for_line("level=ERROR")
        assert f"127.0.0.1:{store.port}" in error
        assert "next_try_in=" in error
        # This is the length of the outage; nothing is waited for.
        threading.Event().wait(OUTAGE_SECONDS)
        store.start()
        answers = time.monotonic()
        wait_until("the mango in the bucket", lambda: len(objects(client)) > len(held), lambda: second.log)
        assert time.monotonic() - answers < BACK_SECONDS_MAX
        again = second.wait_for_line("replica is reached again")
        # The waits between tries had grown.
        assert int(again.partition("after_tries=")[2].split()[0]) < 4 * OUTAGE_SECONDS / 2
        [new] = set(objects(client)) - set(held)
        # The same generation goes on, and no second snapshot was needed.
        assert new.startswith(f"fruits.db/generations/{generation}/wal/")
        assert second.interrupt() == 0
        assert store.secret_key not in second.log

    restored = restore("restore_fruits2.db")
    assert ls("restore_fruits2*") == ["restore_fruits2.db"]
    assert restored.rows(TABLES) == [["fruits"]]
    assert restored.rows("SELECT * FROM fruits") == FRUITS

    assert [sqlite3.rows(SCHEMA), sqlite3.rows("PRAGMA user_version")] == before
    assert sqlite3.rows("PRAGMA journal_mode") == [["wal"]]
    assert sqlite3.rows("SELECT * FROM fruits") == FRUITS
    client.close()


@pytest.mark.parametrize("server_name", ["weed", "juicefs"])
def test_the_command_that_failed_in_the_walkthrough(
    server_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Without a configuration: one database, the URL of its replica, and keys from the environment."""
    server: peers.S3Server = request.getfixturevalue(server_name)
    bucket = server.make_bucket()
    client = server.client()
    url = f"s3://{bucket}.localhost:{server.port}/fruits.db"
    sqlite3 = Shell(tmp_path / "fruits.db")
    sqlite3.run("CREATE TABLE fruits (name TEXT, color TEXT); INSERT INTO fruits VALUES ('apple', 'red');")
    environment = server.litestream_environment()
    with Running(PROGRAM, "fruits.db", url, log=tmp_path / "log", cwd=tmp_path, environment=environment) as replicating:
        replicating.wait_for_line("snapshot written")
        sqlite3.run("INSERT INTO fruits VALUES ('banana', 'yellow');")
        wait_until("WAL in the bucket", lambda: len(objects(client, bucket)) >= 2, lambda: replicating.log)
        assert replicating.interrupt() == 0
        assert server.secret_key not in replicating.log
    assert all(name.startswith("fruits.db/generations/") for name in objects(client, bucket))
    litestream_tui("restore", "-o", "restored.db", url, cwd=tmp_path, environment=environment)
    assert sorted(path.name for path in tmp_path.glob("restored*")) == ["restored.db"]
    assert Shell(tmp_path / "restored.db").rows("SELECT * FROM fruits") == FRUITS[:2]
    client.close()
