"""The peers themselves: an outage keeps the data, and no server outlives the process that started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import peers

_START_AND_SLEEP = """
import pathlib, sys, threading
import peers
server = peers.JuiceServer(pathlib.Path(sys.argv[1]))
server.start()
print(server._process.pid, flush=True)
threading.Event().wait()
"""


def test_an_outage_keeps_port_and_data(outage_server: peers.S3Server) -> None:
    endpoint = outage_server.endpoint
    bucket = outage_server.make_bucket()
    client = outage_server.client()
    client.put_object(Bucket=bucket, Key="a", Body=b"kept")
    for kill in (False, True):
        outage_server.stop(kill=kill)
        assert not outage_server.running
        with pytest.raises(Exception, match="Could not connect"):
            client.get_object(Bucket=bucket, Key="a")
        outage_server.start()
        assert outage_server.endpoint == endpoint
        assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"kept"
    client.close()


def test_a_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", _START_AND_SLEEP, str(tmp_path / "server")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        preexec_fn=peers.die_with_parent,
    )
    assert starter.stdout is not None
    with starter.stdout:
        server = int(starter.stdout.readline())
        os.kill(server, 0)
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{server}/stat").exists() and _state(server) != "Z":
        assert time.monotonic() < deadline, "the server lives on"
        time.sleep(0.01)


def test_a_host_of_ssh_runs_commands_hangs_and_drops_its_connections(
    ssh_hosts: Callable[..., peers.SSHServer], tmp_path: Path
) -> None:
    first, second = ssh_hosts("web1"), ssh_hosts("web2")
    ssh = peers.client_folder(tmp_path / "bin", first, second) / "ssh"
    asked = subprocess.run(
        [ssh, "web1", "command -v litestream-tui; echo $LANG"], capture_output=True, text=True, timeout=30
    )
    assert (asked.stderr, asked.stdout.split("/")[-1]) == ("", "litestream-tui\nC.UTF-8\n")
    with subprocess.Popen([ssh, "web2", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"there\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"there\n"
        second.send(signal.SIGSTOP)
        second.send(signal.SIGCONT)
        assert second.drop()
        assert client.wait(30) == 255
    assert subprocess.run([ssh, "web2", "true"], timeout=30).returncode == 0


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_a_missing_binary_says_what_to_run() -> None:
    with pytest.raises(AssertionError, match="run make peers"):
        peers.peer("servers", "no-such-binary")
