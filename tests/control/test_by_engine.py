"""`restore` and `verify` where the store cannot be reached from here: the engine that runs does it, and it is said."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import peers
from replication.control.client import Client
from tests.cli.program import Replicating, Result, as_an_ordinary_user, refuses, run, succeeds
from tests.foreign import Shell
from tests.interchange.program import PROGRAM, wait_until
from tests.tui.terminal import Terminal

NOBODY = 65534


@pytest.fixture
def config(tmp_path: Path) -> Path:
    Shell(tmp_path / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    path = tmp_path / "litestream.yml"
    path.write_text(
        f"socket: {{path: {tmp_path}/s}}\ndbs:\n- path: {tmp_path}/app.db\n  monitor-interval: 20ms\n"
        f"  replicas:\n  - path: {tmp_path}/replica\n    sync-interval: 1ms\n"
    )
    return path


@pytest.fixture
def service(config: Path, tmp_path: Path) -> Iterator[Replicating]:
    """An engine that reaches its store; nobody else does."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to have a folder that it may read and others may not")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("control socket")
        replicate.wait_for("snapshot written")
        os.chown(tmp_path / "replica", NOBODY, NOBODY)
        (tmp_path / "replica").chmod(0o700)
        yield replicate


def from_here(*arguments: str | Path) -> Result:
    """A command of somebody who may not read the replica."""
    return run(*arguments, before=as_an_ordinary_user)


def rows(path: Path) -> list[list[str]]:
    return [list(row) for row in Shell(path).rows("SELECT a FROM t ORDER BY rowid")]


def test_a_restore_is_done_by_the_engine_and_says_so(config: Path, service: Replicating, tmp_path: Path) -> None:
    output = tmp_path / "out.db"
    done = from_here("restore", "-config", config, "-o", output, "-json", tmp_path / "app.db")
    assert done.code == 0, done
    assert re.search(
        rf"warning: .*replica.* That is from here; the engine that runs, pid {service.pid}, does it", done.err
    )
    assert (json.loads(done.out)["engine"], rows(output)) == (service.pid, [["first"]])
    # What is there stays, and a moment is the one that is named.
    assert from_here("restore", "-config", config, "-o", output, tmp_path / "app.db").code == 9
    refused = from_here("restore", "-config", config, "-o", f"{output}-2", "-index", "77", tmp_path / "app.db")
    assert (refused.code, len(refused.complaints)) == (10, 1)
    planned = from_here("restore", "-config", config, "-dry-run", "-json", tmp_path / "app.db")
    assert json.loads(planned.out) == json.loads(
        succeeds("restore", "-config", config, "-dry-run", "-json", tmp_path / "app.db").out
    )
    here = succeeds("restore", "-config", config, "-o", f"{output}-3", "-json", tmp_path / "app.db")
    assert json.loads(here.out)["engine"] is None


def test_a_verification_is_done_by_the_engine_and_has_its_exit_code(
    config: Path, service: Replicating, tmp_path: Path
) -> None:
    done = from_here("verify", "-config", config)
    assert (done.code, f"by the engine, pid {service.pid}" in done.out) == (0, True), done
    [snapshot] = (tmp_path / "replica").rglob("*.snapshot.lz4")
    snapshot.write_bytes(b"damaged")
    failed = from_here("verify", "-config", config, "-json", tmp_path / "app.db")
    [row] = json.loads(failed.out)
    assert (failed.code, row["outcome"], row["exit_code"], row["engine"]) == (12, "failed", 12, service.pid)
    refuses(from_here("verify", "-config", config, "-replica", "gone"), 2, "no replica called")


def test_only_keys_and_network_are_the_engines_to_lend(config: Path, service: Replicating, tmp_path: Path) -> None:
    # What a store says of an object is the same for everybody.
    missing = run("restore", "-config", config, "-o", tmp_path / "out.db", "-index", "77", tmp_path / "app.db")
    assert (missing.code, "the engine that runs" in missing.err) == (10, False)
    assert service.end() == 0
    refused = from_here("restore", "-config", config, "-o", tmp_path / "out.db", tmp_path / "app.db")
    assert (refused.code, "the engine that runs" in refused.err) == (6, False)


def test_by_its_socket_the_engine_does_it_at_once(config: Path, service: Replicating, tmp_path: Path) -> None:
    by = ("-socket", str(tmp_path / "s"))
    # Without a configuration that could be read.
    done = from_here("restore", *by, "-o", tmp_path / "out.db", tmp_path / "app.db")
    assert (done.code, rows(tmp_path / "out.db")) == (0, [["first"]]), done
    assert from_here("verify", *by).code == 0
    refuses(from_here("restore", *by, "-o", tmp_path / "x", "s3://bucket/x"), 2, "by their paths")
    refuses(from_here("restore", *by, "-o", tmp_path / "x", "/nowhere/x.db"), 2, "does not have")
    refuses(from_here("verify", "-socket", tmp_path / "nothing"), 20, "nothing is there")


def test_rows_are_brought_back_by_the_engine(config: Path, service: Replicating, tmp_path: Path) -> None:
    database = tmp_path / "app.db"
    where = ("-config", config, "-table", "t", database)
    Shell(database).run("INSERT INTO t VALUES('second')")
    succeeds("sync", "-config", config, "-wait")
    position = json.loads(succeeds("log", "-config", config, "-json", "-limit", "1", database).out)["position"]
    Shell(database).run("DELETE FROM t")
    succeeds("sync", "-config", config, "-wait")
    done = from_here("bring-back", *where, position)
    assert (done.code, "t: 2 to be inserted" in done.out, rows(database)) == (0, True, []), done
    assert "That is from here; the engine that runs" in done.err
    done = from_here("bring-back", "-apply", *where, position, "now")
    assert (done.code, "t: 2 inserted" in done.out, rows(database)) == (0, True, [["first"], ["second"]]), done
    refuses(from_here("bring-back", "-o", tmp_path / "x.sql", *where, position), 6)


def test_an_engine_that_sees_other_files_is_told_apart(config: Path, service: Replicating, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    # As PrivateTmp makes it: what is there is another folder for this command.
    words = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none {hidden} && exec "$@"', "sh", str(PROGRAM)]
    done = subprocess.run(
        [*words, "restore", "-socket", tmp_path / "s", "-o", hidden / "out.db", tmp_path / "app.db"],
        capture_output=True,
        text=True,
        env=peers.clean_environment(),
        timeout=60,
    )
    if "unshare failed" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("no namespaces can be made here")
    assert (done.returncode, "there is no such file here" in done.stderr) == (14, True), done.stderr
    assert rows(hidden / "out.db") == [["first"]]


def test_ctrl_c_cancels_the_job_and_progress_is_shown(config: Path, service: Replicating, tmp_path: Path) -> None:
    # Bytes that do not compress, and a file system that nothing is read from for as long as it is to last.
    Shell(tmp_path / "app.db").run(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60) "
        "INSERT INTO t SELECT randomblob(1000000) FROM c"
    )
    succeeds("sync", "-config", config, "-wait")
    output = tmp_path / "out.db"
    words = ("restore", "-socket", tmp_path / "s", "-o", output, "-integrity-check", "full", tmp_path / "app.db")
    with Terminal(*words, home=tmp_path) as terminal:
        terminal.wait_for("objects")
        terminal.press("\x03")
        assert terminal.wait() == 16
    with closing(Client(tmp_path / "s")) as client:
        wait_until("it is over", lambda: client.jobs()[-1].over)
        assert client.jobs()[-1].state == "cancelled"
    assert [item.name for item in tmp_path.iterdir() if "out.db" in item.name] == []


@pytest.mark.server
def test_who_has_no_keys_restores_by_the_service_that_has(weed: peers.S3Server, tmp_path: Path) -> None:
    Shell(tmp_path / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    config, place = tmp_path / "litestream.yml", weed.location()
    config.write_text(
        f"socket: {{path: {tmp_path}/s}}\naccess-key-id: ${{SJ_KEY}}\nsecret-access-key: ${{SJ_SECRET}}\n"
        f"dbs:\n- path: {tmp_path}/app.db\n  replicas:\n"
        f"  - {{type: s3, bucket: {place.bucket}, path: {place.path}, endpoint: '{weed.endpoint}'}}\n"
    )
    keys = {"SJ_KEY": weed.access_key, "SJ_SECRET": weed.secret_key}
    with Replicating(tmp_path / "log", "-config", config, environment=peers.clean_environment() | keys) as service:
        service.wait_for("snapshot written")
        done = run("restore", "-config", config, "-o", tmp_path / "out.db", tmp_path / "app.db")
        assert (done.code, rows(tmp_path / "out.db")) == (0, [["first"]]), done
        assert "no credentials were found" in done.err
        assert f"by the engine, pid {service.pid}" in done.out
        assert f"by the engine, pid {service.pid}" in run("verify", "-config", config).out
        assert weed.secret_key not in done.out + done.err
