"""The unit of contrib/ as it is, under a real systemd with all its walls: replication, restart, watchdog, end."""

import signal
import time
from pathlib import Path

import pytest

from tests.cli.program import run
from tests.foreign import Shell
from tests.interchange.program import wait_until
from tests.service import systemd
from tests.service.systemd import NAME, Systemd

CONFIG = """\
dbs:
  - path: /srv/app/app.db
    monitor-interval: 50ms
    replicas:
      - path: /srv/app/backup
      - name: far
        url: s3://bucket/app
        endpoint: http://127.0.0.1:9
        access-key-id: aaaaaaaaaaaaaaaaaaaa
        secret-access-key: bbbbbbbbbbbbbbbbbbbb
"""
WRITE = "import sqlite3, sys; c = sqlite3.connect('/srv/app/app.db'); c.execute('PRAGMA journal_mode=WAL'); "
STOP_SECONDS_MAX = 8.0
SLACK_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _one_can_be_run() -> None:
    if words := systemd.cannot():
        pytest.skip(words)


def write(machine: Systemd, sql: str) -> None:
    """As the application does, whose user owns the database."""
    code = f"{WRITE}c.execute({sql!r}); c.commit()"
    machine.run(
        "env",
        "PYTHONHOME=/opt/python",
        "LD_LIBRARY_PATH=/opt/python/lib",
        "/opt/python/bin/python3",
        "-c",
        code,
        user="app",
    )


def backup(machine: Systemd) -> Path:
    return Path(f"/proc/{machine.pid}/root/srv/app/backup")


def segments(machine: Systemd) -> int:
    return len(list(backup(machine).rglob("*.wal.lz4")))


def test_it_replicates_behind_its_walls_and_ends_in_good_order(tmp_path: Path) -> None:
    with systemd.running(tmp_path, CONFIG) as machine:
        machine.wait("ActiveState", "active")
        assert "does not exist yet" in machine.show("StatusText")
        write(machine, "CREATE TABLE t(a)")
        wait_until("a snapshot", lambda: list(backup(machine).rglob("*.snapshot.lz4")) != [], lambda: machine.log)
        # A socket can be made, and nobody is at the other end: that is no refusal of the walls.
        machine.wait_for_words("onnection refused")
        pid = machine.show("MainPID")
        walls = Path(f"/proc/{machine.pid}/root/proc/{pid}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in walls.splitlines() if ":\t" in line)
        assert (facts["NoNewPrivs"], facts["Seccomp"], facts["CapBnd"]) == ("1", "2", "0" * 16)
        assert facts["Uid"].split()[0] == "990"
        for place in ("/etc", "/opt", "/var", "/srv", "/usr"):
            inside = ["nsenter", "--target", pid, "--mount", "--", "touch", f"{place}/x"]
            machine.run(*inside, code=1)
        machine.run("nsenter", "--target", pid, "--mount", "--", "touch", "/srv/app/x")
        before = segments(machine)
        write(machine, "INSERT INTO t VALUES('second')")
        wait_until("a segment", lambda: segments(machine) > before, lambda: machine.log)
        write(machine, "INSERT INTO t VALUES('last')")
        began = time.monotonic()
        machine.run("systemctl", "stop", NAME)
        assert time.monotonic() - began < STOP_SECONDS_MAX + SLACK_SECONDS
        assert (machine.show("Result"), machine.show("ActiveState")) == ("success", "inactive")
        output = tmp_path / "restored.db"
        assert run("restore", "-o", output, f"file://{backup(machine)}").code == 0
    assert Shell(output).rows("SELECT a FROM t ORDER BY rowid") == [["second"], ["last"]]
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert "Operation not permitted" not in (tmp_path / "log").read_text()


def test_it_is_started_again_after_a_crash_and_goes_on(tmp_path: Path) -> None:
    with systemd.running(tmp_path, CONFIG) as machine:
        machine.wait("ActiveState", "active")
        write(machine, "CREATE TABLE t(a)")
        wait_until("a snapshot", lambda: list(backup(machine).rglob("*.snapshot.lz4")) != [], lambda: machine.log)
        machine.run("systemctl", "kill", f"--signal={signal.SIGKILL.name}", NAME)
        machine.wait("NRestarts", "1")
        machine.wait("ActiveState", "active")
        wait_until("the same generation", lambda: "generation continues" in machine.log, lambda: machine.log)


def test_a_configuration_that_is_wrong_is_not_tried_again_and_again(tmp_path: Path) -> None:
    with systemd.running(tmp_path, "dbs: [{paht: /srv/app/app.db}]") as machine:
        machine.wait("ActiveState", "failed")
        assert (machine.show("ExecMainStatus"), machine.show("NRestarts")) == ("3", "0")


def test_a_hang_of_all_databases_ends_in_a_restart_by_the_watchdog(tmp_path: Path) -> None:
    hanging = (
        "[Service]\nWatchdogSec=3\nExecStart=\n"
        "Environment=PYTHONHOME=/opt/python PYTHONPATH=/opt/source:/opt/site PYTHONDONTWRITEBYTECODE=1\n"
        "Environment=LD_LIBRARY_PATH=/opt/python/lib\n"
        "ExecStart=/opt/python/bin/python3 -m tests.service.hanging app.db /srv/app/hang "
        "replicate -config /etc/litestream.yml\n"
    )
    with systemd.running(tmp_path, CONFIG, hanging) as machine:
        machine.wait("ActiveState", "active")
        write(machine, "CREATE TABLE t(a)")
        wait_until("a snapshot", lambda: list(backup(machine).rglob("*.snapshot.lz4")) != [], lambda: machine.log)
        machine.run("touch", "/srv/app/hang")
        wait_until("the hang in the log", lambda: "nothing is copied any more" in machine.log, lambda: machine.log)
        # By itself it would hang on.
        wait_until("a restart", lambda: int(machine.show("NRestarts")) > 0, lambda: machine.log)
        machine.run("rm", "/srv/app/hang")
        wait_until("the same generation", lambda: "generation continues" in machine.log, lambda: machine.log)
