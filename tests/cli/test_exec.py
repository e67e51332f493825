"""-exec: a command beside replication. Its end is our end, its exit code ours, and everything is uploaded first."""

import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Replicating, refuses, run, succeeds
from tests.foreign import Shell

WRITE = "import sqlite3, sys\nc = sqlite3.connect({path!r})\nc.execute('INSERT INTO t VALUES(2)')\nc.commit()\n"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    return path


def python(code: str) -> str:
    """A command line that runs Python."""
    return shlex.join([sys.executable, "-c", code])


def restored(tmp_path: Path) -> list[list[Any]]:
    output = tmp_path / "restored" / "app.db"
    succeeds("restore", "-o", output, f"file://{tmp_path}/replica")
    return Shell(output).rows("SELECT a FROM t ORDER BY rowid")


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_of_the_command_is_returned(database: Path, tmp_path: Path, code: int) -> None:
    """Litestream turns every code into 1, and uploads nothing after a failure."""
    command = python(WRITE.format(path=str(database)) + f"print('hello from the command')\nsys.exit({code})")
    result = run("replicate", "-exec", command, database, f"file://{tmp_path}/replica")
    assert (result.code, result.out) == (code, "hello from the command\n")
    assert "subprocess exited, litestream-tui shutting down" in result.err
    assert restored(tmp_path) == [[1], [2]]


def test_a_command_that_ends_before_the_first_snapshot(database: Path, tmp_path: Path) -> None:
    """An idle database, of which there is nothing but a snapshot to send."""
    assert run("replicate", "-exec", "true", database, f"file://{tmp_path}/replica").code == 0
    assert restored(tmp_path) == [[1]]


def test_a_command_that_dies_of_a_signal(database: Path, tmp_path: Path) -> None:
    command = python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run("replicate", "-exec", command, database, f"file://{tmp_path}/replica").code == 128 + signal.SIGKILL


CATCHES = """
import signal, sys, time
def caught(number, frame):
    {write}
    print("caught", number, flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, caught)
signal.signal(signal.SIGINT, caught)
print("ready", flush=True)
while True:
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_and_waited_for(database: Path, tmp_path: Path, number: signal.Signals) -> None:
    """What the command writes while it ends is in the replica, whatever code it ends with."""
    write = f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('INSERT INTO t VALUES(2)'); c.commit()"
    command = python(CATCHES.format(write=write))
    with Replicating(tmp_path / "log", "-exec", command, database, f"file://{tmp_path}/replica") as replicate:
        replicate.wait_for("ready")
        assert replicate.end(number) == 5
    assert f"caught {int(number)}" in replicate.out
    assert restored(tmp_path) == [[1], [2]]


def test_a_second_signal_ends_both(database: Path, tmp_path: Path) -> None:
    deaf = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    command = python(deaf + "print('child', os.getpid(), flush=True)\nwhile True: time.sleep(60)")
    with Replicating(tmp_path / "log", "-exec", command, database, f"file://{tmp_path}/replica") as replicate:
        child = Path("/proc") / replicate.wait_for("child ").split()[1]
        replicate.send(signal.SIGTERM)
        replicate.wait_for("signal received")
        assert child.exists()
        assert replicate.end() == 143
    status = child / "stat"
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_exec_of_the_configuration(database: Path, tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    command = python("raise SystemExit(7)")
    config.write_text(f"dbs: [{{path: {database}, replicas: [{{path: {tmp_path}/replica}}]}}]\nexec: {command!r}\n")
    assert run("replicate", "-config", config).code == 7
    assert run("replicate", "-config", config, "-exec", python("raise SystemExit(8)")).code == 8


def test_a_command_that_is_not_there(database: Path, tmp_path: Path) -> None:
    result = run("replicate", "-exec", "nosuchprogram --port 1", database, f"file://{tmp_path}/replica")
    refuses(result, 2, "cannot run nosuchprogram", "No such file or directory")
