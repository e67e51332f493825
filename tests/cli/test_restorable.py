"""What is called ok is restorable, and the window of `retention` stays so: the program itself, nothing injected."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import peers
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.file.times import TICK
from replication.storage.wal03.names import parse_snapshot
from tests.cli.program import Replicating, run, succeeds
from tests.cli.test_newest_commit import litestream
from tests.foreign import ForeignConnection, Shell
from tests.interchange.program import wait_until

WINDOW_SECONDS = 2.0
CLOCK = """
import datetime, os, time

real, off = time.time, float(os.environ["CLOCK_OFF_SECONDS"])
time.time = lambda: real() + off
time.time_ns = lambda: int(time.time() * 1e9)


class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


datetime.datetime = Shifted
"""


def write_config(folder: Path, extra: str) -> Path:
    path = folder / "litestream.yml"
    path.write_text(
        f"dbs:\n- path: {folder}/app.db\n  monitor-interval: 20ms\n  min-checkpoint-page-count: 1\n"
        f"  replicas:\n  - path: {folder}/replica\n    sync-interval: 1ms\n    {extra}\n"
    )
    return path


def replica_of(config: Path) -> dict[str, Any]:
    """What status says of it. Its exit code is not 0 for as long as the replica is in error."""
    [database] = json.loads(run("status", "-config", config, "-json").out)
    [replica] = database["replicas"]
    return dict(replica)


def snapshots(folder: Path) -> list[Path]:
    return sorted((folder / "replica").rglob("*.snapshot.lz4"))


def rows(folder: Path, *flags: str) -> list[int]:
    output = folder / "out.db"
    succeeds("restore", "-o", output, *flags, f"file://{folder}/replica")
    with Shell(output).open() as restored:
        found = [int(row[0]) for row in restored.execute("SELECT n FROM t ORDER BY n")]
    for path in folder.glob("out.db*"):
        path.unlink()
    return found


def test_promise_9_an_idle_database_whose_snapshot_a_rule_removed_is_restorable_again(tmp_path: Path) -> None:
    """retention: 0, as whoever leaves it to the bucket has it."""
    config = write_config(tmp_path, "retention: 0\n    retention-check-interval: 200ms")
    with ForeignConnection(tmp_path / "app.db", autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t(n)")
        writer.execute("INSERT INTO t VALUES(1)")
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            wait_until("a proof", lambda: replica_of(config)["proven"] > 0)
            assert "checked" in succeeds("status", "-config", config).out
            for path in snapshots(tmp_path):
                path.unlink()
            line = replicate.wait_for("not restorable", "lost its snapshots")
            assert "all restore points up to" in line
            replicate.wait_for("restorable again")
            assert len(snapshots(tmp_path)) == 1
            wait_until("the loss in the status", lambda: "are lost" in replica_of(config)["lost"])
            assert replicate.end() == 0
    assert rows(tmp_path) == [1]
    assert replica_of(config)["proven"] > 0


@pytest.mark.parametrize("which", ["an index that is over", "the index in use", "an index of Litestream's"])
def test_promise_9_a_hole_that_lost_renames_left_in_an_earlier_run_is_found(tmp_path: Path, which: str) -> None:
    """The mount had acknowledged it, and forgot it once the program had ended: no listing shows that."""
    config = write_config(tmp_path, "retention-check-interval: 200ms")
    with ForeignConnection(tmp_path / "app.db", autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t(n)")
        number = 0

        def commits(count: int) -> None:
            nonlocal number
            for _ in range(count):
                number += 1
                before = _segments(tmp_path)
                writer.execute(f"INSERT INTO t VALUES({number})")
                wait_until("a segment", lambda: bool(_segments(tmp_path) - before))  # noqa: B023

        if which == "an index of Litestream's":
            with litestream(tmp_path / "app.db", tmp_path / "replica"):
                wait_until("a snapshot", lambda: snapshots(tmp_path) != [])
                commits(6)
        else:
            # Nothing is checkpointed, so that all of them are in one index.
            config.write_text(config.read_text().replace("page-count: 1\n", "page-count: 100000\n"))
            with Replicating(tmp_path / "first", "-config", config) as replicate:
                commits(6)
                assert replicate.end() == 0
            if which == "an index that is over":
                config.write_text(config.read_text().replace("page-count: 100000\n", "page-count: 1\n"))
                with Replicating(tmp_path / "second", "-config", config) as replicate:
                    commits(3)
                    assert replicate.end() == 0
        # Litestream may have begun another index in between: it is done by the clock.
        indexes = [sorted((tmp_path / "replica").rglob(f"{index:08x}_*.wal.lz4")) for index in range(2)]
        lost = max(indexes, key=len)[2]
        lost.unlink()
        with Replicating(tmp_path / "log", "-config", config) as replicate:
            line = replicate.wait_for("not restorable", lost.name)
            assert "the restore points after" in line
            # By a snapshot, or where the hole is in the index in use by a generation that begins with one.
            wait_until("a proof", lambda: replica_of(config)["state"] == "ok" and not replica_of(config)["error"])
            commits(1)
            assert replicate.end() == 0
        assert "are lost" in replica_of(config)["lost"]
    assert rows(tmp_path) == list(range(1, number + 1))


@pytest.mark.parametrize("off", [365 * 86400, -365 * 86400], ids=["ahead", "behind"])
def test_promise_3_a_year_of_a_wrong_clock_costs_no_restore_point(tmp_path: Path, off: int) -> None:
    """One run with the machine's clock a year off, the store's right: what a right clock would keep stays.

    The clock of one process cannot be set, so Python's is, before anything of the program is loaded.
    """
    config = write_config(tmp_path, "retention: 1h\n    retention-check-interval: 100ms\n    snapshot-interval: 1s")
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)
    wrong = peers.clean_environment(PYTHONPATH=str(tmp_path / "clock"), CLOCK_OFF_SECONDS=str(off))
    with ForeignConnection(tmp_path / "app.db", autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t(n)")
        times: list[float] = []

        def commit() -> None:
            before = wal()
            writer.execute(f"INSERT INTO t VALUES({len(times) + 1})")
            wait_until("a segment", lambda: wal() > before)
            # By its time it may have come as much later.
            times.append(time.time() + TICK.total_seconds())
            wait_until("that time", lambda: time.time() > times[-1])

        def wal() -> int:
            """Segments with content: an end mark is no commit."""
            paths = map(Path, _segments(tmp_path))
            return sum(any(DEFAULT_CODEC.open("", [path.read_bytes()])) for path in paths)

        for environment in (peers.clean_environment(), wrong, peers.clean_environment()):
            with Replicating(tmp_path / f"log{len(times)}", "-config", config, environment=environment) as replicate:
                # Before that a commit may begin the WAL anew, which costs a generation.
                replicate.wait_for("replica position" if times else "snapshot written")
                wait_until("what was there before", lambda: wal() > len(times))
                there = len(snapshots(tmp_path))
                commit()
                checked = time.time()
                while len(snapshots(tmp_path)) < there + 1 or time.time() < checked + 0.5:
                    commit()
                wrong_year = f"{(datetime.now(UTC) + timedelta(seconds=off)).year}-"
                assert (wrong_year in replicate.said) == (environment is wrong)
                assert replicate.end() == 0
        # The next snapshot is not due in a year either: each run has made some.
        assert len(list((tmp_path / "replica" / "generations").iterdir())) == 1
    for number in range(0, len(times), max(1, len(times) // 3)):
        stamp = datetime.fromtimestamp(times[number], UTC).isoformat()
        assert rows(tmp_path, "-timestamp", stamp) == list(range(1, number + 2))


def test_promise_3_a_reader_that_never_ends_costs_nothing_of_the_window(tmp_path: Path) -> None:
    """It keeps the index from ending for longer than the window is."""
    config = write_config(tmp_path, f"retention: {WINDOW_SECONDS:.0f}s\n    retention-check-interval: 500ms")
    path = tmp_path / "app.db"
    committed: list[tuple[float, int]] = []
    log = tmp_path / "log"
    with ForeignConnection(path, autocheckpoint=False) as writer, Replicating(log, "-config", config) as replicate:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t(n)")

        def commit() -> None:
            number = len(committed) + 1
            before = _segments(tmp_path)
            writer.execute(f"INSERT INTO t VALUES({number})")
            wait_until("a segment", lambda: bool(_segments(tmp_path) - before))
            committed.append((time.time(), number))

        while not any(parse_snapshot(item.name) for item in snapshots(tmp_path)):
            # An older snapshot is there, and one of the index that is not going to end.
            commit()
        with ForeignConnection(path) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM t")
            began = time.time()
            while time.time() < began + 3 * WINDOW_SECONDS:
                commit()
                # One from before the window is there at any time: what it leads to is the window.
                assert _oldest_snapshot(tmp_path) <= time.time() - WINDOW_SECONDS + 0.2
            asked = time.time() - WINDOW_SECONDS + 1.0
            stamp = datetime.fromtimestamp(asked, UTC).isoformat()
            found = rows(tmp_path, "-timestamp", stamp)
            reader.execute("ROLLBACK")
        assert max(found) >= max(number for when, number in committed if when < asked - 0.2)
        assert max(found) < len(committed)
        assert replicate.end() == 0


def _oldest_snapshot(folder: Path) -> float:
    times = []
    for path in snapshots(folder):
        with suppress(FileNotFoundError):  # retention removed it just now
            times.append(path.stat().st_mtime)
    return min(times)


def _segments(folder: Path) -> set[str]:
    return {str(path) for path in (folder / "replica").rglob("*.wal.lz4")}
