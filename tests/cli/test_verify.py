"""verify: ok, failed or inconclusive; by a URL alone, and compared with the source, engine running or not."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from replication import comparison
from replication.config import load_config
from replication.sqlite.still import still
from tests.cli.conftest import Published
from tests.cli.program import Replicating, contents, refuses, run, succeeds
from tests.foreign import ForeignConnection
from tests.interchange.program import wait_until


def test_a_whole_replica_is_restorable(published: Published, tmp_path: Path) -> None:
    ended = run("verify", published.url, cwd=tmp_path)
    assert ended.code == 0, ended
    assert "is restorable to" in ended.out
    assert "full check ok" in ended.out
    rows = json.loads(run("verify", "-json", published.url, cwd=tmp_path).out)
    assert [row["outcome"] for row in rows] == ["ok"]


def test_a_damaged_replica_is_not(published: Published, tmp_path: Path) -> None:
    segment = sorted(published.root.rglob("*.wal.lz4"))[-1]
    segment.write_bytes(segment.read_bytes()[:-10])
    before = sorted(tmp_path.rglob("*"))
    ended = run("verify", published.url, cwd=tmp_path)
    assert ended.code == 12, ended
    assert len(ended.complaints) == 1
    assert segment.name in ended.complaints[0]
    assert sorted(tmp_path.rglob("*")) == before


DAMAGE = """
import os, sys
before = os.stat(sys.argv[1])
with open(sys.argv[1], "r+b") as file:
    file.seek(3 * 4096 + 100)
    file.write(b"not what was written")
# A disk that loses what it had changes no time of writing.
os.utime(sys.argv[1], ns=(before.st_atime_ns, before.st_mtime_ns))
"""


class Bench:
    """Databases with a replica each, and applications that have them open."""

    def __init__(self, folder: Path, names: tuple[str, ...], extra: str = "") -> None:
        self.folder = folder
        self.config = folder / "litestream.yml"
        self.paths = [folder / f"{name}.db" for name in names]
        self.apps: list[ForeignConnection] = []
        lines = ["dbs:"]
        for path in self.paths:
            lines += [f"- path: {path}", "  monitor-interval: 20ms", "  min-checkpoint-page-count: 50", "  replicas:"]
            lines += [f"  - path: {path}-replica", "    sync-interval: 1ms", *([f"    {extra}"] if extra else [])]
            self.apps.append(ForeignConnection(path, autocheckpoint=False))
            self.apps[-1].execute("PRAGMA journal_mode = WAL")
            self.apps[-1].execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
            self.commit(3, self.apps[-1])
        self.config.write_text("\n".join(lines) + "\n")

    def commit(self, count: int, app: ForeignConnection | None = None) -> None:
        for _ in range(count):
            (app or self.apps[0]).execute("INSERT INTO t(b) VALUES(randomblob(9000))")

    def replicated(self) -> None:
        """Let an engine run until it is stopped with everything uploaded; it leaves the WAL for the next one."""
        with Replicating(self.folder / "log", "-config", self.config) as replicate:
            replicate.wait_for("snapshot written", times=len(self.paths))
            assert replicate.end() == 0

    def rows(self, code: int, *arguments: str | Path) -> list[dict[str, Any]]:
        ended = run("verify", "-json", "-config", self.config, *arguments)
        assert ended.code == code, ended
        found: list[dict[str, Any]] = json.loads(ended.out)
        return found


@contextmanager
def bench(folder: Path, *names: str, extra: str = "") -> Iterator[Bench]:
    made = Bench(folder, names, extra)
    try:
        yield made
    finally:
        for app in made.apps:
            app.close()


def test_while_an_engine_runs_and_an_application_writes(tmp_path: Path) -> None:
    """The source is never still: each verification compares one commit of it, and all are equal."""
    with bench(tmp_path, "app") as made, Replicating(tmp_path / "log", "-config", made.config) as replicate:
        replicate.wait_for("snapshot written")
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                made.commit(1)
                made.apps[0].execute("DELETE FROM t WHERE a < (SELECT max(a) FROM t) - 60")

        writing = threading.Thread(target=write)
        writing.start()
        try:
            positions = set()
            for _ in range(6):
                [row] = made.rows(0, made.paths[0])
                assert (row["outcome"], row["compared"], row["error"]) == ("ok", True, None), row
                positions.add(row["position"])
        finally:
            stop.set()
            writing.join()
        assert len(positions) == 6
        assert "level=ERROR" not in replicate.said
        assert replicate.end() == 0


def test_a_life_of_the_wal_that_was_begun_and_has_no_commit_is_the_end_of_the_one_before(tmp_path: Path) -> None:
    """What the engine copies of it later is not what was looked at."""
    with bench(tmp_path, "app") as made, Replicating(tmp_path / "log", "-config", made.config) as replicate:
        replicate.wait_for("snapshot written")
        [database] = load_config(made.config).databases
        wal = Path(f"{made.paths[0]}-wal")

        def begins_a_life() -> bool:
            """Frames without a commit, at the beginning of the WAL if it could be restarted."""
            before = wal.read_bytes()[:32]
            made.apps[0].execute("PRAGMA cache_size = 5")
            made.apps[0].execute("BEGIN")
            made.apps[0].execute("INSERT INTO t(b) VALUES(randomblob(300000))")
            if wal.read_bytes()[:32] != before:
                return True
            made.apps[0].execute("COMMIT")
            return False

        wait_until("a life of the WAL that begins", begins_a_life)
        index = max(path.name for path in Path(f"{made.paths[0]}-replica").rglob("*.wal.lz4"))[:8]
        with still(made.paths[0]) as source:
            assert source.end == 0
            made.apps[0].execute("COMMIT")
            wait_until("the next index", lambda: any(tmp_path.rglob(f"{int(index, 16) + 1:08x}_*.wal.lz4")))
            position, _ = comparison._place(database, source)
        assert position is not None
        assert position.offset > 0
        assert f"{position.index:08x}" == index
        assert made.rows(0)[0]["compared"]
        assert replicate.end() == 0


def test_without_an_engine(tmp_path: Path) -> None:
    with bench(tmp_path, "app") as made:
        made.replicated()
        before = contents(tmp_path)
        [row] = made.rows(0, made.paths[0])
        assert (row["outcome"], row["compared"], row["check"]) == ("ok", True, "ok")
        said = succeeds("verify", "-config", made.config, made.paths[0]).out
        assert "is restorable to" in said
        assert "full check ok, equal to the source" in said
        after = contents(tmp_path)
        # What locks a database, its shared memory, is no content.
        assert {name: sha for name, sha in after.items() if not name.endswith("-shm")} == {
            name: sha for name, sha in before.items() if not name.endswith("-shm")
        }


def test_an_index_that_an_engine_has_made_and_not_begun_is_no_defect(tmp_path: Path) -> None:
    with bench(tmp_path, "app") as made:
        made.replicated()
        last = max(tmp_path.glob(".app.db-litestream/generations/*/wal/*.wal"))
        last.with_name(f"{int(last.stem, 16) + 1:08x}.wal").touch()
        [row] = made.rows(0, made.paths[0])
        assert (row["outcome"], row["compared"]) == ("ok", True)


def test_commits_that_were_not_copied_are_inconclusive(tmp_path: Path) -> None:
    with bench(tmp_path, "app") as made:
        made.replicated()
        made.commit(1)
        [row] = made.rows(18, made.paths[0])
        assert (row["outcome"], row["compared"], row["exit_code"]) == ("inconclusive", False, 18)
        assert "commits that were not copied, and nobody replicates it" in row["words"]
        assert row["position"]
        refuses(run("verify", "-config", made.config, made.paths[0]), 18, "inconclusive", "restorable to")
        made.apps[0].execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [row] = made.rows(18, made.paths[0])
        assert "its WAL was emptied" in row["words"]


def test_a_source_that_is_gone_is_inconclusive(tmp_path: Path) -> None:
    with bench(tmp_path, "app") as made:
        made.replicated()
        made.apps[0].close()
        for path in tmp_path.glob("app.db*"):
            if path.is_file():
                path.unlink()
        [row] = made.rows(18, made.paths[0])
        assert (row["outcome"], row["check"]) == ("inconclusive", "ok")
        assert "does not exist" in row["words"]
        assert not made.paths[0].exists()


def test_closed_by_its_application_and_unchanged_it_is_equal(tmp_path: Path) -> None:
    """Then SQLite removes the WAL, and with it what tells the commit; equal pages prove it as well."""
    with bench(tmp_path, "app") as made:
        made.replicated()
        made.apps[0].close()
        assert not Path(f"{made.paths[0]}-wal").exists()
        [row] = made.rows(0, made.paths[0])
        assert (row["outcome"], row["compared"]) == ("ok", True)


@pytest.mark.parametrize("engine", [True, False])
def test_a_source_that_differs_at_the_same_commit_is_a_failure(tmp_path: Path, engine: bool) -> None:
    """As after a fault of the disk or of this program: no frame tells of the change."""
    with bench(tmp_path, "app") as made:
        made.commit(60)
        made.replicated()
        with Replicating(tmp_path / "log", "-config", made.config) as replicate:
            replicate.wait_for("generation continues")
            # A life of the WAL begins that holds none of the pages changed below.
            while not any(tmp_path.rglob("00000001_*.wal.lz4")):
                made.commit(1)
            if not engine:
                assert replicate.end() == 0
            subprocess.run([sys.executable, "-c", DAMAGE, made.paths[0]], check=True)
            [row] = made.rows(17, made.paths[0])
        assert (row["outcome"], row["compared"], row["check"]) == ("failed", True, "ok")
        assert "differs from" in row["words"]


def test_every_configured_database(tmp_path: Path) -> None:
    with bench(tmp_path, "a", "b", "c") as made:
        made.replicated()
        rows = made.rows(0)
        assert [(row["database"], row["outcome"]) for row in rows] == [(str(path), "ok") for path in made.paths]
        # A failure weighs more than what is inconclusive, wherever it stands.
        [snapshot] = Path(f"{made.paths[0]}-replica").rglob("*.snapshot.lz4")
        snapshot.write_bytes(snapshot.read_bytes()[:-10])
        made.commit(1, made.apps[2])
        assert [row["outcome"] for row in made.rows(12)] == ["failed", "ok", "inconclusive"]


def test_a_store_that_does_not_answer_is_inconclusive(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ended = run(
        "verify",
        "-json",
        f"s3://bucket.127.0.0.1:{port}/app",
        environment={"AWS_ACCESS_KEY_ID": "k" * 8, "AWS_SECRET_ACCESS_KEY": "s" * 8},
    )
    assert ended.code == 6, ended
    [row] = json.loads(ended.out)
    assert (row["outcome"], row["position"]) == ("inconclusive", None)


def test_nothing_in_the_replica_is_a_failure(tmp_path: Path) -> None:
    with bench(tmp_path, "app") as made:
        [row] = made.rows(10, made.paths[0])
        assert row["outcome"] == "failed"


def test_on_schedule(tmp_path: Path) -> None:
    """validation-interval: what failed is in the log and in the status, and another generation mends it."""
    with (
        bench(tmp_path, "app", extra="validation-interval: 300ms") as made,
        Replicating(tmp_path / "log", "-config", made.config) as replicate,
    ):

        def verified() -> dict[str, Any]:
            found = json.loads(succeeds("status", "-config", made.config, "-json").out)[0]["replicas"][0]["verified"]
            return found or {"outcome": "never"}

        replicate.wait_for("level=INFO", "verified", "outcome=ok")
        wait_until("ok in the status", lambda: verified()["outcome"] == "ok")
        for segment in Path(f"{made.paths[0]}-replica").rglob("*.snapshot.lz4"):
            segment.write_bytes(segment.read_bytes()[:-10])
        replicate.wait_for("level=ERROR", "verified", "outcome=failed", "damaged")
        replicate.wait_for("generation begins", "verification of replica file failed")
        made.commit(1)
        wait_until("ok again", lambda: replicate.said.rindex("outcome=ok") > replicate.said.index("outcome=failed"))
        assert replicate.end() == 0
