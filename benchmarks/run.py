"""make bench: this program and Litestream 0.3.13 in turn on the same work; medians, and their ratio.

Each line is one kind of work. The two take turns (A B A B …), so that a machine whose speed drifts is fair to both;
the ratio is the median of the ratios pair by pair, below 1 when this program is faster.
"""

import argparse
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

OURS = [str(Path(sys.executable).parent / "litestream-tui")]
THEIRS = [str(Path(__file__).parent.parent / ".peers/litestream-0.3/bin/litestream")]
DEADLINE_SECONDS = 120.0

Command = list[str]
Work = Callable[[Command, Path], float]


def main() -> int:
    """Run every kind of work in pairs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="counted pairs of each kind (default 5)")
    parser.add_argument("--megabytes", type=int, default=100, help="size of the database (default 100)")
    options = parser.parse_args()
    print(f"{'work':44}{'litestream-tui':>16}{'0.3.13':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        big = _make_database(root / "big.db", options.megabytes)
        replica = root / "replica"
        _snapshot_of(THEIRS, big, replica, root)
        size = f"{options.megabytes} MB"
        kinds: list[tuple[str, Work]] = [
            (f"first snapshot of {size}, seconds", lambda command, at: _snapshot_of(command, big, at / "replica", at)),
            (f"restore of {size}, seconds", lambda command, at: _restore(command, replica, at)),
            ("commit to object in a file replica, seconds", _commit_to_object),
        ]
        for name, work in kinds:
            _pairs(name, work, options.pairs)
    return 0


def _pairs(name: str, work: Work, pairs: int) -> None:
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(pairs + 1):
        for command, times in ((OURS, ours), (THEIRS, theirs)):
            with tempfile.TemporaryDirectory() as folder:
                seconds = work(command, Path(folder))
            if number:  # the first pair warms up
                times.append(seconds)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(f"{name:44}{statistics.median(ours):16.3f}{statistics.median(theirs):10.3f}{ratio:8.2f}", flush=True)


def _make_database(path: Path, megabytes: int) -> Path:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x BLOB)")
    for _ in range(megabytes):
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1000) "
            "INSERT INTO t(x) SELECT randomblob(500) || zeroblob(450) FROM n"
        )
        connection.commit()
    connection.close()
    return path


def _replicate(command: Command, database: Path, replica: Path) -> subprocess.Popen[bytes]:
    words = [*command, "replicate", str(database), f"file://{replica}"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(DEADLINE_SECONDS)


def _wait_for(pattern: str, replica: Path, more_than: int = 0) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(list(replica.glob(pattern))) <= more_than:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {pattern} in {replica}")
        time.sleep(0.001)


def _snapshot_of(command: Command, database: Path, replica: Path, at: Path) -> float:
    """From start of the program to the first snapshot in the replica; the database is left as it was."""
    began = time.monotonic()
    process = _replicate(command, database, replica)
    _wait_for("generations/*/snapshots/*.lz4", replica)
    seconds = time.monotonic() - began
    _stop(process)
    for leftover in database.parent.glob(f".{database.name}-litestream"):
        subprocess.run(["rm", "-rf", str(leftover)], check=True)
    return seconds


def _restore(command: Command, replica: Path, at: Path) -> float:
    began = time.monotonic()
    words = [*command, "restore", "-o", str(at / "restored.db")]
    if command is OURS:
        words += ["-integrity-check", "none"]  # Litestream does none
    subprocess.run([*words, f"file://{replica}"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def _commit_to_object(command: Command, at: Path) -> float:
    """From a commit after a quiet spell until its segment is in the replica."""
    database, replica = at / "app.db", at / "replica"
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("CREATE TABLE t(x)")
    connection.commit()
    process = _replicate(command, database, replica)
    _wait_for("generations/*/snapshots/*.lz4", replica)
    # Litestream ships a first segment of its own, for the tables that it makes.
    time.sleep(3.0)
    before = len(list(replica.glob("generations/*/wal/*.lz4")))
    began = time.monotonic()
    connection.execute("INSERT INTO t VALUES(1)")
    connection.commit()
    _wait_for("generations/*/wal/*.lz4", replica, before)
    seconds = time.monotonic() - began
    connection.close()
    _stop(process)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
