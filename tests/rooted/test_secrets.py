"""No error, log or status shows a key, wherever a person put it (promise 7)."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

import peers
from replication.config import load_config
from replication.errors import ConfigError
from replication.scrub import quoted, scrub
from tests.cli.program import run, succeeds
from tests.foreign import Shell

KEY = "AKIAQ7CANARY5EXAMPLE"
SECRET = "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"
PLAIN = "hunter2hunter2"
URLS = [
    f"s3://{KEY}:{SECRET}@bucket/path",
    f"file://{KEY}:{SECRET}@host/path",
    f"s3://user:{PLAIN}@bucket/path",
    f"sftp://user:{PLAIN}@host/path",
    f"s3://bucket/path?access-key-id={KEY}&secret-access-key={SECRET}",
    f"{KEY}:{SECRET}@bucket/path",
]
COMMANDS = [
    ["replicate", "{db}", "{url}"],
    ["replicate", "-config", "{url}"],
    ["databases", "-config", "{url}"],
    ["status", "-config", "{url}"],
    ["generations", "{url}"],
    ["generations", "-replica", "{url}", "{db}"],
    ["generations", "-config", "{url}", "{db}"],
    ["snapshots", "{url}"],
    ["wal", "-generation", "{url}", "file:///tmp/nothing"],
    ["restore", "-o", "/nowhere/x", "-generation", "{url}", "file:///tmp/nothing"],
    ["restore", "-o", "/nowhere/x", "-index", "{url}", "file:///tmp/nothing"],
    ["restore", "-bogus={url}", "file:///tmp/nothing"],
    ["replicate", "--secret-access-key={url}", "{db}"],
    ["restore", "-o", "/nowhere/x", "-timestamp", "{url}", "file:///tmp/nothing"],
    ["restore", "-o", "/nowhere/x", "-position", "{url}", "file:///tmp/nothing"],
    ["restore", "-o", "/nowhere/x", "-parallelism", "{url}", "file:///tmp/nothing"],
    ["restore", "-o", "/nowhere/x", "-integrity-check", "{url}", "file:///tmp/nothing"],
    ["restore", "-o", "{url}", "file:///tmp/nothing"],
    ["verify", "{url}"],
    ["verify", "-{url}"],
    ["{url}"],
]


def hides(text: str) -> None:
    for secret in (SECRET, PLAIN, SECRET.replace("/", "%2F"), "FEMI/K7MDENG", "hunter2"):
        assert secret not in text, text


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command))
def test_a_url_with_keys_where_it_does_not_belong(tmp_path: Path, command: list[str]) -> None:
    db = tmp_path / "app.db"
    Shell(db).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    for url in URLS:
        result = run(*(word.format(db=db, url=url) for word in command), cwd=tmp_path, timeout=30)
        assert result.code != 0, result
        hides(result.out + result.err)


@pytest.mark.parametrize("secret", [SECRET, PLAIN, KEY, f"s3://{KEY}:{SECRET}@bucket/path"])
@pytest.mark.parametrize(
    "text",
    [
        "{secret}: x\n",
        "'{secret}': x\n",
        "dbs:\n- '{secret}': x\n",
        "dbs:\n- path: /a\n  replicas:\n  - '{secret}': x\n",
        "dbs:\n- path: /a\n  replicas:\n  - type: s3\n    secret-access-key:\n      '{secret}': x\n",
        "'{secret}': 1\n'{secret}': 2\n",
        "dbs:\n- path: /a\n  '{secret}': !!binary aGVsbG8=\n",
        "dbs: '{secret}'\n",
        "'{secret}'\n",
        "{secret}\n",
    ],
)
def test_a_secret_where_a_key_of_the_file_belongs(tmp_path: Path, text: str, secret: str) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(text.format(secret=secret))
    with pytest.raises(ConfigError) as refused:
        load_config(config)
    assert secret not in str(refused.value)
    hides(str(refused.value))


@pytest.mark.parametrize("key", ["type", "region", "bucket", "endpoint", "name", "force-path-style", "sync-interval"])
def test_a_key_where_another_value_belongs(tmp_path: Path, key: str) -> None:
    values = {"type": "s3", "bucket": "b", "path": "p", "endpoint": "localhost:1"} | {key: f"{SECRET} {KEY}"}
    config = tmp_path / "litestream.yml"
    config.write_text(json.dumps({"dbs": [{"path": "/a", "replicas": [values, values]}]}))
    with pytest.raises(ConfigError) as refused:
        load_config(config)
    hides(str(refused.value))
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "file:///srv/backups/app.db",
        "s3://bucket/path at http://localhost:9000",
        "s3://bucket.localhost:9000/mail@example.com/app.db",
        "/home/me@example.com/app.db",
        "file:///srv/a:b@c/app.db",
        "the generation 0123456789abcdef/00000001:0000000000004152",
        "2026-11-26T16:53:00Z, mail@example.com",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    assert scrub(text) == text
    assert quoted(text[:60]) == text[:60]


SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.mark.parametrize("inherit", [None, True, False])
def test_what_the_command_inherits(tmp_path: Path, inherit: bool | None) -> None:
    """As Litestream does, everything; with `exec-inherit-keys: false` nothing that holds a key of the store."""
    db = tmp_path / "app.db"
    Shell(db).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a)")
    replica = {
        **{"type": "s3", "bucket": "b", "path": "p", "endpoint": "http://127.0.0.1:1"},
        **{"access-key-id": "${MY_KEY_ID}", "secret-access-key": "${MY_SECRET}"},
    }
    top = {"exec": shlex.join([sys.executable, "-c", SHOW])}
    config = tmp_path / "litestream.yml"
    more = {} if inherit is None else {"exec-inherit-keys": inherit}
    config.write_text(json.dumps({**top, **more, "dbs": [{"path": str(db), "replicas": [replica]}]}))
    names = {
        **{"MY_KEY_ID": KEY, "MY_SECRET": SECRET, "DSN": f"x{SECRET}x", "AWS_SESSION_TOKEN": "token"},
        **{f"{program}_{name}": "other" for program in ("AWS", "LITESTREAM") for name in ("ACCESS_KEY_ID",)},
        "LITESTREAM_SECRET_ACCESS_KEY": "other",
    }
    result = run("replicate", "-config", config, environment=peers.clean_environment() | names | {"PLAIN": "stays"})
    seen = json.loads(next(line for line in result.out.splitlines() if line.startswith("{")))
    assert seen["PLAIN"] == "stays"
    assert seen["PATH"] == os.environ["PATH"]
    assert {name for name in names if name in seen} == (set() if inherit is False else set(names))
    hides(result.err + "".join(line for line in result.out.splitlines() if not line.startswith("{")))


def test_the_key_is_read_as_a_truth(tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text("exec-inherit-keys: perhaps\n")
    with pytest.raises(ConfigError, match="must be true or false"):
        load_config(config)
    config.write_text("exec-inherit-keys: false\n")
    assert load_config(config).exec_inherits_keys is False
    config.write_text("")
    assert load_config(config).exec_inherits_keys is True
    assert succeeds("databases", "-config", config).out
