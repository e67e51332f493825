"""An image is one commit, exactly, whatever others do while it is read."""

import hashlib

import pytest

from replication.errors import DatabaseError
from tests.foreign import ForeignError
from tests.replica.bench import Bench


@pytest.fixture
def large(bench: Bench) -> Bench:
    """A database of several chunks, so that much can happen between one and the next."""
    rows = (
        "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 3000) SELECT randomblob(900) FROM n"
    )
    bench.write(f"INSERT INTO t(b) {rows}")
    bench.database.sync()
    return bench


@pytest.mark.parametrize("backfilled", [False, True], ids=["frames pending", "all backfilled"])
def test_an_image_is_exact_while_others_write_and_checkpoint(large: Bench, backfilled: bool) -> None:
    large.commit()
    if backfilled:
        result = large.database.checkpoint()
        assert result is not None
        assert result.complete
    truth = large.states[-1]
    large.app.execute("PRAGMA busy_timeout=1")
    digest, size = hashlib.sha256(), 0
    with large.database.image() as image:
        for number, chunk in enumerate(image.chunks()):
            digest.update(chunk)
            size += len(chunk)
            large.write("UPDATE t SET b = randomblob(900) WHERE a % 50 = 0")
            large.write("DELETE FROM t WHERE a > 2000 AND a % 3 = 0")
            try:
                large.app.execute(f"PRAGMA wal_checkpoint({['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'][number % 4]})")
            except ForeignError as error:
                assert "locked" in str(error)  # noqa: PT017 (either answer is right)
            large.database.sync()
    assert number >= 2
    assert size == image.size
    assert digest.hexdigest() == truth


def test_no_checkpoint_of_ours_runs_while_an_image_is_read(bench: Bench) -> None:
    bench.commit()
    with bench.database.image(), bench.database.image():
        assert bench.database.checkpoint() is None
    assert bench.database.checkpoint() is not None


def test_an_image_of_a_file_that_was_replaced_fails_and_is_never_mixed(large: Bench) -> None:
    # Most pages are in the file alone.
    large.database.checkpoint()
    large.commit()
    other = large.folder / "other.db"
    other.write_bytes(b"")
    with large.database.image() as image:
        chunks = image.chunks()
        next(chunks)
        other.rename(large.path)
        large.database.sync()
        with pytest.raises(DatabaseError):
            list(chunks)


def test_an_image_right_after_the_wal_was_restarted_without_a_commit(bench: Bench) -> None:
    before = bench.database.position
    result = bench.database.checkpoint()
    assert result is not None
    assert result.complete
    bench.app.execute("BEGIN")
    for _ in range(40):
        bench.app.execute("INSERT INTO t(b) VALUES(randomblob(900))")
    bench.database.sync()
    with bench.database.image() as image:
        # Nothing counts of the life that has begun.
        assert image.position == before
        assert hashlib.sha256(b"".join(image.chunks())).hexdigest() == bench.states[-1]
    bench.app.execute("ROLLBACK")


def test_a_database_that_is_not_open_has_no_image(bench: Bench) -> None:
    bench.database.close()
    with pytest.raises(DatabaseError, match="is not open"), bench.database.image():
        pass
