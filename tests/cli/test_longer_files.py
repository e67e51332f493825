"""Files that are longer than what SQLite counts: they are compared by what it counts, whoever made them longer."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.cli.program import Replicating, run, succeeds
from tests.foreign import ForeignConnection
from tests.interchange.program import wait_until

CHUNK_BYTES = 1 << 20

_APPLICATION = """
import ctypes, json, sys
import apsw
connection = apsw.Connection(sys.argv[1])
connection.set_busy_timeout(30000)
size = ctypes.c_int(int(sys.argv[2]))
connection.file_control("main", apsw.SQLITE_FCNTL_CHUNK_SIZE, ctypes.addressof(size))
for line in sys.stdin:
    rows = [list(row) for row in connection.execute(json.loads(line))]
    print(json.dumps({"rows": rows}), flush=True)
connection.close()
"""


class ChunkedConnection(ForeignConnection):
    """An application that lets its file grow by a mebibyte at a time, as Firefox does."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _APPLICATION, str(path), str(CHUNK_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def config_of(path: Path, extra: str = "") -> Path:
    config = path.with_name("litestream.yml")
    config.write_text(
        f"dbs:\n- path: {path}\n  monitor-interval: 20ms\n  min-checkpoint-page-count: 20\n"
        f"  replicas:\n  - path: {path}-replica\n    sync-interval: 1ms\n{extra}"
    )
    return config


def counted(path: Path) -> int:
    """Bytes of the pages that SQLite counts, as another process sees them."""
    with ForeignConnection(path) as other:
        return int(other.execute("PRAGMA page_count")[0][0] * other.execute("PRAGMA page_size")[0][0])


@contextmanager
def chunked(path: Path) -> Iterator[ForeignConnection]:
    with ChunkedConnection(path) as app:
        app.execute("PRAGMA journal_mode = WAL")
        app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        app.execute("INSERT INTO t(b) VALUES(randomblob(9000))")
        app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size == CHUNK_BYTES
        assert counted(path) < CHUNK_BYTES
        yield app


def append(path: Path, size: int) -> None:
    """By a process of its own, for to close the file here would drop locks."""
    write = "import sys; open(sys.argv[1], 'ab').write(b'x' * int(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", write, path, str(size)], check=True)


def made_longer(path: Path, how: str) -> None:
    """A database whose file has more than SQLite counts in it."""
    with ForeignConnection(path) as app:
        app.execute("PRAGMA journal_mode = WAL")
        app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        app.execute("INSERT INTO t(b) VALUES(randomblob(9000))")
        app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    append(path, {"a few bytes": 100, "whole pages": 3 * 4096, "pages and bytes": 2 * 4096 + 1}[how])


def commit(app: ForeignConnection, times: int = 1) -> None:
    for _ in range(times):
        app.execute("INSERT INTO t(b) VALUES(randomblob(9000))")


def verified(config: Path) -> None:
    [row] = json.loads(run("verify", "-json", "-config", config).out)
    assert (row["outcome"], row["compared"]) == ("ok", True), row


def test_an_application_that_grows_its_file_in_large_steps(tmp_path: Path) -> None:
    """Before its first commit, after each, after checkpoints of both sides and a vacuum; the engine running or not."""
    path = tmp_path / "cookies.db"
    config = config_of(path, "    validation-interval: 100ms\n")
    with chunked(path) as app:
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            replicate.wait_for("snapshot written")
            verified(config)
            steps: list[Callable[[], object]] = [
                partial(commit, app),
                lambda: app.execute("PRAGMA wal_checkpoint(PASSIVE)"),
                partial(commit, app, 30),
                lambda: app.execute("DELETE FROM t WHERE a > 3"),
                lambda: app.execute("VACUUM"),
                partial(commit, app),
            ]
            for step in steps:
                step()
                times = replicate.said.count("outcome=ok")
                verified(config)
                replicate.wait_for("verified", "outcome=ok", times=times + 2)
            assert replicate.end() == 0
            assert replicate.said.count("generation begins") == 1, replicate.said
            assert "level=ERROR" not in replicate.said
        verified(config)
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            replicate.wait_for("generation continues")
            commit(app)
            verified(config)
            assert replicate.end() == 0
        succeeds("restore", "-config", config, "-o", tmp_path / "restored.db", path)
        with ForeignConnection(tmp_path / "restored.db") as restored:
            assert restored.execute("SELECT count(*), total(length(b)) FROM t") == app.execute(
                "SELECT count(*), total(length(b)) FROM t"
            )


@pytest.mark.parametrize(
    ("how", "commits"), [("a few bytes", 0), ("whole pages", 0), ("pages and bytes", 1), ("a few bytes", 40)]
)
def test_what_was_appended_is_no_content(tmp_path: Path, how: str, commits: int) -> None:
    path = tmp_path / "app.db"
    made_longer(path, how)
    config = config_of(path, "    validation-interval: 100ms\n")
    with ForeignConnection(path, autocheckpoint=False) as app:
        app.execute("SELECT count(*) FROM t")
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            replicate.wait_for("snapshot written")
            replicate.wait_for("verified", "outcome=ok")
            for _ in range(commits):
                commit(app)
            times = replicate.said.count("outcome=ok")
            replicate.wait_for("verified", "outcome=ok", times=times + 2)
            verified(config)
            assert replicate.end() == 0
            assert replicate.said.count("generation begins") == 1, replicate.said
            assert "level=ERROR" not in replicate.said
        verified(config)
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            replicate.wait_for("generation continues")
            assert replicate.end() == 0


def test_a_page_that_counts_and_differs_is_still_found(tmp_path: Path) -> None:
    """The other direction: what is beyond is passed over, and nothing else is."""
    path = tmp_path / "cookies.db"
    config = config_of(path)
    with chunked(path) as app:
        for _ in range(40):
            commit(app)
        app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            replicate.wait_for("snapshot written")
            commit(app)
            assert replicate.end() == 0
        write = "import os,sys; f=os.open(sys.argv[1],os.O_WRONLY); os.pwrite(f, b'not so', int(sys.argv[2])*4096+4000)"
        subprocess.run([sys.executable, "-c", write, path, str(counted(path) // 4096)], check=True)
        verified(config)
        subprocess.run([sys.executable, "-c", write, path, "20"], check=True)
        [row] = json.loads(run("verify", "-json", "-config", config).out)
        assert (row["outcome"], row["exit_code"]) == ("failed", 17), row


def test_a_snapshot_of_litestream_with_bytes_after_the_last_page(tmp_path: Path, litestream03: Path) -> None:
    """Litestream stores the file as it is."""
    path = tmp_path / "app.db"
    made_longer(path, "a few bytes")
    config = config_of(path)
    process = subprocess.Popen([litestream03, "replicate", "-config", config], stdout=subprocess.DEVNULL)
    try:
        wait_until("a snapshot", lambda: any(tmp_path.rglob("*.snapshot.lz4")))
    finally:
        process.terminate()
        process.wait()
    succeeds("restore", "-config", config, "-o", tmp_path / "restored.db", path)
