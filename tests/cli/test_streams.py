"""Standard streams that are closed, or that nobody reads: no reason to hang, to complain, or to write elsewhere."""

import fcntl
import os
import signal
import subprocess
import time
from itertools import combinations
from pathlib import Path

import pytest

import peers
from tests.cli.program import Replicating, no_traceback, succeeds
from tests.foreign import Shell
from tests.interchange.program import DEADLINE_SECONDS, PROGRAM, wait_until

END_SECONDS_MAX = 8.0
SLACK_SECONDS = 5.0
"""What a crowded machine may add."""
CLOSED = [numbers for count in (1, 2, 3) for numbers in combinations((0, 1, 2), count)]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES('first')")
    return path


@pytest.mark.parametrize("stderr", [False, True])
def test_it_ends_although_nobody_reads_what_it_says(database: Path, tmp_path: Path, stderr: bool) -> None:
    """Its pipe is full from the beginning."""
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"logging: {{level: debug, stderr: {str(stderr).lower()}}}\n"
        f"dbs: [{{path: {database}, replicas: [{{path: {tmp_path}/replica}}]}}]\n"
    )
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, bytes(4096))
    process = subprocess.Popen(
        [PROGRAM, "replicate", "-config", config],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        env=peers.clean_environment(),
        preexec_fn=peers.die_with_parent,
    )
    try:
        wait_until("a snapshot", lambda: list(tmp_path.glob("replica/**/*.snapshot.lz4")) != [])
        Shell(database).run("INSERT INTO t VALUES('unheard')")
        process.terminate()
        began = time.monotonic()
        assert process.wait(DEADLINE_SECONDS) == 0
        assert time.monotonic() - began < END_SECONDS_MAX + SLACK_SECONDS
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)
    output = tmp_path / "restored.db"
    succeeds("restore", "-o", output, f"file://{tmp_path}/replica")
    assert Shell(output).rows("SELECT a FROM t") == [["first"], ["unheard"]]


def test_a_reader_who_comes_back_is_told_how_many_lines_are_lost(tmp_path: Path) -> None:
    from replication.line_writer import LINES_WAITING_MAX, LineWriter

    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    lines = LineWriter(writer, lambda count: f"{count} lost\n".encode())
    total = 2 * LINES_WAITING_MAX + 1000
    for number in range(total):
        lines.put(f"line {number}\n".encode())
    assert not lines.flush(0.01)
    said = b""

    def accounted() -> int:
        """Lines that came, and those that are said to be lost: it may be said more than once."""
        found = said.decode().splitlines()
        lost = [int(line.split()[0]) for line in found if line.endswith(" lost")]
        return len([line for line in found if line.startswith("line ")]) + sum(lost)

    while not said.endswith(b"\n") or b"lost\n" not in said or accounted() < total:
        said += os.read(reader, 65536)
    assert accounted() == total
    lines.put(b"after\n")
    while b"after\n" not in said:
        said += os.read(reader, 65536)
    assert said.endswith(b"\nafter\n")
    assert accounted() == total
    assert lines.flush(DEADLINE_SECONDS)
    os.close(reader)


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: "".join(map(str, closed)))
def test_closed_descriptors_are_given_to_nobody(database: Path, tmp_path: Path, closed: tuple[int, ...]) -> None:
    """A database that is opened as 2 would be written to by an error message."""

    def close() -> None:
        for number in closed:
            os.close(number)

    with Replicating(tmp_path / "log", database, f"file://{tmp_path}/replica", before=close) as replicate:
        wait_until("a snapshot", lambda: list(tmp_path.glob("replica/**/*.snapshot.lz4")) != [])
        for number in closed:
            assert Path(f"/proc/{replicate.pid}/fd/{number}").readlink() == Path("/dev/null")
        assert replicate.end(signal.SIGTERM) == 0
        no_traceback(replicate.said)


@pytest.mark.parametrize("words", [("databases",), ("version",), ("status", "-json"), ("nonsense",), ("-h",)])
def test_closed_descriptors_are_no_bug_of_ours(database: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs: [{{path: {database}, replicas: [{{path: {tmp_path}/replica}}]}}]\n")
    codes = set()
    for closed in ((), *CLOSED):

        def close(closed: tuple[int, ...] = closed) -> None:
            for number in closed:
                os.close(number)

        done = subprocess.run(
            [PROGRAM, *words],
            env=peers.clean_environment(LITESTREAM_CONFIG=str(config)),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            preexec_fn=close,
        )
        no_traceback(done.stdout + done.stderr)
        assert "report" not in done.stderr
        codes.add(done.returncode)
    assert len(codes) == 1
