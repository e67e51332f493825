"""status -check: 0 where all is well, 19 and a line for each trouble where not; no store is asked."""

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from replication.config import load_config
from replication.local.files import STATUS_NAME
from replication.offline import look
from replication.wellness import Limits, judge
from tests.cli.program import Replicating, Result, refuses, run, succeeds
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import wait_until

NOT_WELL = 19


def write_config(folder: Path, replica: str = "", more: str = "") -> Path:
    path = folder / "litestream.yml"
    replica = replica or f"path: {folder}/replica"
    path.write_text(
        f"dbs:\n- path: {folder}/app.db\n  monitor-interval: 20ms\n"
        f"  replicas:\n  - {replica}\n    name: one\n    sync-interval: 1ms\n{more}"
    )
    return path


def make(folder: Path) -> Path:
    Shell(folder / "app.db").run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    return folder / "app.db"


def check(config: Path, *flags: str) -> Result:
    return run("status", "-check", *flags, "-config", config)


def test_well_with_an_engine_and_not_without(tmp_path: Path) -> None:
    database, config = make(tmp_path), write_config(tmp_path)
    refuses(check(config), NOT_WELL, str(database), "no engine replicates it")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        assert succeeds("status", "-check", "-config", config).out == "ok: 1 database\n"
        assert json.loads(check(config, "-json").out) == {"ok": True, "troubles": []}
        replicate.end()
    result = check(config, "-json")
    assert result.code == NOT_WELL
    [trouble] = json.loads(result.out)["troubles"]
    assert (trouble["database"], trouble["replica"]) == (str(database), "")


def test_a_database_that_is_yet_to_come_is_well_and_one_that_went_is_not(tmp_path: Path) -> None:
    config, database = write_config(tmp_path), tmp_path / "app.db"
    (tmp_path / "other").mkdir()
    other = make(tmp_path / "other")
    config.write_text(f"{config.read_text()}- path: {other}\n  replicas: [{{path: {tmp_path}/replica-other}}]\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        assert succeeds("status", "-check", "-config", config).out == "ok: 2 databases, of which 1 not there yet\n"
        make(tmp_path)
        replicate.wait_for("snapshot written", times=2)
        assert check(config).code == 0
        for name in ("app.db", "app.db-wal", "app.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        refuses(check(config), NOT_WELL, str(database), "was removed")


def test_commits_that_wait_for_too_long_and_not_before(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        keys = f"access-key-id: {'k' * 20}\n    secret-access-key: {'s' * 40}"
        url = f"url: s3://bucket/x\n    endpoint: http://127.0.0.1:{silent.getsockname()[1]}\n    {keys}"
        make(tmp_path)
        config = write_config(tmp_path, url)
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            replicate.wait_for("generation begins")
            began = time.monotonic()
            assert check(config).code == 0, "it may be away for a while, and is not asked"
            assert time.monotonic() - began < 8.0
            wait_until("the lag", lambda: check(config, "-max-lag", "1s").code == NOT_WELL)
            refuses(check(config, "-max-lag", "1s"), NOT_WELL, "replica one", "nothing can be restored from it yet")
            assert check(config, "-max-lag", "1h").code == 0
            replicate.send(signal.SIGKILL)


def test_a_proof_that_is_too_old_and_a_verification_that_is_missing(tmp_path: Path) -> None:
    make(tmp_path)
    config = write_config(tmp_path)
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        wait_until("too old", lambda: check(config, "-max-proof-age", "10ms").code == NOT_WELL)
        refuses(check(config, "-max-proof-age", "10ms"), NOT_WELL, "replica one", "last shown to be restorable")
        refuses(check(config, "-max-verified-age", "1h"), NOT_WELL, "replica one", "never verified")
        assert check(config, "-max-proof-age", "1h").code == 0
        assert check(config, "-max-lag", "1s").code == 0
        replicate.end()


def test_a_proof_that_was_not_written_down_yet_is_no_trouble(tmp_path: Path) -> None:
    """It is made each second, and notes are written every five seconds at most."""
    make(tmp_path)
    config = write_config(tmp_path, more="    retention-check-interval: 1s\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        [database] = load_config(config).databases
        wait_until("a proof", lambda: look(database).record.replica("one").proven > 0)
        local = look(database)
        proven = local.record.replica("one").proven
        assert judge(database, local, Limits(), proven + 6.5) == []
        [trouble] = judge(database, local, Limits(), proven + 7.5)
        assert "last shown to be restorable" in trouble.words
        replicate.end()


def test_a_failed_verification_is_not_well(tmp_path: Path) -> None:
    make(tmp_path)
    config = write_config(tmp_path, more="    validation-interval: 1h\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("snapshot written")
        path = tmp_path / ".app.db-litestream" / STATUS_NAME
        wait_until("notes", path.exists)
        values = json.loads(path.read_text())
        replicate.send(signal.SIGSTOP)
        for item in values["replicas"]:
            item["verified"] = {
                "replica": "one",
                "outcome": "failed",
                "words": "page 3 differs",
                "position": None,
                "seconds": 1.0,
                "time": time.time(),
            }
        path.write_text(json.dumps(values))
        assert "its last verification failed: page 3 differs" in check(config).err
        replicate.send(signal.SIGKILL)


def test_an_engine_that_hangs_is_not_well_once_there_are_commits(tmp_path: Path) -> None:
    database, config = make(tmp_path), write_config(tmp_path)
    with (
        ForeignConnection(database, autocheckpoint=False) as application,
        Replicating(tmp_path / "log", "-config", config) as replicate,
    ):
        replicate.wait_for("snapshot written")
        application.execute("INSERT INTO t VALUES('second')")
        wait_until("well", lambda: check(config).code == 0)
        replicate.send(signal.SIGSTOP)
        assert check(config).code == 0, "nothing waits"
        application.execute("INSERT INTO t VALUES('third')")
        refuses(check(config), NOT_WELL, "commits are not copied", f"pid {replicate.pid}")
        replicate.send(signal.SIGCONT)
        wait_until("well again", lambda: check(config).code == 0)
        replicate.end()


def test_frames_that_sqlite_does_not_count_are_no_commits_that_wait(tmp_path: Path) -> None:
    """A transaction that spilled to the WAL and was rolled back leaves frames with the right salts."""
    database, config = make(tmp_path), write_config(tmp_path)
    with (
        ForeignConnection(database, autocheckpoint=False) as application,
        Replicating(tmp_path / "log", "-config", config) as replicate,
    ):
        replicate.wait_for("snapshot written")
        application.execute("INSERT INTO t VALUES('second')")
        wait_until("the second copied", lambda: check(config).code == 0)
        application.execute("PRAGMA cache_size=1")
        application.execute("PRAGMA cache_spill=1")
        application.execute("BEGIN")
        size = Path(f"{database}-wal").stat().st_size
        for _ in range(40):
            application.execute("INSERT INTO t SELECT hex(randomblob(4000))")
        assert Path(f"{database}-wal").stat().st_size > size, "nothing was spilled"
        application.execute("ROLLBACK")
        replicate.send(signal.SIGSTOP)
        began = time.monotonic()
        assert check(config).code == 0
        assert time.monotonic() - began < 4.0
        replicate.send(signal.SIGKILL)


@pytest.mark.parametrize("flag", ["-max-lag", "-max-proof-age", "-max-verified-age"])
@pytest.mark.parametrize("text", ["5", "soon", "-1s", "0s", ""])
def test_limits_that_are_none(tmp_path: Path, flag: str, text: str) -> None:
    refuses(run("status", "-check", flag, text, "-config", write_config(tmp_path)), 2, flag)


def test_limits_without_check(tmp_path: Path) -> None:
    refuses(run("status", "-max-lag", "5m", "-config", write_config(tmp_path)), 2, "-check")
