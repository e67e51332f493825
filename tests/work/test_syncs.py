"""What shipping costs: bytes read for each byte of WAL, and system calls of a sync.

Counted by the kernel for the thread or the process (/proc/.../io): reads, writes and their bytes, whatever the load.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.running import config_of, in_step, only, running, until
from tests.foreign import ForeignConnection, Shell
from tests.replica.bench import Bench

ROWS = 1500
LITTLE_BYTES = 4096
ROW_BYTES = 3000
"""So that each row is a page of its own, and a frame of 4120 bytes."""
CALLS_MAX = 20
"""Reads and writes of a sync that finds one small commit: header, last frame, what is new, and the shadow WAL."""
QUIET_CALLS_MAX = 8
"""Of a sync that finds nothing: the WAL index twice, the WAL's header, the last frame copied, and what follows it."""
SYNC_READS_MAX = 1.1
"""Bytes read for each byte that is copied: once, and a little for what is looked at before."""
SHIPPING_READS_MAX = 4.5
"""Once to copy, once to upload, once by SQLite when it copies the WAL back; and a transaction that is looked at while
it is written is read again."""
SHIPPING_WRITES_MAX = 3.3
"""To the shadow WAL, to the replica (these bytes LZ4 cannot shrink), and back to the database."""


@dataclass(frozen=True)
class Work:
    """Calls that read or write, and the bytes of each kind."""

    calls: int
    read: int
    written: int


def work_of(what: Callable[[], object], task: str = "thread-self") -> Work:
    """What a call costs this thread, or the process ("self")."""

    def now() -> dict[str, int]:
        lines = Path(f"/proc/{task}/io").read_text().splitlines()
        return {name: int(count) for name, count in (line.split(": ") for line in lines)}

    before = now()
    what()
    after = now()
    # To look costs a read or two as well, of about so much.
    looked = len(str(before)) * 2
    calls = after["syscr"] + after["syscw"] - before["syscr"] - before["syscw"]
    return Work(calls, after["rchar"] - before["rchar"] - looked, after["wchar"] - before["wchar"])


def insert(app: ForeignConnection, rows: int) -> None:
    app.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
        f"INSERT INTO w SELECT randomblob({ROW_BYTES}) FROM n"
    )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, 4096)
    bench.app.execute("CREATE TABLE w(b BLOB)")
    bench.database.sync()
    yield bench
    bench.close()


def test_a_sync_reads_what_was_written_once(bench: Bench) -> None:
    before = bench.database.position
    insert(bench.app, ROWS)
    work = work_of(bench.database.sync)
    assert before is not None
    assert bench.database.position is not None
    copied = bench.database.position.offset - before.offset
    assert copied > ROWS * ROW_BYTES
    assert copied - LITTLE_BYTES <= work.read <= copied * SYNC_READS_MAX
    assert copied <= work.written <= copied + LITTLE_BYTES


def test_a_sync_of_a_small_commit_and_one_of_nothing_cost_few_calls(bench: Bench) -> None:
    bench.app.execute("INSERT INTO w VALUES(1)")
    assert work_of(bench.database.sync).calls <= CALLS_MAX
    bench.database.sync()
    assert work_of(bench.database.sync).calls <= QUIET_CALLS_MAX


def test_an_upload_reads_what_it_sends_once(bench: Bench) -> None:
    replica = bench.replica()
    replica.sync()
    insert(bench.app, ROWS)
    before = bench.database.position
    bench.database.sync()
    assert before is not None
    assert bench.database.position is not None
    pending = bench.database.position.offset - before.offset
    work = work_of(replica.sync)
    assert pending - LITTLE_BYTES <= work.read <= pending * SYNC_READS_MAX


def test_shipping_reads_and_writes_each_byte_a_few_times_with_checkpoints_and_all(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with Shell(path).open(autocheckpoint=False) as app:
        app.execute("PRAGMA journal_mode=wal")
        app.execute("CREATE TABLE w(b BLOB)")
        with running(config_of(path, tmp_path / "r", pages_min=1000, monitor_seconds=1.0, sync_seconds=1.0)) as engine:
            until(lambda: in_step(engine))
            shipped = 0

            def ship() -> None:
                nonlocal shipped
                for _ in range(4):
                    for _ in range(10):
                        insert(app, 200)
                        shipped += 200 * 4120
                    until(lambda: in_step(engine))

            work = work_of(ship, "self")
            position = only(engine).position
    assert position is not None
    assert position.index >= 2, "there were too few checkpoints for this test to say much"
    assert work.read <= shipped * SHIPPING_READS_MAX
    assert work.written <= shipped * SHIPPING_WRITES_MAX
