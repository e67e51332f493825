"""status: how databases stand, asked from outside."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from replication.config import Config, DatabaseConfig, ReplicaConfig, default_meta_path
from replication.position import Position
from replication.storage.file.location import FileLocation
from replication.storage.s3.location import S3Location
from replication.survey import survey
from tests.cli.program import Replicating, refuses, run, succeeds
from tests.engine.running import client_of, restore_points
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import wait_until

SECRET = "a-secret-nobody-sees"


def write_config(folder: Path, extra: str = "") -> Path:
    path = folder / "litestream.yml"
    path.write_text(
        f"dbs:\n- path: {folder}/app.db\n  monitor-interval: 20ms\n"
        f"  replicas:\n  - path: {folder}/replica\n    sync-interval: 1ms\n{extra}"
    )
    return path


def values(config: Path, code: int = 0) -> list[dict[str, Any]]:
    result = run("status", "-config", config, "-json")
    assert result.code == code, result
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


def test_with_an_engine_and_without(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    [found] = values(config)
    assert (found["state"], found["engine_running"], found["position"]) == ("missing", False, None)
    with ForeignConnection(tmp_path / "app.db", autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE fruits(name)")
        [found] = values(config)
        assert (found["state"], found["replicas"][0]["position"]) == ("stopped", None)
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            wait_until("in step", lambda: values(config)[0]["replicas"][0]["state"] == "ok")
            [found] = values(config)
            assert (found["state"], found["pid"]) == ("ok", replicate.pid)
            assert found["generation_reason"] == "no generation exists"
            [replica] = found["replicas"]
            assert replica["position"] == found["position"]
            assert (replica["pending_bytes"], replica["lag_seconds"], replica["verified"]) == (0, 0.0, None)
            line = succeeds("status", "-config", config).out.splitlines()[1]
            assert line.split()[:5] == [f"{tmp_path}/app.db", "pid", str(replicate.pid), "file", "ok"]
            assert replicate.end() == 0
        [found] = values(config)
        position = Position.parse(found["position"])
        assert restore_points(client_of(tmp_path / "replica"), position.generation)[-1] == position
        assert (found["state"], found["uncopied"], found["replicas"][0]["state"]) == ("stopped", False, "ok")
        writer.execute("INSERT INTO fruits VALUES('pear')")
        [found] = values(config)
        assert (found["uncopied"], found["replicas"][0]["state"]) == (True, "behind")
        assert found["replicas"][0]["lag_seconds"] > 0
    [found] = values(config)
    assert found["uncopied"] is None, "SQLite removed the WAL: only an engine can tell"
    assert found["replicas"][0]["state"] == "unknown"


@pytest.mark.parametrize("lost", ["the snapshot", "the start of an index", "what is in a segment"])
def test_promise_9_what_a_listing_shows_to_be_lost_is_not_ok(tmp_path: Path, lost: str) -> None:
    """No engine runs, and the replica ends where it should."""
    config = write_config(tmp_path)
    with ForeignConnection(tmp_path / "app.db", autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE fruits(name)")
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            replicate.wait_for("snapshot written")
            for name in ("pear", "plum"):
                writer.execute(f"INSERT INTO fruits VALUES('{name}')")
                succeeds("sync", "-wait", "-config", config)
            assert replicate.end() == 0
        assert values(config)[0]["replicas"][0]["state"] == "ok"
        [snapshot] = tmp_path.glob("replica/generations/*/snapshots/*.lz4")
        segments = sorted(tmp_path.glob("replica/generations/*/wal/*.lz4"))
        if lost == "the snapshot":
            snapshot.unlink()
        elif lost == "the start of an index":
            segments[0].unlink()
        else:
            segments[1].write_bytes(b"")
        [replica] = values(config)[0]["replicas"]
        name = "no snapshot" if lost == "the snapshot" else segments[lost == "what is in a segment"].name
        assert replica["state"] == "error"
        assert "not restorable" in replica["error"]
        assert name in replica["error"]


def test_a_replica_that_cannot_be_asked(tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        f"  - name: far\n    url: s3://bucket/x\n    endpoint: http://127.0.0.1:9\n"
        f"    access-key-id: minioadmin\n    secret-access-key: {SECRET}\n",
    )
    Shell(tmp_path / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(x)")
    result = run("status", "-config", config)
    line = refuses(result, 6, "app.db", "far", "127.0.0.1:9")
    assert SECRET not in line + result.out
    assert [row.split()[2] for row in result.out.splitlines()[1:]] == ["file", "far"]
    assert values(config, 6)[0]["replicas"][1]["state"] == "error"


def test_one_database(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    assert len(succeeds("status", "-config", config, tmp_path / "app.db").out.splitlines()) == 2
    refuses(run("status", "-config", config, tmp_path / "other.db"), 2, "other.db", "not found")


def test_looking_leaves_everything_as_it_was(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    Shell(tmp_path / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(x)")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    succeeds("status", "-config", config)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def thousand(folder: Path, *, dead: bool) -> Config:
    """A thousand databases with local WAL and a file replica each, or all in one store that is down."""
    databases = []
    for number in range(1000):
        path = folder / f"{number}.db"
        meta = default_meta_path(path)
        generation = f"{number:016x}"
        (meta / "generations" / generation / "wal").mkdir(parents=True)
        (meta / "generation").write_text(generation + "\n")
        location = (
            S3Location("b", str(number), "http://127.0.0.1:9", access_key_id="k" * 8, secret_access_key="s" * 8)
            if dead
            else FileLocation(folder / f"replica-{number}")
        )
        databases.append(DatabaseConfig(path, meta, (ReplicaConfig("r", location),)))
    return Config(path=None, databases=tuple(databases))


def test_a_thousand_databases(tmp_path: Path) -> None:
    config = thousand(tmp_path, dead=False)
    began = time.process_time()
    answer = survey(config.databases)
    assert time.process_time() - began < 10.0
    assert len(answer.reports) == 1000
    assert answer.exit_code == 0
    assert {report.state for report in answer.reports} == {"missing"}


def test_a_thousand_databases_whose_store_is_down(tmp_path: Path) -> None:
    config = thousand(tmp_path, dead=True)
    began = time.monotonic()
    answer = survey(config.databases)
    assert time.monotonic() - began < 20.0
    assert answer.exit_code == 6
    assert 1 < len(answer.complaints) <= 17, "one a thread, and one line for the rest"
    assert all(report.replicas[0].error for report in answer.reports)


def test_a_store_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        far = S3Location("b", "x", endpoint, access_key_id="k" * 8, secret_access_key="s" * 8)
        replicas = (ReplicaConfig("near", FileLocation(tmp_path / "near")), ReplicaConfig("far", far))
        answer = survey([DatabaseConfig(tmp_path / "a.db", tmp_path / "meta", replicas)], silence_seconds=0.5)
    [report] = answer.reports
    assert [bool(item.error) for item in report.replicas] == [False, True]
    assert "0.5 seconds" in report.replicas[1].error
    assert answer.exit_code == 6
