"""What an attacker would look for first: code that runs what it reads, open files, unverified TLS, keys in the clear.

SECURITY.md says what is promised; hostile names and damaged objects have tests of their own (docs/INVARIANTS.md).
"""

import ast
import json
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

import peers
from replication.restore.output import Output
from replication.restore.scratch import scratch
from tests.cli.program import Replicating, refuses, run, succeeds
from tests.foreign import ForeignConnection
from tests.interchange.program import wait_until
from tests.storage.stub import Answer, Stub, error
from tests.tui.terminal import Terminal

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("replication", "tui") for path in (ROOT / package).rglob("*.py"))
FORBIDDEN = {
    "eval",
    "exec",
    "compile",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "shelve.open",
    "tempfile.mktemp",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "yaml.unsafe_load_all",
    "ssl._create_unverified_context",
}
UNSAFE_LOADERS = {f"yaml.{kind}Loader" for kind in ("", "C", "Base", "Full", "CFull", "Unsafe", "CUnsafe")}
KEY, SECRET = "CANARYKEYOFTHEWHOLEPROGRAM", "canary/secret+of=the whole&program"


def name_of(node: ast.expr) -> str:
    """`a.b.c` as it is written, empty for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_ever_run(path: Path) -> None:
    """No shell, no eval, no unpickling, and of YAML only plain values."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert name_of(node) not in UNSAFE_LOADERS, f"{path.name} line {node.lineno}"
        if not isinstance(node, ast.Call):
            continue
        where = f"{path.name} line {node.lineno}"
        assert name_of(node.func) not in FORBIDDEN, f"{where}: {name_of(node.func)}"
        for keyword in node.keywords:
            if keyword.arg == "shell":
                assert isinstance(keyword.value, ast.Constant), where
                assert keyword.value.value is False, f"{where}: a shell"


# -- files ------------------------------------------------------------------------------------------------------------


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def open_to_others(folder: Path, allowed: int = 0) -> dict[str, str]:
    """Whatever below `folder` gives group or others more than `allowed`."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not path.is_symlink() and mode & 0o077 & ~allowed:
            found[str(path.relative_to(folder))] = f"{mode:o}"
    return found


def as_if_careless() -> None:
    """For `before`: whatever is made without a mode of its own is open to all."""
    os.umask(0)


def test_nothing_is_opened_to_others_whatever_the_umask(tmp_path: Path) -> None:
    """The local folder, file replica, restored file and the screen's log of a private database, under umask 0."""
    home = tmp_path / "home"
    home.mkdir(0o700)
    path, config = home / "app.db", home / "litestream.yml"
    config.write_text(
        f"dbs:\n- path: {path}\n  monitor-interval: 20ms\n  replicas:\n"
        f"  - path: {home}/replica\n    sync-interval: 1ms\n    validation-interval: 200ms\n"
    )
    with ForeignConnection(path, autocheckpoint=False) as app:
        app.execute("PRAGMA journal_mode = WAL")
        app.execute("CREATE TABLE t(a)")
        for item in home.iterdir():
            item.chmod(0o600)
        with Replicating(tmp_path / "log", "-config", config, before=as_if_careless) as replicate:
            seen: dict[str, str] = {}

            def validated() -> bool:
                # The temporary folder of a validation comes and goes meanwhile.
                try:
                    seen.update(open_to_others(home))
                except FileNotFoundError:
                    return False
                return "outcome=ok" in replicate.said

            wait_until("a validation", validated)
            assert replicate.end() == 0
        with umask(0):
            succeeds("restore", "-config", config, "-o", home / "new" / "restored.db", path)
            succeeds("verify", "-config", config, path)
            with Terminal("-config", config, home=home) as terminal:
                terminal.wait_for("ok")
                terminal.send(signal.SIGTERM)
                assert terminal.end() == 0
        assert {**seen, **open_to_others(home)} == {}


def test_temporary_files_are_private_from_the_first_moment(tmp_path: Path) -> None:
    with umask(0):
        with Output(tmp_path / "a" / "restored.db") as output:
            assert open_to_others(tmp_path / "a") == {}
            assert output.temporary.exists()
        with scratch(tmp_path, "look-") as folder:
            assert open_to_others(folder) == {}


# -- TLS --------------------------------------------------------------------------------------------------------------


def test_tls_is_verified_unless_it_is_said(tmp_path: Path) -> None:
    """A server whose certificate nobody signed gets no request and no signature of ours."""
    with Stub(lambda _: Answer(body=b"<ListBucketResult/>")).serving(tls=True) as stub:
        config = tmp_path / "litestream.yml"
        replica = {
            **{"type": "s3", "bucket": "b", "path": "p", "endpoint": stub.location().endpoint},
            **{"access-key-id": KEY, "secret-access-key": SECRET},
        }
        for skip, code, requests in ((False, 6, 0), (True, 10, 1)):
            dbs = [{"path": str(tmp_path / "app.db"), "replicas": [replica | {"skip-verify": skip}]}]
            config.write_text(json.dumps({"dbs": dbs}))
            ended = run("restore", "-config", config, "-o", tmp_path / "new.db", tmp_path / "app.db")
            assert ended.code == code, ended
            assert (len(stub.requests) > 0) == (requests > 0)
            if not skip:
                refuses(ended, 6, "certificate is not trusted", "skip-verify")


# -- keys -------------------------------------------------------------------------------------------------------------


def spellings(value: str) -> set[bytes]:
    return {
        item.encode()
        for item in (value, quote(value), quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1])
    }


def look_for_keys(folder: Path, config: Path) -> None:
    """No file but the configuration holds a key."""
    for path in folder.rglob("*"):
        if path.is_file() and path != config:
            content = path.read_bytes()
            for spelled in spellings(KEY) | spellings(SECRET):
                assert spelled not in content, f"{path} holds {spelled!r}"


def no_key(text: str) -> None:
    for spelled in spellings(KEY) | spellings(SECRET):
        assert spelled.decode() not in text, text


ECHO = f"{KEY} and {SECRET} were refused"
WAYS = {
    "forbidden": Answer(403, b"no"),
    "wrong signature": error(403, "SignatureDoesNotMatch", ECHO.replace("&", "&amp;")),
    "repeats the key": error(400, "Odd", ECHO.replace("&", "&amp;"), x_amz_request_id=quote(SECRET)),
    "fails": error(500, "OutOfOrder"),
    "asks for less": error(503, "SlowDown"),
    "is a page": Answer(200, f"<html>{ECHO}</html>".encode(), {"Content-Type": "text/html"}),
    "sends away": Answer(307, b"", {"Location": f"http://127.0.0.1:9/{quote(SECRET)}"}),
    "is cut short": Answer(200, b"<ListBucketResult>", length=5000),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_key_in_anything_said_or_written(tmp_path: Path, way: str) -> None:
    """On a store that fails in one way; in two of them every verb is tried, and the screen."""
    with Stub(lambda _: WAYS[way]).serving() as stub:
        everything(tmp_path, str(stub.location().endpoint), way == "repeats the key")


def test_no_key_in_anything_said_or_written_when_nobody_listens(tmp_path: Path) -> None:
    [port] = peers.free_ports(1)
    everything(tmp_path, f"http://127.0.0.1:{port}", True)


def everything(folder: Path, endpoint: str, all_verbs: bool) -> None:
    """Run the program in `folder` with the canary's keys, with all logged that can be."""
    path, config = folder / "app.db", folder / "litestream.yml"
    replica = {
        **{"type": "s3", "bucket": "b", "path": "p", "endpoint": endpoint, "force-path-style": True},
        **{"access-key-id": KEY, "secret-access-key": SECRET, "sync-interval": "1ms"},
    }
    database = {"path": str(path), "monitor-interval": "20ms", "replicas": [replica]}
    with ForeignConnection(path, autocheckpoint=False) as app:
        app.execute("PRAGMA journal_mode = WAL")
        app.execute("CREATE TABLE t(a)")
        for kind in ("text", "json") if all_verbs else ("json",):
            config.write_text(json.dumps({"logging": {"level": "debug", "type": kind}, "dbs": [database]}))
            with Replicating(folder / f"log-{kind}", "-config", config) as replicate:
                replicate.wait_for("sync failed")
                app.execute("INSERT INTO t VALUES(1)")
                said = run("status", "-json", "-config", config)
                replicate.end()
                no_key(replicate.said + said.out + said.err)
        verbs: list[list[str | Path]] = [
            ["verify", "-json"],
            ["databases", "-json"],
            ["databases"],
            ["status"],
            ["status", "-json"],
            ["verify"],
            ["restore", "-o", folder / "new.db", path],
            ["restore", "-dry-run", "-json", "-o", folder / "new.db", path],
            ["generations", path],
            ["wal", "-json", path],
        ]
        for arguments in verbs if all_verbs else verbs[:1]:
            ended = run(arguments[0], "-config", config, *arguments[1:])
            no_key(ended.out + ended.err)
        if all_verbs:
            screen(config)
    look_for_keys(folder, config)


def screen(config: Path) -> None:
    """The screen, and those over it, on a store that fails."""
    with Terminal("-config", config, home=config.parent) as terminal:
        terminal.wait_for("error")
        for key in ("u", "\x1b", "L", "\x1b", "r"):
            terminal.press(key)
            terminal.listen(0.2)
        terminal.send(signal.SIGTERM)
        terminal.end()
        no_key(terminal.said.decode(errors="replace"))
