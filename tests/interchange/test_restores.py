"""A replica with two generations, several indexes and snapshots, written by either program: all restore the same.

What we restore equals, byte for byte, what the real Litestream 0.3.13 and 0.5 restore of it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest

import peers
from replication.storage.file.location import FileLocation
from replication.storage.file.times import TICK
from replication.storage.s3.location import S3Location
from replication.storage.wal03.frame_index import INDEXED_BYTES_MIN, FrameIndex, decode
from tests.foreign import Shell
from tests.interchange.program import litestream_tui, restore03, restore05
from tests.interchange.replicated import OURS, THEIRS, Program, Replicated, sha

Item = TypeVar("Item")

COMPARED_MAX = 5
"""Indexes and times compared in each generation."""


class Written(Replicated):
    """A replica at rest, and what its database has."""

    def __init__(self, writer: Program, folder: Path) -> None:
        super().__init__(folder, FileLocation(folder / "replica"), snapshot_interval="150ms")
        self.writer = writer
        self.url = f"file://{folder / 'replica'}"
        with self.shell.open(autocheckpoint=False) as app:
            app.execute("PRAGMA journal_mode = WAL")
            app.execute("CREATE TABLE t(number INTEGER PRIMARY KEY, text TEXT, blob BLOB)")
            with self.replicate(writer) as running:
                for _ in range(30):
                    self.insert_and_see(app, running)
                app.execute("DELETE FROM t WHERE number % 2")
                app.execute("VACUUM")
                for _ in range(15):
                    self.insert_and_see(app, running)
            # What was committed unseen is checkpointed away, so that a new generation must begin.
            self.insert(app)
            app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.insert(app)
            with self.replicate(writer) as running:
                for _ in range(20):
                    self.insert_and_see(app, running)
        self.rows = self.shell.rows("SELECT number, text FROM t ORDER BY number")
        for path in (folder / "replica").rglob("*.lz4"):
            # File times have more digits than datetime keeps, and a time has to mean the same to all programs.
            whole = path.stat().st_mtime_ns // 1000 * 1000
            os.utime(path, ns=(whole, whole))


@pytest.fixture(scope="module", params=[OURS, THEIRS], ids=str)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """By our program, and by Litestream 0.3.13."""
    return Written(request.param, tmp_path_factory.mktemp("written"))


def test_the_replica_is_worth_comparing(written: Written) -> None:
    assert len(written.client.generations()) == 2
    for generation in written.client.generations():
        assert len({item.index for item in written.client.segments(generation)}) >= 3
    assert max(len(written.client.snapshots(generation)) for generation in written.client.generations()) >= 2
    tables = {row[0] for row in written.shell.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == ({"t"} if written.writer is OURS else {"t", "_litestream_lock", "_litestream_seq"})


def test_latest(written: Written, tmp_path: Path) -> None:
    litestream_tui("restore", "-o", tmp_path / "ours", written.url)
    restore03(tmp_path / "0.3", written.url)
    restore05(tmp_path / "0.5", written.url)
    assert sha(tmp_path / "ours") == sha(tmp_path / "0.3") == sha(tmp_path / "0.5")
    assert Shell(tmp_path / "0.3").rows("SELECT number, text FROM t ORDER BY number") == written.rows


def test_indexes(written: Written, tmp_path: Path) -> None:
    seen = set()
    for generation in written.client.generations():
        for index in some(sorted({item.index for item in written.client.segments(generation)})):
            where = ["-generation", generation, "-index", f"{index:x}", written.url]
            ours, theirs = tmp_path / f"{generation}-{index}", tmp_path / f"{generation}-{index}-0.3"
            litestream_tui("restore", "-o", ours, *where)
            restore03(theirs, *where)
            assert sha(ours) == sha(theirs)
            seen.add(sha(ours))
    assert len(seen) >= 6


def test_times(written: Written, tmp_path: Path) -> None:
    """At the time of a segment all programs restore what it completes, and ours what was made by then; 0.5 chooses the
    same generation by itself.
    """
    seen = set()
    for generation in written.client.generations():
        times = [item.created for item in written.client.segments(generation)]
        if written.writer is THEIRS:
            # Litestream writes a later snapshot of an index over the earlier one, and with it goes what was before.
            first = min(item.created for item in written.client.snapshots(generation))
            times = [time for time in times if time >= first]
        for number, time in enumerate(some(times)):
            # Litestream goes by the times of files as they are.
            at, theirs_at = (
                ["-timestamp", when.isoformat().replace("+00:00", "Z"), written.url] for when in (time, time - TICK)
            )
            ours, theirs, newer = (tmp_path / f"{generation}-{number}{name}" for name in ("", "-0.3", "-0.5"))
            litestream_tui("restore", "-o", ours, "-generation", generation, *at)
            restore03(theirs, "-generation", generation, *theirs_at)
            restore05(newer, *theirs_at)
            assert sha(theirs) == sha(newer)
            seen.add(sha(theirs))
            if written.writer is THEIRS:
                assert sha(ours) == sha(theirs)
            else:
                # Where commits are noted with their times, one counts that had been made though it was stored later.
                [[more]], [[less]] = (Shell(path).rows("SELECT count(*) FROM t") for path in (ours, theirs))
                assert int(more) >= int(less)
    assert len(seen) == 2 * COMPARED_MAX


def some(items: Sequence[Item]) -> list[Item]:
    """A few of the items, evenly, the first and the last among them."""
    if len(items) <= COMPARED_MAX:
        return list(items)
    return [items[number * (len(items) - 1) // (COMPARED_MAX - 1)] for number in range(COMPARED_MAX)]


@pytest.mark.parametrize(("writer", "server"), [(OURS, "weed"), (THEIRS, "juicefs")], ids=str)
def test_s3(writer: Program, server: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    store: peers.S3Server = request.getfixturevalue(server)
    location: S3Location = store.location()
    made = Replicated(tmp_path, location)
    made.shell.run("CREATE TABLE t(number INTEGER PRIMARY KEY, text TEXT, blob BLOB)")
    rows: list[list[str]] = []
    with made.replicate(writer) as running, made.shell.open() as app:
        while not rows or made.last_segment.index < 2:
            rows.append([made.insert_and_see(app, running)])
    litestream_tui("restore", "-o", tmp_path / "ours", *made.source)
    restore03(tmp_path / "0.3", *made.source)
    restore05(tmp_path / "0.5", *made.source)
    assert sha(tmp_path / "ours") == sha(tmp_path / "0.3") == sha(tmp_path / "0.5")
    assert Shell(tmp_path / "ours").rows("SELECT text FROM t ORDER BY number") == rows


def test_large_segments_bring_an_index_that_all_read_over(tmp_path: Path) -> None:
    """And Litestream goes on after one."""
    made = Replicated(tmp_path, FileLocation(tmp_path / "replica"))
    made.shell.run("CREATE TABLE t(number INTEGER PRIMARY KEY, text TEXT, blob BLOB)")
    url = f"file://{tmp_path / 'replica'}"

    def indexed() -> list[FrameIndex]:
        paths = [path for path in (tmp_path / "replica").rglob("*.wal.lz4") if path.stat().st_size > INDEXED_BYTES_MIN]
        found = [decode(path.read_bytes(), path.stat().st_size) for path in paths]
        return [item for item in found if item is not None]

    with made.replicate(OURS) as running, made.shell.open(autocheckpoint=False) as app:
        for _ in range(2):
            app.execute("INSERT INTO t(text, blob) SELECT 'large', randomblob(3000000)")
            made.insert_and_see(app, running)
    assert len(indexed()) >= 2
    with made.replicate(THEIRS) as running, made.shell.open(autocheckpoint=False) as app:
        made.insert_and_see(app, running)
    rows = made.shell.rows("SELECT number, text, length(blob) FROM t ORDER BY number")
    assert len({item.generation for item in made.client.segments(made.generation)}) == 1
    litestream_tui("restore", "-o", tmp_path / "ours", url)
    restore03(tmp_path / "0.3", url)
    restore05(tmp_path / "0.5", url)
    assert sha(tmp_path / "ours") == sha(tmp_path / "0.3") == sha(tmp_path / "0.5")
    assert Shell(tmp_path / "0.3").rows("SELECT number, text, length(blob) FROM t ORDER BY number") == rows
    # Of the six megabytes of WAL a look reads little.
    done = litestream_tui("query", "-csv", url, "SELECT count(*) FROM t WHERE text = 'large'")
    assert done.stdout.splitlines()[1] == "2"
