"""The database itself in a user's folder: what its path leads to, and what stands beside it (promise 10)."""

import os
from pathlib import Path

import pytest

from tests.cli.program import Replicating, run, succeeds
from tests.foreign import Shell
from tests.rooted.conftest import USER, Home
from tests.rooted.test_hostile_home import users


def secret_of_root(home: Home) -> Path:
    path = home.vault / "secret.db"
    Shell(path).run("CREATE TABLE t(a); INSERT INTO t VALUES('topsecret')")
    path.chmod(0o600)
    return path


def test_a_link_at_the_database_does_not_lead_root_to_somebody_elses(home: Home, tmp_path: Path) -> None:
    secret = secret_of_root(home)
    before = secret.read_bytes(), sorted(item.name for item in home.vault.iterdir())
    users(lambda: home.database.rename(home.folder / "aside.db"))
    users(lambda: home.database.symlink_to(secret))
    with Replicating(tmp_path / "log", "-config", home.config) as replicate:
        replicate.wait_for("symbolic link", f"user {USER}")
        replicate.end()
    assert (secret.read_bytes(), sorted(item.name for item in home.vault.iterdir())) == before
    assert not list(home.replica.rglob("*.lz4"))


def test_a_link_that_comes_while_replicating_does_not_either(home: Home, tmp_path: Path) -> None:
    secret = secret_of_root(home)
    before = secret.read_bytes(), sorted(item.name for item in home.vault.iterdir())
    with Replicating(tmp_path / "log", "-config", home.config) as replicate:
        replicate.wait_for("snapshot written")
        users(lambda: home.database.rename(home.folder / "aside.db"))
        users(lambda: home.database.symlink_to(secret))
        replicate.wait_for("symbolic link", f"user {USER}")
        replicate.end()
    assert (secret.read_bytes(), sorted(item.name for item in home.vault.iterdir())) == before


def test_the_users_own_link_to_the_users_own_database_works(home: Home) -> None:
    users(lambda: home.database.rename(home.folder / "aside.db"))
    users(lambda: home.database.symlink_to("aside.db"))
    succeeds("replicate", "-config", home.config, "-exec", "true")
    output = home.vault.parent / "restored.db"
    succeeds("restore", "-o", output, f"file://{home.replica}")
    assert Shell(output).rows("SELECT a FROM t") == [[1]]


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_is_no_plain_file_beside_a_database_is_named_and_holds_up_nobody(
    home: Home, tmp_path: Path, suffix: str, kind: str
) -> None:
    """SQLite would wait for the other end of the pipe, with the thread of all others."""
    paths = [home.folder / f"u{number}.db" for number in range(3)]
    for path in paths:
        Shell(path).run("CREATE TABLE t(a)")
        os.chown(path, USER, USER)
        beside = Path(f"{path}{suffix}")
        beside.unlink(missing_ok=True)
        os.mkfifo(beside) if kind == "pipe" else beside.symlink_to(home.vault / "made-by-sqlite")
    healthy = tmp_path / "healthy.db"
    Shell(healthy).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(7)")
    config = tmp_path / "litestream.yml"
    lines = [f"- {{path: {path}, replicas: [{{path: {tmp_path}/replica/{path.name}}}]}}" for path in (*paths, healthy)]
    config.write_text("dbs:\n" + "\n".join(lines) + "\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        for path in paths:
            replicate.wait_for("a pipe" if kind == "pipe" else "a symbolic link", f"{path}{suffix}")
        replicate.wait_for("snapshot written", str(healthy))
        assert replicate.end() == 0
    assert not (home.vault / "made-by-sqlite").exists()
    assert run("verify", "-config", config, paths[0], timeout=60).code != 0
