"""A first snapshot that takes longer than the WAL may grow: checkpoints of ours run under it, and it stays exact."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from replication.database import checkpoint, image, wal_copier
from replication.database.image import Image
from replication.database.wal_copier import WALTooLongError
from tests.replica.bench import Bench

WAL_BYTES_MAX = 200_000
"""In place of 4 GiB; a quarter of it is urgent, as it is of those."""
ROWS = 300


@pytest.fixture
def slow(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench with low bounds, and a database of many small chunks, most of it in the file alone."""
    monkeypatch.setattr(wal_copier, "OFFSET_LIMIT_BYTES", WAL_BYTES_MAX)
    monkeypatch.setattr(checkpoint, "WAL_OFFSET_URGENT_BYTES", WAL_BYTES_MAX // 4)
    monkeypatch.setattr(image, "CHUNK_BYTES", 8 * 1024)
    for _ in range(ROWS // 50):
        bench.write(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) "
            "INSERT INTO t(b) SELECT randomblob(900) FROM n"
        )
        bench.database.sync()
        bench.database.checkpoint()
    return bench


def read_slowly(bench: Bench, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[int], None]) -> None:
    """From now on `meanwhile` is called between any two chunks of a snapshot, with their number, and a sync follows."""
    chunks = Image.chunks

    def slowly(self: Image) -> Iterator[bytes]:
        for number, chunk in enumerate(chunks(self)):
            yield chunk
            meanwhile(number)

    monkeypatch.setattr(Image, "chunks", slowly)


class Busy:
    """An application that commits about 60 kB between two chunks; syncs go on beside, as in the engine."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.errors: list[str] = []
        self.written = 0

    def __call__(self, number: int) -> None:
        for part in range(3):
            self.bench.write(f"UPDATE t SET b = randomblob(900) WHERE a % 15 = {(number * 3 + part) % 15}")
            self.written += 20 * 1024
            try:
                self.bench.database.sync()
            except WALTooLongError as error:
                self.errors.append(str(error))


def test_a_first_snapshot_during_which_the_wal_outgrows_its_limit_begins_one_generation(
    slow: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Busy(slow)
    read_slowly(slow, monkeypatch, busy)
    for _ in range(3):
        with suppress(WALTooLongError):
            slow.database.sync()
        slow.replica().sync()
    monkeypatch.undo()
    assert busy.written > 3 * WAL_BYTES_MAX
    assert (slow.reasons(), busy.errors) == (["no generation exists"], [])
    slow.settle()
    assert slow.database.position is not None
    assert slow.database.position.index > ROWS // 50 + 3
    slow.check()
