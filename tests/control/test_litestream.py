"""Litestream 0.5's own verbs, which know nothing of us, on our socket; and its answers to mistakes."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import peers
from replication.control.routes import Asked, answer
from tests.control.serving import VERSION, Served, served
from tests.foreign import Shell


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        yield found


def post(at: Served, target: str, **values: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of an answer."""
    answered = answer(at.local, Asked("POST", target, json.dumps(values).encode()))
    return answered.status, json.loads(answered.body)


@pytest.mark.server
def test_its_own_verbs_work_with_our_engine(at: Served, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    Shell(other).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    binary = peers.litestream05()

    def run(verb: str, *arguments: str) -> dict[str, Any]:
        words = [str(binary), verb, "-socket", str(at.server.path), "-json", *arguments]
        done = subprocess.run(words, capture_output=True, text=True, env=peers.clean_environment(), timeout=60)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    assert (run("info")["version"], run("info")["database_count"]) == (VERSION, 1)
    Shell(at.path).run("INSERT INTO t VALUES(2)")
    assert run("sync", "-wait", at.name)["replica_txid"] > 0
    assert run("stop", at.name)["status"] == "stopped"
    assert [item["status"] for item in run("list")["databases"]] == ["stopped"]
    assert run("start", at.name)["status"] == "started"
    replica = f"file://{tmp_path}/of-other"
    assert run("register", "-replica", replica, str(other))["status"] == "registered"
    assert run("register", "-replica", replica, str(other))["status"] == "already_registered"
    assert [item["path"] for item in run("list")["databases"]] == [at.name, str(other)]
    assert run("unregister", str(other))["status"] == "unregistered"
    assert run("unregister", str(other))["status"] == "already_unregistered"


def test_what_it_answers_to_mistakes(at: Served) -> None:
    for path, values, status, words in (
        ("/sync", {}, 400, "path required"),
        ("/sync", {"path": "/nowhere"}, 404, "database not found"),
        ("/start", {"path": "/nowhere"}, 500, "database not found"),
        ("/stop", {"path": "/nowhere"}, 500, "database not found"),
        ("/register", {"replica_url": "file:///x"}, 400, "path required"),
        ("/register", {"path": "/a.db"}, 400, "replica_url required"),
        ("/register", {"path": "/a.db", "replica_url": "x"}, 400, "invalid replica url: "),
        ("/register", {"path": at.name, "replica_url": "file:///x"}, 400, "is replicated already"),
        ("/unregister", {"path": at.name, "timeout": -1}, 400, "timeout must be"),
    ):
        found, body = post(at, path, **values)
        assert (found, words in body["error"]) == (status, True), body
    assert post(at, "/start", path=at.name)[1]["status"] == "already_running"
    assert post(at, "/unregister", path="/nowhere") == (
        200,
        {"status": "already_unregistered", "path": "/nowhere", "txid": 0},
    )


def test_what_changes_the_databases_is_for_the_owner_who_may_write(at: Served) -> None:
    for path, values in (
        ("/register", {"path": "/a.db", "replica_url": "file:///x"}),
        ("/unregister", {"path": at.name}),
        ("/v1/jobs", {"do": "register", "database": "/a.db", "replica_url": "file:///x"}),
        ("/v1/jobs", {"do": "unregister", "database": at.name}),
        ("/v1/jobs", {"do": "reload"}),
    ):
        body = json.dumps(values).encode()
        for asked in (Asked("POST", path, body, owner=False), Asked("POST", path, body, read_only=True)):
            assert answer(at.local, asked).status == 403, asked
    assert [item.path for item in at.control.status().databases] == [at.name]
    assert at.control.jobs() == ()
