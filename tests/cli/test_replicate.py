"""replicate: how it ends, and that it has uploaded everything when it does; one engine per database; the log."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import peers
from replication.engine import CLOSE_SECONDS_MAX
from tests.cli.program import Replicating, contents, refuses, run, succeeds
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import PROGRAM, wait_until
from tui.verbs.signals import SAME_WISH_SECONDS

SLACK_SECONDS = 5.0
"""What a crowded machine may add."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    return path


@pytest.fixture
def config(database: Path, tmp_path: Path) -> Path:
    """Uploads only once an hour, so that what is there at the end was uploaded by the end."""
    path = tmp_path / "litestream.yml"
    path.write_text(f"dbs: [{{path: {database}, replicas: [{{path: {tmp_path}/replica, sync-interval: 1h}}]}}]")
    return path


def restored(tmp_path: Path) -> list[list[Any]]:
    output = tmp_path / "restored" / "app.db"
    succeeds("restore", "-o", output, f"file://{tmp_path}/replica")
    return Shell(output).rows("SELECT a FROM t ORDER BY rowid")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_everything_uploaded(
    config: Path, database: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with Replicating(tmp_path / "log", "-config", config) as replicate, ForeignConnection(database) as application:
        replicate.wait_for("snapshot written")
        application.execute("INSERT INTO t VALUES('second')")
        application.execute("INSERT INTO t VALUES('third')")
        assert replicate.end(number) == 0
    assert restored(tmp_path) == [["first"], ["second"], ["third"]]
    assert replicate.err == ""
    lines = re.findall(r'msg=("[^"]*"|\S+)', replicate.out)
    assert lines[:3] == ["litestream-tui", '"initialized db"', '"replicating to"']
    assert '"signal received, litestream-tui shutting down"' in lines
    assert lines[-1] == '"litestream-tui shut down"'


def test_the_end_comes_while_the_store_is_down(database: Path, tmp_path: Path) -> None:
    [port] = peers.free_ports(1)
    keys = peers.clean_environment(AWS_ACCESS_KEY_ID="x" * 20, AWS_SECRET_ACCESS_KEY="y" * 40)
    url = f"s3://bucket/app?endpoint=127.0.0.1:{port}"
    with Replicating(tmp_path / "log", database, url, environment=keys) as replicate:
        replicate.wait_for("level=ERROR", "connection refused")
        began = time.monotonic()
        assert replicate.end() == 0
        assert time.monotonic() - began < CLOSE_SECONDS_MAX + SLACK_SECONDS
        replicate.wait_for("level=WARN", "not all is uploaded", f"db={database}", "replica=s3")


def test_a_second_signal_ends_it_at_once(database: Path, tmp_path: Path) -> None:
    """While it waits for a store that accepts connections and never answers."""
    silent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket,sys; s=socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
            "kept=[]\nwhile True: kept.append(s.accept())",
        ],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=peers.die_with_parent,
    )
    try:
        assert silent.stdout is not None
        port = silent.stdout.readline().strip()
        keys = peers.clean_environment(AWS_ACCESS_KEY_ID="x" * 20, AWS_SECRET_ACCESS_KEY="y" * 40)
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            url = f"s3://bucket/app?endpoint=127.0.0.1:{port}"
            with Replicating(tmp_path / "log", database, url, environment=keys) as replicate:
                replicate.wait_for("generation")
                replicate.send(number)
                replicate.wait_for("signal received")
                # What comes sooner is the same wish, from whoever signals a process and then its group.
                time.sleep(2 * SAME_WISH_SECONDS)
                began = time.monotonic()
                assert replicate.end(number) == code
                assert time.monotonic() - began < SLACK_SECONDS
            assert refuses(replicate.result, code, "second signal") == "second signal: ending at once"
    finally:
        silent.kill()
        silent.wait()
        assert silent.stdout is not None
        silent.stdout.close()


def test_a_terminal_that_closes_does_not_end_it_under_nohup(config: Path, database: Path, tmp_path: Path) -> None:
    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with Replicating(tmp_path / "log", "-config", config, before=nohup) as replicate:
        replicate.wait_for("snapshot written")
        replicate.send(signal.SIGHUP)
        replicate.send(signal.SIGCONT)
        Shell(database).run("INSERT INTO t VALUES('after')")
        assert replicate.end(signal.SIGTERM) == 0
        assert replicate.said.count("signal received") == 1
    assert restored(tmp_path)[-1] == ["after"]


# -- one engine per database --------------------------------------------------------------------------------------


def test_a_second_engine_is_refused_and_the_first_goes_on(config: Path, database: Path, tmp_path: Path) -> None:
    with Replicating(tmp_path / "log", "-config", config) as first:
        first.wait_for("snapshot written")
        replica = contents(tmp_path / "replica")
        for result in (run("replicate", "-config", config), run("replicate", database, f"file://{tmp_path}/other")):
            refuses(result, 5, f"{database} is replicated already by litestream-tui, pid {first.pid};", "stop that one")
        assert contents(tmp_path / "replica") == replica
        assert not (tmp_path / "other").exists()
        Shell(database).run("INSERT INTO t VALUES('still there')")
        assert first.end() == 0
    assert restored(tmp_path)[-1] == ["still there"]


def test_an_engine_that_was_killed_is_no_hindrance(database: Path, tmp_path: Path) -> None:
    with Replicating(tmp_path / "log", database, f"file://{tmp_path}/replica") as first:
        first.wait_for("snapshot written")
        Shell(database).run("INSERT INTO t VALUES('before')")
        wait_until("a segment", lambda: list(tmp_path.glob("replica/**/*.wal.lz4")) != [])
        first.send(signal.SIGKILL)
        first.wait()
    with Replicating(tmp_path / "log", database, f"file://{tmp_path}/replica") as second:
        second.wait_for("generation continues")
        assert second.end() == 0
    assert restored(tmp_path)[-1] == ["before"]


def test_one_bad_database_does_not_stop_the_others(database: Path, tmp_path: Path) -> None:
    bad = tmp_path / "notes.db"
    bad.write_text("not a database " * 100)
    path = tmp_path / "litestream.yml"
    path.write_text(
        f"dbs:\n- {{path: {bad}, replicas: [{{path: {tmp_path}/bad}}]}}\n"
        f"- {{path: {database}, replicas: [{{path: {tmp_path}/replica}}]}}\n"
    )
    with Replicating(tmp_path / "log", "-config", path) as replicate:
        replicate.wait_for("level=ERROR", f"db={bad}", "is not a SQLite database")
        replicate.wait_for("snapshot written", f"db={database}")
        assert replicate.end() == 0
    assert restored(tmp_path) == [["first"]]


# -- the log ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stderr", [False, True])
@pytest.mark.parametrize("kind", ["text", "json"])
def test_the_log_goes_where_and_as_the_configuration_says(
    config: Path, tmp_path: Path, kind: str, stderr: bool
) -> None:
    config.write_text(f"{config.read_text()}\nlogging: {{type: {kind}, stderr: {str(stderr).lower()}, level: debug}}\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        assert replicate.end() == 0
    used, other = (replicate.err, replicate.out) if stderr else (replicate.out, replicate.err)
    assert other == ""
    for line in used.splitlines():
        if kind == "json":
            assert {"time", "level", "msg"} <= json.loads(line).keys()
        else:
            assert re.match(r"time=\S+Z level=(DEBUG|INFO|WARN|ERROR) msg=", line)


def test_only_errors_are_logged_if_so_wished(config: Path, database: Path, tmp_path: Path) -> None:
    config.write_text(f"{config.read_text()}\nlogging: {{level: error}}\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        wait_until("a snapshot", lambda: list(tmp_path.glob("replica/**/*.snapshot.lz4")) != [])
        assert replicate.end() == 0
    assert replicate.said == ""


def test_without_a_configuration_the_log_goes_to_stderr(database: Path, tmp_path: Path) -> None:
    with Replicating(tmp_path / "log", database, f"file://{tmp_path}/replica") as replicate:
        replicate.wait_for("snapshot written")
        assert replicate.end() == 0
    assert replicate.out == ""
    assert "msg=litestream-tui version=v" in replicate.err


def test_a_reader_of_the_log_that_goes_away_does_not_stop_it(config: Path, database: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "replicate", "-config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=peers.clean_environment(),
        preexec_fn=peers.die_with_parent,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        wait_until("a snapshot", lambda: list(tmp_path.glob("replica/**/*.snapshot.lz4")) != [])
        Shell(database).run("INSERT INTO t VALUES('unheard')")
        process.terminate()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
    assert restored(tmp_path)[-1] == ["unheard"]
