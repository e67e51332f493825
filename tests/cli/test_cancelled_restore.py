"""Ctrl-C during a restore: it ends soon, whatever the store does, and leaves nothing."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

import peers
from tests.cli.program import Replicating, Result, contents, no_traceback, refuses, succeeds
from tests.cli.slow_proxy import slow_proxy
from tests.foreign import Shell
from tests.interchange.program import PROGRAM, wait_until

END_SECONDS_MAX = 20.0
"""A second of waiting for the store, and what a crowded machine adds. The store's own time limit is 30 s."""
SNAPSHOT_BYTES = 2_000_000


@pytest.fixture(scope="module")
def path_in_store(juicefs: peers.S3Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A replica with a snapshot of two megabytes and a segment of two."""
    folder = tmp_path_factory.mktemp("large")
    database = folder / "app.db"
    Shell(database).run(
        f"PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(randomblob({SNAPSHOT_BYTES}))"
    )
    url = f"s3://tests/{folder.name}?endpoint={juicefs.endpoint}"
    with Replicating(folder / "log", database, url, environment=keys(juicefs)) as replicate:
        replicate.wait_for("snapshot written")
        Shell(database).run(f"UPDATE t SET a = randomblob({SNAPSHOT_BYTES})")
        assert replicate.end() == 0
    return folder.name


def keys(server: peers.S3Server) -> dict[str, str]:
    return peers.clean_environment(AWS_ACCESS_KEY_ID=server.access_key, AWS_SECRET_ACCESS_KEY=server.secret_key)


@pytest.mark.parametrize(
    ("during", "answer_bytes", "number"),
    [
        ("plan", 0, signal.SIGINT),
        ("snapshot", SNAPSHOT_BYTES // 2, signal.SIGINT),
        ("snapshot", SNAPSHOT_BYTES // 2, signal.SIGHUP),
        ("wal", SNAPSHOT_BYTES * 3 // 2, signal.SIGTERM),
    ],
)
def test_it_leaves_nothing(
    juicefs: peers.S3Server,
    path_in_store: str,
    tmp_path: Path,
    answer_bytes: int,
    during: str,
    number: signal.Signals,
) -> None:
    output = tmp_path / "new" / "restored.db"
    with (
        slow_proxy(juicefs.endpoint, answer_bytes) as proxy,
        subprocess.Popen(
            [PROGRAM, "restore", "-o", output, f"s3://tests/{path_in_store}?endpoint={proxy.endpoint}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=keys(juicefs),
            preexec_fn=peers.die_with_parent,
        ) as process,
    ):
        wait_until("an answer that does not come", lambda: proxy.stalled.is_set() or process.poll() is not None)
        assert proxy.stalled.is_set(), process.communicate()
        assert bool(list(tmp_path.glob("new/.*.restoring-*"))) == (during != "plan")
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=40)
        assert time.monotonic() - began < END_SECONDS_MAX
    no_traceback(err)
    refuses(Result(process.returncode, out, err), 16, "cancelled", "nothing is left behind")
    assert contents(tmp_path) == {}


def test_it_can_be_done_again(juicefs: peers.S3Server, path_in_store: str, tmp_path: Path) -> None:
    """Also after a kill, whose leftover the next restore to that path removes."""
    output = tmp_path / "restored.db"
    with slow_proxy(juicefs.endpoint, SNAPSHOT_BYTES // 2) as proxy:
        process = subprocess.Popen(
            [PROGRAM, "restore", "-o", output, f"s3://tests/{path_in_store}?endpoint={proxy.endpoint}"],
            env=keys(juicefs),
            preexec_fn=peers.die_with_parent,
        )
        wait_until("an answer that does not come", proxy.stalled.is_set)
        process.kill()
        process.wait()
    assert len(list(tmp_path.iterdir())) == 1
    url = f"s3://tests/{path_in_store}?endpoint={juicefs.endpoint}"
    succeeds("restore", "-o", output, url, environment=keys(juicefs))
    assert [path.name for path in tmp_path.iterdir()] == ["restored.db"]
    assert Shell(output).rows("SELECT length(a) FROM t") == [[SNAPSHOT_BYTES]]
