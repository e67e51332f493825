"""Verbs that ask an engine that runs, with the real program: what they do, say, and end with."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import peers
from replication.control import client as client_module
from replication.control.client import Client
from replication.control.commands import carry_out
from replication.control.requests import Register
from replication.errors import EngineError
from tests.cli.program import Replicating, refuses, run, succeeds
from tests.foreign import Shell
from tests.interchange.program import PROGRAM, wait_until
from tui.cli import main

ROOT = Path(__file__).parent.parent.parent


def write_config(folder: Path, more: str = "") -> Path:
    path = folder / "litestream.yml"
    path.write_text(
        f"{more}dbs:\n- path: {folder}/app.db\n  monitor-interval: 20ms\n"
        f"  replicas:\n  - path: {folder}/replica\n    sync-interval: 1ms\n"
    )
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    Shell(tmp_path / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    return write_config(tmp_path, f"socket:\n  path: {tmp_path}/s\n")


@pytest.fixture
def service(config: Path, tmp_path: Path) -> Iterator[Replicating]:
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("control socket")
        replicate.wait_for("snapshot written")
        yield replicate


def status(config: Path) -> str:
    return str(json.loads(succeeds("status", "-config", config, "-json").out)[0]["state"])


def test_each_verb_does_what_it_says(config: Path, service: Replicating, tmp_path: Path) -> None:
    name = f"{tmp_path}/app.db"
    Shell(tmp_path / "app.db").run("INSERT INTO t VALUES(1)")
    synced = json.loads(succeeds("sync", "-config", config, "-wait", "-json", name).out)
    assert (synced["replicas"], synced["lacking"]) == (["file"], [])
    assert "up to date" in succeeds("sync", "-config", config, "-wait").out
    words = json.loads(succeeds("snapshot", "-config", config, "-json").out)["replicas"]
    assert len(words) == 1
    assert words[0].startswith("file: ")
    assert "is paused" in succeeds("pause", "-config", config, name).out
    assert status(config) == "paused"
    # A sync that waits for what is paused would wait for ever.
    refuses(run("sync", "-config", config, "-wait"), 4, "is paused")
    assert json.loads(succeeds("resume", "-config", config, "-json").out) == {"database": name, "holders": []}
    wait_until("it goes on", lambda: status(config) == "ok")
    events = succeeds("events", "-config", config).out
    assert re.search(r"^\S+Z INFO    paused db=\S+app.db by=\"litestream-tui pause\"$", events, re.MULTILINE)
    numbers = [json.loads(line)["number"] for line in succeeds("events", "-config", config, "-json").out.splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "has ended" in succeeds("stop", "-config", config).out
    assert service.wait() == 0
    assert not (tmp_path / "s").exists()


def test_status_by_a_socket_needs_no_configuration(config: Path, service: Replicating, tmp_path: Path) -> None:
    socket, name = tmp_path / "s", f"{tmp_path}/app.db"
    assert [item["path"] for item in json.loads(succeeds("status", "-socket", socket, "-json").out)] == [name]
    assert f"{name}  pid {service.pid}" in succeeds("status", "-socket", socket, name).out
    refuses(run("status", "-socket", socket, "/other.db"), 2, "the engine does not have")


def test_an_engine_that_hangs_is_not_said_to_be_well(
    config: Path, service: Replicating, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_until("it is well", lambda: status(config) == "ok")
    service.send(signal.SIGSTOP)
    monkeypatch.setattr(client_module, "ANSWER_SECONDS_MAX", 0.2)
    assert main(["status", "-config", str(config), "-json"]) == EngineError.exit_code
    said = capsys.readouterr()
    assert "has not answered within 0 seconds; it may hang" in said.err
    [found] = json.loads(said.out)
    [replica] = found["replicas"]
    assert (replica["state"], replica["lag_seconds"], replica["pending_bytes"]) == ("unknown", None, None)
    assert "the engine does not answer" in found["error"]
    service.send(signal.SIGCONT)


def test_what_was_registered_is_in_the_status_and_checked(config: Path, service: Replicating, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_text("this is no database, and never becomes one")
    with closing(Client(tmp_path / "s")) as client:
        carry_out(client, Register(database=f"{tmp_path}/other.db", replica_url=f"file://{tmp_path}/r"))
        wait_until("it fails", lambda: client.status().databases[1].state == "error")
    found = json.loads(succeeds("status", "-config", config, "-json").out)
    assert [(Path(item["path"]).name, item["state"]) for item in found] == [("app.db", "ok"), ("other.db", "error")]
    wait_until("it is noted", lambda: run("status", "-config", config, "-check").code == 19)
    assert "other.db" in run("status", "-config", config, "-check").err
    # One that is named is all that is asked for.
    assert "other.db" not in succeeds("status", "-config", config, tmp_path / "app.db").out


def test_reload_says_what_became_of_it_and_an_error_changes_nothing(
    config: Path, service: Replicating, tmp_path: Path
) -> None:
    before, other = config.read_text(), tmp_path / "other.db"
    Shell(other).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    assert "nothing changed" in succeeds("reload", "-config", config).out
    config.write_text(f"{before}- path: {other}\n  replicas: [{{path: {tmp_path}/of-other}}]\nexec: x\n")
    done = succeeds("reload", "-config", config, "-json")
    assert json.loads(done.out)["added"] == [str(other)]
    assert "exec has changed, which takes effect at the next start" in done.err
    config.write_text(before.replace("monitor-interval: 20ms", "monitor-interval: 20"))
    refused = run("reload", "-config", config)
    assert (refused.code, "nothing is changed" in refused.err) == (3, True)
    # The engine's own words, where it was not asked by that file.
    refuses(run("reload", "-socket", tmp_path / "s"), 3, "monitor-interval")
    service.wait_for("the configuration has an error, and nothing is changed", "monitor-interval")
    assert status_of(tmp_path) == [f"{tmp_path}/app.db", str(other)]


def status_of(folder: Path) -> list[str]:
    """The databases of the engine that has its socket there."""
    with closing(Client(folder / "s")) as client:
        return [item.path for item in client.status().databases]


def test_a_pause_for_a_time_ends_by_itself(config: Path, service: Replicating) -> None:
    succeeds("pause", "-config", config, "-for", "0.2")
    service.wait_for("a pause was not renewed in time and has ended")
    service.wait_for("resumed")


def test_events_that_are_followed_come_as_they_happen(config: Path, service: Replicating) -> None:
    with subprocess.Popen(
        [PROGRAM, "events", "-config", config, "-follow", "-json"],
        env=peers.clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=peers.die_with_parent,
    ) as following:
        assert following.stdout is not None
        succeeds("pause", "-config", config)
        for line in following.stdout:
            if json.loads(line)["message"] == "paused":
                break
        following.terminate()
        assert following.wait(30) == 130


@pytest.mark.parametrize("verb", ["sync", "snapshot", "pause", "resume", "reload", "events", "stop"])
def test_without_an_engine_each_says_where_was_looked(config: Path, verb: str, tmp_path: Path) -> None:
    refuses(run(verb, "-config", config), 20, "no running engine", str(tmp_path / "s"), "litestream-tui replicate")
    refuses(run(verb, "-socket", tmp_path / "nothing"), 20, "nothing is there")


def test_what_is_refused_has_its_own_exit_code(config: Path, service: Replicating) -> None:
    refuses(run("pause", "-config", config, "/etc/passwd"), 2, "does not have", "app.db")
    refuses(run("snapshot", "-config", config, "-replica", "gone"), 2, "has no replica called")


def test_the_lock_of_a_database_says_where_its_engine_is(config: Path, service: Replicating, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    # The same databases under another configuration, as for a screen that was given another file.
    found = other / "l.yml"
    found.write_text(write_config(tmp_path).read_text())
    assert status(found) == "ok"
    [report] = json.loads(succeeds("status", "-config", found, "-json").out)
    assert report["pid"] == service.pid
    assert "up to date" in succeeds("sync", "-config", found, "-wait").out


def test_a_socket_that_is_switched_off_is_not_there_and_replication_is(tmp_path: Path) -> None:
    Shell(tmp_path / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    config = write_config(tmp_path, "socket:\n  enabled: false\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        assert "control socket" not in replicate.said
        refuses(run("sync", "-config", config), 20, "switched off")
        assert status(config) == "ok"
        assert replicate.end() == 0


def test_what_is_in_the_place_of_the_socket_is_left_alone_and_replication_goes_on(tmp_path: Path) -> None:
    Shell(tmp_path / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    (tmp_path / "s").write_text("mine")
    config = write_config(tmp_path, f"socket:\n  path: {tmp_path}/s\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        line = replicate.wait_for("there is no control socket")
        assert "left alone" in line
        replicate.wait_for("snapshot written")
        assert replicate.end() == 0
    assert (tmp_path / "s").read_text() == "mine"


def test_the_script_of_the_reference_does_what_it_says(config: Path, service: Replicating, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "control.md").read_text()
    match = re.search(r"```sh\n(#!/bin/sh\n.*?)```", page, re.DOTALL)
    assert match is not None
    script = tmp_path / "script.sh"
    script.write_text(match[1])
    assert len(match[1].splitlines()) <= 12
    output = tmp_path / "restored.db"
    done = subprocess.run(
        ["sh", script, tmp_path / "s", tmp_path / "app.db", output], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "done"
    assert Shell(output).rows("SELECT name FROM sqlite_master") == [["t"]]
