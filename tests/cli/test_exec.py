"""-exec: a command beside replication. Its end is our end, its exit code ours, and everything is uploaded first."""

import ctypes
import os
import pty
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import peers
from tests.cli.program import Replicating, refuses, run, succeeds
from tests.foreign import Shell
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM, wait_until
from tui.verbs.signals import SAME_WISH_SECONDS

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
import os, signal, sys, time
def caught(number, frame):
    {write}
    os.write(1, b"caught %d\\n" % number)  # print() would fail within the one below
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
        time.sleep(2 * SAME_WISH_SECONDS)
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


IN_THE_INSTANT = """
import os, random, signal, sys, threading, time
from tui.verbs.signals import Signals
from tui.verbs.child_process import Command
chance = random.Random(int(sys.argv[1]))
for number in range(int(sys.argv[2])):
    ended = threading.Event()
    command = Command("sleep 60", ended.set)
    signals = Signals([signal.SIGTERM], command.signal)
    with signals.taken():
        wait = chance.random() * 0.006
        sender = threading.Thread(target=lambda: (time.sleep(wait), os.kill(os.getpid(), signal.SIGTERM)))
        sender.start()
        time.sleep(chance.random() * 0.003)
        command.start(signals)
        assert ended.wait(30), f"lost in run {number}"
        assert command.exit_code() == 143, command.exit_code()
        sender.join()
print("none lost")
"""


def test_no_signal_is_lost_in_the_instant_in_which_the_command_starts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_INSTANT, "1", "150"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        preexec_fn=peers.die_with_parent,
    )
    assert (done.returncode, done.stdout) == (0, "none lost\n"), done


def test_a_command_that_is_stopped_hears_of_the_end(database: Path, tmp_path: Path) -> None:
    command = python(CATCHES.format(write="pass").replace('print("ready"', "import os; print('child', os.getpid()"))
    with Replicating(tmp_path / "log", "-exec", command, database, f"file://{tmp_path}/replica") as replicate:
        child = int(replicate.wait_for("child ").split()[1])
        os.kill(child, signal.SIGSTOP)
        wait_until("it to be stopped", lambda: state_of(child) == "T")
        Shell(database).run("INSERT INTO t VALUES(2)")
        assert replicate.end() == 5
    assert restored(tmp_path) == [[1], [2]]


def state_of(pid: int) -> str:
    """The kernel's letter for the state of a process; "" once it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def test_what_is_pending_goes_while_a_command_ignores_signals(database: Path, tmp_path: Path) -> None:
    """docker kills both after ten seconds: by then all is in the replica, however rarely it is uploaded else."""
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {database}, replicas: [{{path: {tmp_path}/replica, sync-interval: 1h}}]}}]")
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    command = python(deaf + "print('deaf', flush=True)\nwhile True: time.sleep(60)")
    with (
        Shell(database).open() as writer,
        Replicating(tmp_path / "log", "-exec", command, "-config", config) as replicate,
    ):
        replicate.wait_for("deaf")
        replicate.wait_for("snapshot written")
        for number in range(2, 30):
            writer.execute(f"INSERT INTO t VALUES({number})")
        replicate.send(signal.SIGTERM)
        wait_until("the last commit", lambda: len(restored_meanwhile(tmp_path)) == 29)
        replicate.send(signal.SIGKILL)
        replicate.wait()


def restored_meanwhile(tmp_path: Path) -> list[list[Any]]:
    output = tmp_path / "meanwhile.db"
    output.unlink(missing_ok=True)
    succeeds("restore", "-o", output, f"file://{tmp_path}/replica")
    return Shell(output).rows("SELECT a FROM t")


RELOADS = """
import os, signal, sys, time
count = 0
def reload(number, frame):
    global count
    count += 1
    os.write(1, b"reload %d\\n" % count)
for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
    signal.signal(number, reload)
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(6))
print("ready", flush=True)
while True:
    time.sleep(60)
"""


def test_what_a_signal_means_is_the_command_s_business(database: Path, tmp_path: Path) -> None:
    """Many read their configuration anew at SIGHUP, as often as it comes."""
    with Replicating(tmp_path / "log", "-exec", python(RELOADS), database, f"file://{tmp_path}/replica") as replicate:
        replicate.wait_for("ready")
        numbers = (signal.SIGHUP, signal.SIGHUP, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT)
        for count, number in enumerate(numbers, 1):
            replicate.send(number)
            replicate.wait_for(f"reload {count}")
        assert "signal received" not in replicate.said
        assert replicate.end() == 6


COUNTS = """
import os, signal, sys, time
count = 0
def caught(number, frame):
    global count
    count += 1
    os.write(1, b"caught %d\\n" % count)  # print() would fail within the one below
signal.signal(signal.SIGINT, caught)
signal.signal(signal.SIGUSR1, lambda number, frame: sys.exit(count))
print("ready", flush=True)
while True:
    time.sleep(60)
"""


def test_ctrl_c_reaches_the_command_once(database: Path, tmp_path: Path) -> None:
    """The terminal sends it to both."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            peers.die_with_parent()
            arguments = ["replicate", "-exec", python(COUNTS), str(database), f"file://{tmp_path}/replica"]
            os.execve(PROGRAM, ["litestream-tui", *arguments], peers.clean_environment())
        finally:
            os._exit(99)
    said = b""

    def read_until(words: bytes) -> None:
        nonlocal said
        while words not in said:
            said += os.read(terminal, 4096)

    try:
        read_until(b"ready")
        os.write(terminal, b"\x03")
        read_until(b"signal received")
        read_until(b"caught 1")
        # By then a second one would have been sent as well: this comes after it.
        os.kill(pid, signal.SIGUSR1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    finally:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)


def as_process_1() -> None:
    """For `before`: orphans below this process are given to it, as they are to process 1."""
    pr_set_child_subreaper = 36
    assert ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0) == 0


ORPHANS = """
import os, subprocess, sys, time
for number in range(5):
    middle = subprocess.run([sys.executable, "-c", "import subprocess; print(subprocess.Popen(['sleep', '0.2']).pid)"],
        stdout=subprocess.PIPE, text=True)
    print("orphan", middle.stdout.strip(), flush=True)
print("made", flush=True)
time.sleep(600)
"""


def test_orphans_are_reaped_by_process_1(database: Path, tmp_path: Path) -> None:
    with Replicating(
        tmp_path / "log", "-exec", python(ORPHANS), database, f"file://{tmp_path}/replica", before=as_process_1
    ) as replicate:
        replicate.wait_for("made")
        orphans = [int(number) for number in re.findall(r"^orphan (\d+)$", replicate.said, re.MULTILINE)]
        assert len(orphans) == 5
        wait_until("them to be gone", lambda: not any(state_of(orphan) for orphan in orphans))
        assert replicate.end() == 143


def test_a_command_that_forks_and_ends_at_once(database: Path, tmp_path: Path) -> None:
    """What it leaves behind is its own business; its end is the end."""
    command = python("import subprocess; subprocess.Popen(['sleep', '1']); raise SystemExit(4)")
    result = run("replicate", "-exec", command, database, f"file://{tmp_path}/replica", before=as_process_1)
    assert result.code == 4
    assert restored(tmp_path) == [[1]]


def test_the_command_has_the_limit_of_descriptors_that_we_were_given(database: Path, tmp_path: Path) -> None:
    """Ours is raised; who uses select() must not get numbers beyond 1,023."""

    def usual() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))

    show = "import os, resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], "
    show += "open(f'/proc/{os.getppid()}/limits').read().split('Max open files')[1].split()[0])"
    result = run("replicate", "-exec", python(show), database, f"file://{tmp_path}/replica", before=usual)
    theirs, ours = map(int, result.out.split())
    assert theirs == 1024
    assert ours > 1024
