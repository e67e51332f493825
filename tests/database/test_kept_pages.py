"""Checkpoints of ours under an open image: what they write over was kept, and the image is one commit all the same."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from replication import steps
from replication.database import checkpoint, image, kept_pages, wal_copier
from replication.database.database import Database
from replication.database.wal_copier import WALTooLongError
from replication.sqlite import barrier, pin
from tests.foreign import ForeignError, Shell
from tests.replica.bench import Bench

MODES = ("PASSIVE", "FULL", "RESTART", "TRUNCATE")
ROWS = 300


@pytest.fixture
def urgent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A database of many small chunks, all of it in the file alone, whose WAL must be checkpointed at every sync."""
    monkeypatch.setattr(checkpoint, "WAL_OFFSET_URGENT_BYTES", 1000)
    monkeypatch.setattr(image, "CHUNK_BYTES", 8 * 1024)
    rows = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) SELECT randomblob(900)"
    bench.write(f"INSERT INTO t(b) {rows} FROM n")
    bench.database.sync()
    # Of the next index, which has few pages in the shadow WAL.
    bench.commit()
    bench.app.execute("PRAGMA busy_timeout=1")
    return bench


def tried(bench: Bench, sql: str) -> bool:
    """Something of the application's, which may meet a lock."""
    try:
        bench.app.execute(sql)
    except ForeignError as error:
        assert "locked" in str(error)  # noqa: PT017 (either answer is right)
        return False
    return True


def read(bench: Bench, meanwhile: Callable[[int], object]) -> tuple[str, str]:
    """The state when an image was opened, and what is read of it while `meanwhile` is called between the chunks."""
    bench.database.sync()
    truth, digest = bench.app.sha256(), hashlib.sha256()
    with bench.database.image() as opened:
        for number, chunk in enumerate(opened.chunks()):
            digest.update(chunk)
            meanwhile(number)
        size = opened.size
    assert number > 5
    assert size > 0
    return truth, digest.hexdigest()


def checkpoints(bench: Bench) -> list[dict[str, object]]:
    return [values for _, message, values in bench.told if message == "checkpoint"]


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.explores) for seed in range(3, 40))])
def test_promise_3_an_image_is_one_commit_although_checkpoints_of_ours_run_under_it(urgent: Bench, seed: int) -> None:
    chance = random.Random(seed)
    before = len(checkpoints(urgent))
    if seed % 2:
        # Some pages are in the shadow WAL, and frames are pending as the image begins.
        with Shell(urgent.path).open() as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM t")
            urgent.write("UPDATE t SET b = randomblob(900) WHERE a % 40 = 0")
            urgent.database.sync()

    def meanwhile(number: int) -> None:
        for _ in range(chance.randrange(3)):
            tried(
                urgent,
                chance.choice(
                    (
                        f"UPDATE t SET b = randomblob(900) WHERE a % 20 = {chance.randrange(20)}",
                        f"DELETE FROM t WHERE a > {chance.randrange(ROWS // 2, ROWS)}",
                        "INSERT INTO t(b) SELECT randomblob(900) FROM t LIMIT 60",
                        "VACUUM",
                        f"PRAGMA wal_checkpoint({chance.choice(MODES)})",
                    )
                ),
            )
            if chance.random() < 0.7:
                urgent.database.sync()
        tried(urgent, f"PRAGMA wal_checkpoint({chance.choice(MODES)})")

    for _ in range(3):
        truth, found = read(urgent, meanwhile)
        assert found == truth
    assert urgent.reasons() == ["no generation exists"]
    assert sum(bool(values["backfilled"]) for values in checkpoints(urgent)[before:]) > 10, "none ran under it"


def test_promise_3_an_image_is_exact_whatever_comes_between_the_steps_of_such_a_checkpoint(
    urgent: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step the application commits, where it may, and somebody else copies back all that may be."""
    chance = random.Random(1)
    other = Shell(urgent.path).open(timeout=0, autocheckpoint=False)
    committed: set[str] = set()
    under_way = False

    def between(step: str) -> None:
        nonlocal under_way
        if under_way or not step.startswith(("checkpoint", "shadow: durable")):
            return
        under_way = True
        if tried(urgent, f"UPDATE t SET b = randomblob(900) WHERE a % 30 = {chance.randrange(30)}"):
            committed.add(step)
        tried_passive = other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        assert tried_passive
        under_way = False

    def meanwhile(number: int) -> None:
        tried(urgent, f"UPDATE t SET b = randomblob(900) WHERE a % 30 = {number % 30}")
        monkeypatch.setattr(steps, "hook", between)
        urgent.database.sync()
        monkeypatch.setattr(steps, "hook", None)

    with other:
        for _ in range(3):
            truth, found = read(urgent, meanwhile)
            assert found == truth
    assert {"shadow: durable", "checkpoint: pin moved", "checkpoint: large part done"} <= committed
    assert urgent.reasons() == ["no generation exists"]


def test_promise_3_what_was_kept_is_looked_at_after_the_file_was_read(
    urgent: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint of ours right before the file is read, or right after: the page is the image's in either case."""
    reading, at_work = pin.Pin.read, True
    ran = 0

    def checkpoint_around(self: pin.Pin, offset: int, size: int) -> tuple[bool, bytes]:
        nonlocal at_work, ran
        if at_work:
            return reading(self, offset, size)
        found = False, b""
        for moment in ("before", "read", "after"):
            if moment == "read":
                found = reading(self, offset, size)
                continue
            at_work = True
            urgent.write(f"UPDATE t SET b = randomblob(900) WHERE a % 9 = {ran % 9}")
            urgent.database.sync()
            at_work = False
            ran += 1
        return found

    urgent.database.sync()
    truth = urgent.app.sha256()
    monkeypatch.setattr(pin.Pin, "read", checkpoint_around)
    with urgent.database.image() as opened:
        at_work = False
        content = b"".join(opened.chunks())
    assert hashlib.sha256(content).hexdigest() == truth
    assert ran > 20


def test_pages_that_a_vacuum_cuts_off_the_file_are_kept(urgent: Bench) -> None:
    sizes = []
    # Pages of a large value are given up without being written to: nothing but the size tells that they go.
    urgent.app.execute("PRAGMA secure_delete=0")
    urgent.commit(500_000)
    urgent.commit()

    def meanwhile(number: int) -> None:
        if number == 2:
            urgent.write("DELETE FROM t WHERE length(b) > 100000")
            urgent.write("VACUUM")
            urgent.database.sync()
        elif number == 5:
            urgent.write("INSERT INTO t(b) SELECT zeroblob(900) FROM t, (SELECT 1 UNION SELECT 2)")
            urgent.database.sync()
        sizes.append(urgent.path.stat().st_size)

    truth, found = read(urgent, meanwhile)
    assert found == truth
    assert sizes[3] < sizes[0] - 400_000, "the file was never cut"


def test_no_checkpoint_of_ours_runs_under_an_image_before_the_wal_is_urgent(
    urgent: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "WAL_OFFSET_URGENT_BYTES", 1 << 30)
    before = len(checkpoints(urgent))
    truth, found = read(urgent, lambda number: urgent.commit())
    assert found == truth
    assert len(checkpoints(urgent)) == before


def kept_files(bench: Bench) -> Iterator[int]:
    """The bytes of each file without a name in the local folder."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            target = str(entry.readlink())
            if target.startswith(str(bench.database.meta_path)) and target.endswith("(deleted)"):
                yield entry.stat().st_size


def test_what_is_kept_has_no_name_and_goes_with_the_image(urgent: Bench) -> None:
    before = sorted(path.name for path in urgent.database.meta_path.iterdir())
    seen = []

    def meanwhile(number: int) -> None:
        urgent.write(f"UPDATE t SET b = randomblob(900) WHERE a > {ROWS - 3}")
        urgent.database.sync()
        assert sorted(path.name for path in urgent.database.meta_path.iterdir()) == before
        seen.append([*kept_files(urgent)])

    truth, found = read(urgent, meanwhile)
    assert found == truth
    # A page is kept once, however often it is written.
    assert len(seen[-1]) == 1
    assert 0 < seen[-1][0] < 20 * 1024
    assert [*kept_files(urgent)] == []


@pytest.mark.parametrize("what", ["too many pages", "too many cut off", "no room", "a failing disk"])
def test_promise_6_where_pages_cannot_be_kept_no_checkpoint_runs_and_the_reason_is_said(
    urgent: Bench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what.startswith("too many"):
        monkeypatch.setattr(kept_pages, "KEPT_PAGES_BYTES_MAX", 20 * 1024)
    elif what == "no room":
        monkeypatch.setattr(kept_pages, "FREE_BYTES_MIN", 1 << 60)
    else:

        def fails(*values: object) -> int:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(kept_pages, "_write", fails)
    words = {
        "no room": "there is no room in",
        "a failing disk": "Input/output error in",
    }.get(what, "more than 0 MiB of pages have changed")
    monkeypatch.setattr(wal_copier, "OFFSET_LIMIT_BYTES", 500_000)
    before, errors = len(checkpoints(urgent)), []

    def meanwhile(number: int) -> None:
        if what == "too many cut off" and number == 0:
            urgent.write("DELETE FROM t WHERE a > 20")
            urgent.write("VACUUM")
        elif number == 0:
            urgent.write(UPDATE)
        else:
            urgent.write("INSERT INTO t(b) SELECT randomblob(900) FROM t LIMIT 20")
        try:
            urgent.database.sync()
        except WALTooLongError as error:
            errors.append(str(error))

    truth, found = read(urgent, meanwhile)
    assert found == truth
    said = [values for values in checkpoints(urgent)[before:] if values["backfilled"]]
    assert said == []
    assert words in urgent.database.health.checkpoint_words
    assert "a snapshot is being read" in errors[-1]
    assert words in errors[-1]


UPDATE = "UPDATE t SET b = randomblob(900) WHERE a % 5 = 0"


def test_two_images_at_different_commits_are_both_exact(urgent: Bench) -> None:
    database: Database = urgent.database
    first_truth, digest = urgent.app.sha256(), hashlib.sha256()
    with database.image() as first:
        chunks = first.chunks()
        digest.update(next(chunks))
        for _ in range(3):
            urgent.write(UPDATE)
            database.sync()
        truth, found = read(urgent, lambda number: urgent.commit(3000))
        assert found == truth
        for chunk in chunks:
            digest.update(chunk)
            urgent.write(UPDATE)
            database.sync()
    assert digest.hexdigest() == first_truth


def test_a_writer_that_never_lets_go_puts_such_a_checkpoint_off(urgent: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier, "BARRIER_WAIT_SECONDS_MAX", 0.001)
    with urgent.database.image() as opened, Shell(urgent.path).open() as writer:
        truth = urgent.app.sha256()
        urgent.write(UPDATE)
        writer.execute("BEGIN IMMEDIATE")
        urgent.database.sync()
        assert "was busy" in urgent.database.health.checkpoint_words
        writer.execute("ROLLBACK")
        urgent.database.sync()
        assert "was busy" not in urgent.database.health.checkpoint_words
        assert hashlib.sha256(b"".join(opened.chunks())).hexdigest() == truth
