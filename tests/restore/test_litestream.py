"""Replicas that the real Litestream 0.3.13 wrote: what we restore equals what it restores itself, byte for
byte."""

import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peers import clean_environment, die_with_parent, litestream03
from replication.errors import NoRestorePointError
from replication.history.wal03.stretches import stretches
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreResult, restore
from replication.restore.target import AtIndex, AtPosition, AtTime
from replication.restore.wal03.catalog import read_catalog
from replication.storage.file.storage import FileStorage
from replication.storage.file.times import TICK
from replication.storage.wal03.replica_client import ReplicaClient
from tests.foreign import ForeignConnection
from tests.history.looking import Cached, content

pytestmark = pytest.mark.usefixtures("batches")

DEADLINE_SECONDS = 30.0


class Replicated:
    """A database with a real Litestream beside it."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "fruits.db"
        self.root = folder / "replica"
        self.config = folder / "litestream.yml"
        self.config.write_text(
            f"dbs:\n- path: {self.database}\n  monitor-interval: 20ms\n  checkpoint-interval: 100ms\n"
            f"  min-checkpoint-page-count: 20\n  replicas:\n  - type: file\n    path: {self.root}\n"
            "    sync-interval: 20ms\n    snapshot-interval: 200ms\n"
        )
        self.client = ReplicaClient(FileStorage(self.root))

    @contextmanager
    def litestream(self) -> Iterator[None]:
        process = subprocess.Popen(
            [litestream03(), "replicate", "-config", self.config],
            env=clean_environment(),
            preexec_fn=die_with_parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=DEADLINE_SECONDS)

    def restore(self, output: Path, *options: str) -> None:
        """What Litestream restores."""
        subprocess.run(
            [litestream03(), "restore", "-o", output, *options, f"file://{self.root}"],
            env=clean_environment(),
            check=True,
            capture_output=True,
        )

    def wait(self, what: str) -> None:
        """Until the newest row is in the replica: its text is in what Litestream restores."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        probe = self.root.parent / "probe"
        while True:
            shutil.rmtree(probe, ignore_errors=True)
            try:
                self.restore(probe / "out")
                if what.encode() in (probe / "out").read_bytes():
                    return
            except subprocess.CalledProcessError:
                pass
            assert time.monotonic() < deadline, f"{what} never arrived"


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Replicated:
    """Two generations, the first of several indexes and snapshots."""
    made = Replicated(tmp_path_factory.mktemp("litestream"))
    with ForeignConnection(made.database, autocheckpoint=False) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t(a, b)")
        with made.litestream():
            for number in range(40):
                writer.execute(f"INSERT INTO t VALUES({number}, zeroblob(9000) || 'row {number};')")
                if number % 3 == 2:
                    made.wait(f"row {number};")
            writer.execute("DELETE FROM t WHERE a % 2")
            writer.execute("VACUUM")
            writer.execute("INSERT INTO t VALUES('middle', 'middle row;')")
            made.wait("middle row;")
        # Frames that Litestream never saw are checkpointed away: it must begin a new generation.
        writer.execute("INSERT INTO t VALUES('unseen', 'unseen row;')")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writer.execute("INSERT INTO t VALUES('unseen too', 'second unseen row;')")
        with made.litestream():
            for number in range(40, 60):
                writer.execute(f"INSERT INTO t VALUES({number}, zeroblob(9000) || 'row {number};')")
                if number % 3 == 2:
                    made.wait(f"row {number};")
            made.wait("row 59;")
    for path in made.root.rglob("*.lz4"):
        # File times have more digits than datetime keeps, and a point in time has to mean the same to both
        # programs.
        whole = path.stat().st_mtime_ns // 1000 * 1000
        os.utime(path, ns=(whole, whole))
    assert len(made.client.generations()) == 2
    return made


def ours(made: Replicated, output: Path, options: RestoreOptions) -> RestoreResult:
    return restore([OpenReplica("file", made.client.storage)], output, options)


def same(one: Path, other: Path) -> bool:
    return hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()


def test_latest(replicated: Replicated, tmp_path: Path) -> None:
    result = ours(replicated, tmp_path / "ours", RestoreOptions(integrity_check="full"))
    replicated.restore(tmp_path / "theirs")
    assert same(tmp_path / "ours", tmp_path / "theirs")
    assert result.check == "ok"
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o600


def test_every_index(replicated: Replicated, tmp_path: Path) -> None:
    indexes = 0
    for generation in replicated.client.generations():
        catalog = read_catalog(replicated.client, generation)
        assert not any(item.note for item in catalog.snapshots)
        for index in sorted({item.index for item in catalog.segments if item.index >= catalog.snapshots[0].info.index}):
            output = tmp_path / f"{generation}-{index}"
            ours(replicated, output, RestoreOptions(generation=generation, target=AtIndex(index)))
            theirs = tmp_path / f"{generation}-{index}-theirs"
            replicated.restore(theirs, "-generation", generation, "-index", f"{index:x}")
            assert same(output, theirs)
            indexes += 1
    assert indexes > 3


def test_promise_3_every_moment(replicated: Replicated) -> None:
    """Of all commits that can be looked at the pages are those that a restore gives, read from the store."""
    compared = 0
    for generation in replicated.client.generations():
        sources, options = [OpenReplica("file", replicated.client.storage)], RestoreOptions(generation=generation)
        for timeline in stretches(sources, options, Cached(), threading.Event(), lambda words: None):
            for end in timeline.ends()[::5]:
                position = timeline.position(end)
                output = replicated.root.parent / "moment"
                ours(replicated, output, RestoreOptions(target=AtPosition(position), integrity_check="none"))
                assert content(timeline.moment(position)) == output.read_bytes()
                output.unlink()
                compared += 1
    assert compared > 5


def test_every_segment_time(replicated: Replicated, tmp_path: Path) -> None:
    """At the time of each segment we restore what Litestream does, where both can."""
    compared = 0
    for generation in replicated.client.generations():
        for number, segment in enumerate(replicated.client.segments(generation)):
            if number % 2:
                continue
            output, theirs = tmp_path / f"{generation}-{number}", tmp_path / f"{generation}-{number}-theirs"
            target = AtTime(segment.created)
            # Litestream goes by the times of files as they are.
            moment = (segment.created - TICK).isoformat().replace("+00:00", "Z")
            try:
                ours(replicated, output, RestoreOptions(generation=generation, target=target))
            except NoRestorePointError:
                continue
            try:
                replicated.restore(theirs, "-generation", generation, "-timestamp", moment)
            except subprocess.CalledProcessError:
                # Its snapshot of this index was replaced by a later one; content proves to us that it still
                # serves.
                continue
            assert same(output, theirs)
            compared += 1
    assert compared > 3
