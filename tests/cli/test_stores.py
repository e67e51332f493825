"""Stores that refuse, are not there, or are not what was meant: one line with the address and the way on.

No secret is in any output, however much is logged (promise 7).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

import peers
from replication.config import load_config
from replication.scrub import scrub
from replication.storage.open import open_storage
from replication.storage.s3.location import S3Location
from tests.cli.program import Replicating, Result, refuses, run, succeeds
from tests.foreign import Shell
from tui import cli
from tui.cli import main
from tui.verbs import listings

CANARIES = {
    "access-key-id": "CANARYKEYINCONFIG",
    "secret-access-key": "canary/secret+in=config",
    "LITESTREAM_ACCESS_KEY_ID": "CANARYKEYOFLITESTREAM",
    "LITESTREAM_SECRET_ACCESS_KEY": "canary/secret+of=litestream",
    "AWS_ACCESS_KEY_ID": "CANARYKEYOFAWS",
    "AWS_SECRET_ACCESS_KEY": "canary/secret+of=aws",
    "AWS_SESSION_TOKEN": "canary/token+of=aws==",
    "query": "canary-in-a-query",
}


def hides_secrets(text: str, *more: str) -> None:
    for secret in (*CANARIES.values(), *more):
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
            assert spelling not in text


def write_config(folder: Path, replica: dict[str, str | bool], level: str = "debug") -> Path:
    path = folder / "litestream.yml"
    config = {
        "logging": {"level": level},
        "dbs": [{"path": str(folder / "app.db"), "monitor-interval": "20ms", "replicas": [{"type": "s3", **replica}]}],
    }
    path.write_text(json.dumps(config))
    Shell(folder / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    return path


def at(server: peers.S3Server, **more: str | bool) -> dict[str, str | bool]:
    return {
        "bucket": "tests",
        "path": "cli",
        "endpoint": server.endpoint,
        "access-key-id": server.access_key,
        "secret-access-key": server.secret_key,
        **more,
    }


def every_way(config: Path, code: int, *words: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """What restore, a listing and replicate say about the store of `config`, which must not work."""
    database = config.with_name("app.db")
    before = {path.name for path in config.parent.iterdir()}
    result = run("restore", "-config", config, "-o", config.with_name("new.db"), database, environment=environment)
    refuses(result, code, *words)
    yield result.out + result.err
    assert {path.name for path in config.parent.iterdir()} == before
    with Replicating(config.parent / "log", "-config", config, environment=environment) as replicate:
        replicate.wait_for("level=ERROR", "next_try_in", *(json.dumps(word)[1:-1] for word in words))
        assert replicate.running
        assert replicate.end() == 0
        yield replicate.said


def test_a_wrong_secret(juicefs: peers.S3Server, tmp_path: Path) -> None:
    config = write_config(tmp_path, at(juicefs, **{"secret-access-key": CANARIES["secret-access-key"]}))
    words = f"access to s3://tests/cli at {juicefs.endpoint} denied", "check secret-access-key"
    for said in every_way(config, 7, *words):
        hides_secrets(said, juicefs.access_key, juicefs.secret_key)


def test_an_unknown_key(weed: peers.S3Server, tmp_path: Path) -> None:
    config = write_config(tmp_path, at(weed, **{"access-key-id": CANARIES["access-key-id"]}))
    for said in every_way(config, 7, f"access to s3://tests/cli at {weed.endpoint} denied", "check access-key-id"):
        hides_secrets(said, weed.access_key, weed.secret_key)


def test_a_missing_bucket(juicefs: peers.S3Server, tmp_path: Path) -> None:
    config = write_config(tmp_path, at(juicefs, bucket="nowhere"))
    words = (
        f"the bucket nowhere does not exist at {juicefs.endpoint}",
        "mc mb ALIAS/nowhere",
        f"aws s3 mb s3://nowhere --endpoint-url {juicefs.endpoint}",
    )
    for said in every_way(config, 8, *words):
        hides_secrets(said, juicefs.access_key, juicefs.secret_key)


def test_an_unreachable_server(tmp_path: Path) -> None:
    [port] = peers.free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    keys = {name: CANARIES[name] for name in ("access-key-id", "secret-access-key")}
    config = write_config(tmp_path, {"bucket": "tests", "path": "cli", "endpoint": endpoint, **keys})
    for said in every_way(config, 6, f"cannot reach {endpoint}", "connection refused", "is the server running?"):
        hides_secrets(said)


def test_a_host_that_does_not_resolve(tmp_path: Path) -> None:
    environment = with_canaries()
    url = "s3://bucket/app?endpoint=https://nowhere.invalid"
    result = run("restore", "-o", tmp_path / "out.db", url, environment=environment)
    refuses(result, 6, "cannot reach https://nowhere.invalid", "does not resolve")
    hides_secrets(result.out + result.err)


def test_a_server_that_speaks_no_tls(juicefs: peers.S3Server, tmp_path: Path) -> None:
    endpoint = juicefs.endpoint.replace("http:", "https:")
    config = write_config(tmp_path, at(juicefs, endpoint=endpoint))
    refuses(run("snapshots", "-config", config, tmp_path / "app.db"), 6, endpoint, "begin the endpoint with http://")


def test_no_credentials(tmp_path: Path) -> None:
    result = run("restore", "-o", tmp_path / "out.db", "s3://bucket/app?endpoint=127.0.0.1:1")
    refuses(result, 7, "no credentials were found for s3://bucket/app", "access-key-id", "AWS_ACCESS_KEY_ID", "~/.aws")


def with_canaries(*names: str) -> dict[str, str]:
    chosen = names or tuple(name for name in CANARIES if name.isupper())
    return peers.clean_environment(**{name: CANARIES[name] for name in chosen})


@pytest.mark.parametrize("prefix", ["AWS", "LITESTREAM"])
def test_keys_of_the_environment_are_used_and_hidden(juicefs: peers.S3Server, tmp_path: Path, prefix: str) -> None:
    replica = {key: value for key, value in at(juicefs).items() if "key" not in key}
    config = write_config(tmp_path, replica)
    wrong = with_canaries(*(name for name in CANARIES if name.startswith(f"{prefix}_") and "TOKEN" not in name))
    result = run("wal", "-config", config, tmp_path / "app.db", environment=wrong)
    refuses(result, 7, "denied", "check access-key-id")
    hides_secrets(result.out + result.err)
    right = {f"{prefix}_ACCESS_KEY_ID": juicefs.access_key, f"{prefix}_SECRET_ACCESS_KEY": juicefs.secret_key}
    environment = peers.clean_environment(**right)
    with Replicating(tmp_path / "log", "-config", config, environment=environment) as replicate:
        replicate.wait_for("snapshot written")
        Shell(tmp_path / "app.db").run("INSERT INTO t VALUES(2)")
        replicate.wait_for("level=DEBUG", "segment written")
        assert replicate.end() == 0
        hides_secrets(replicate.said, *right.values())
    listed = succeeds("generations", "-config", config, tmp_path / "app.db", environment=environment)
    hides_secrets(listed.out + listed.err, *right.values())


def test_secrets_in_urls_are_refused_and_not_repeated(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    secret = CANARIES["query"]
    for url, code in (
        (f"s3://{secret}:{secret}@bucket/app", 3),
        (f"s3://bucket/app?secret-access-key={secret}", 3),
        (f"s3://bucket/app?endpoint=http://user:{secret}@host:9000", 3),
        (f"https://user:{secret}@host/app", 3),
        (f"//user:{secret}@bucket/app", 2),
    ):
        for arguments in (["restore", "-o", "x.db", url], ["replicate", "a.db", url]):
            ended = main(arguments)
            captured = capfd.readouterr()
            result = Result(ended, captured.out, captured.err)
            assert ended in (code, 3), result
            assert len(result.complaints) == 1
            hides_secrets(captured.out + captured.err)
    assert not list(tmp_path.iterdir())


BROKEN_NEAR_A_SECRET = [
    "access-key-id: {key}\nsecret-access-key: {secret}: x\n",
    "access-key-id: {key}\nsecret-access-key: *{secret}\n",
    "access-key-id: {key}\nsecret-access-key: [{secret}]\n",
    "access-key-id: {key}\nsecret-access-key: '{secret}\n",
    "access-key-id: {key}\nsecret-acess-key: {secret}\n",
    "dbs:\n- path: a\n  replicas:\n  - type: s3\n    bucket: b\n    secret-access-key: {secret}\n",
    "dbs:\n- path: a\n  replicas:\n  - url: s3://{key}:{secret}@bucket/p\n",
    "dbs:\n- path: a\n  replicas:\n  - url: s3://bucket/p?secret={secret}\n",
    "dbs:\n- path: a\n  replicas:\n  - type: sftp\n    host: h\n    password: {secret}\n",
    "dbs:\n- path: a\n  replicas:\n  - path: b\n    age: {{identities: [{secret}]}}\n",
    "dbs:\n- {{path: a, secret-access-key: {secret}}}\n",
    "access-key-id: {key}\nsecret-access-key: {secret}\nfoo: bar\n",
    "secret-access-key: {secret}\t\x07\n",
]


@pytest.mark.parametrize("text", BROKEN_NEAR_A_SECRET)
def test_a_bad_line_near_a_secret_is_named_without_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "litestream.yml"
    path.write_text(text.format(key=CANARIES["access-key-id"], secret=CANARIES["secret-access-key"]))
    code = main(["databases", "-config", str(path)])
    captured = capfd.readouterr()
    line = refuses(Result(code, captured.out, captured.err), 3, f"{path}:")
    assert line.removeprefix(f"{path}:")[0].isdigit(), line
    hides_secrets(captured.out + captured.err)


def test_no_repr_holds_a_secret(tmp_path: Path) -> None:
    keys = {name: CANARIES[name] for name in ("access-key-id", "secret-access-key")}
    config = load_config(write_config(tmp_path, {"bucket": "b", **keys}))
    hides_secrets(repr(config) + str(config))


def test_what_was_not_foreseen_is_one_line_without_secrets(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours: no traceback, but the place to report."""
    keys = {name: CANARIES[name] for name in ("access-key-id", "secret-access-key")}
    config = write_config(tmp_path, {"bucket": "b", **keys})

    def broken(args: object) -> int:
        load_config(config)
        raise KeyError(f"key {CANARIES['secret-access-key']}\nsecond line")

    monkeypatch.setattr(listings, "wal", broken)
    code = cli.main(["wal", "file:///nowhere"])
    captured = capfd.readouterr()
    hides_secrets(captured.err)
    result = Result(code, captured.out, captured.err)
    assert refuses(result, 1, "KeyError in cli.py line ", "please report it").count("\n") == 0
    assert len(captured.err.splitlines()) == 1


def test_secrets_of_the_environment_are_hidden_in_whatever_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CANARIES:
        if name.isupper():
            monkeypatch.setenv(name, CANARIES[name])
    open_storage(S3Location(bucket="b"))
    hides_secrets(scrub(" ".join(value for name, value in CANARIES.items() if name.isupper())))
