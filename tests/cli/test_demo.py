"""The demo: it works, it can fail, and it leaves nothing behind."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import peers
import tui.demo.play
import tui.demo.seaweedfs
from replication.restore import restore as restoring
from tui.cli import main

PROGRAM = [sys.executable, "-m", "tui.cli"]
EQUAL = "compared with the database at that commit: equal, page for page"


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The demo in a process of its own, with `folder` for its temporary files."""
    return subprocess.Popen(
        [*PROGRAM, "demo", *arguments],
        env=peers.clean_environment(TMPDIR=str(folder)),
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=peers.die_with_parent,
    )


def pids(text: str) -> list[int]:
    """Every process that the demo says it started."""
    return [int(number) for number in re.findall(r"\(pid (\d+)\)", text)]


def gone(pid: int) -> bool:
    """True when the process has ended within a few seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def restore_positions(text: str) -> list[str]:
    return re.findall(r"Position: ([0-9a-f]{16}/[0-9a-f]{8}:\d+)", text)


def test_to_a_folder_that_is_kept(tmp_path: Path) -> None:
    """Both restores are equal, and the commands that it proposes work on what it left."""
    folder = tmp_path / "kept here"
    demo = start(tmp_path / "none", "-dir", str(folder))
    output, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (0, "")
    assert output.count(EQUAL) == 2
    assert output.count("full check ok") == 2
    assert "300 fruits in before.db, 0 in latest.db" in output
    assert "\x1b" not in output
    [writer] = pids(output)
    assert gone(writer)
    proposed = [shlex.split(line) for line in output.split("Try next:")[1].splitlines() if line.strip()]
    assert [words[:2] for words in proposed] == [
        ["litestream-tui", verb] for verb in ("generations", "wal", "restore", "replicate")
    ]
    for words in proposed[:3]:
        run = subprocess.run([*PROGRAM, *words[1:]], capture_output=True, text=True, timeout=60, check=False)
        assert (run.returncode, run.stderr) == (0, "")
        assert restore_positions(output)[0].partition("/")[0] in run.stdout
    assert (folder / "mine.db").read_bytes() == (folder / "before.db").read_bytes()
    assert (folder / "mine.db").read_bytes() != (folder / "latest.db").read_bytes()


def test_to_a_real_s3_server(tmp_path: Path) -> None:
    demo = start(tmp_path, "-s3")
    output, errors = demo.communicate(timeout=90)
    assert (demo.returncode, errors) == (0, "")
    assert output.count(EQUAL) == 2
    server, writer = pids(output)
    assert gone(server)
    assert gone(writer)
    port = re.search(r"SeaweedFS answers at http://127.0.0.1:(\d+)", output)
    assert port is not None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port[1]))) != 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    demo = start(tmp_path, "-s3")
    assert demo.stdout is not None
    output = ""
    while "2. Replication has begun" not in output:
        line = demo.stdout.readline()
        assert line, output
        output += line
    assert list(tmp_path.iterdir()) != []
    demo.send_signal(number)
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert errors == "litestream-tui: interrupted\n"
    assert len(pids(output)) == 2
    for pid in pids(output):
        assert gone(pid)
    assert list(tmp_path.iterdir()) == []


def test_a_restore_that_differs_fails_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One byte of one restored page is enough, although SQLite's own check finds nothing wrong."""

    def restore(*arguments: Any) -> restoring.RestoreResult:
        result = restoring.restore(*arguments)
        with result.output.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))
        return result

    monkeypatch.setattr(tui.demo.play, "restore", restore)
    monkeypatch.setattr(tui.demo.play, "COMMIT_SECONDS", 0.1)
    assert main(["demo", "-dir", str(tmp_path / "demo")]) == 1
    output, errors = capfd.readouterr()
    assert "DIFFERENT" in output
    assert EQUAL not in output
    assert "A restored database differs from its source" in errors


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fruits.db").write_text("mine")
    assert main(["demo", "-dir", str(tmp_path)]) == 2
    assert f"{tmp_path} is not empty" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["fruits.db"]
    assert (tmp_path / "fruits.db").read_text() == "mine"


def test_a_missing_server_program_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tui.demo.seaweedfs, "FETCHED", tmp_path / "weed")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["demo", "-s3", "-dir", str(tmp_path / "demo")]) == 2
    assert "run make peers" in capfd.readouterr().err
    assert not (tmp_path / "demo").exists()
