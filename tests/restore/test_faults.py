"""Promise 3, its other half: where the replica is not whole, a clear error names the object and nothing is
left."""

from datetime import timedelta
from pathlib import Path

import pytest

from replication.errors import (
    CorruptObjectError,
    IntegrityCheckError,
    NoRestorePointError,
    ReplicaGapError,
)
from replication.position import Position
from replication.restore.target import AtIndex, AtPosition, AtTime
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segments_prefix, snapshot_name
from tests.restore.history import (
    GENERATION,
    History,
    ReplicaBuilder,
    note_of,
    publish,
    write_history,
)
from tests.restore.running import fails, name_at, run, segments
from tests.restore.test_every_commit import sha

pytestmark = pytest.mark.usefixtures("batches")


def test_any_missing_segment_is_named(history: History, storage: MemoryStorage, tmp_path: Path) -> None:
    names = [name for name in storage.names() if "/wal/" in name]
    last = names[-1]
    for name in names:
        whole = storage.read(name)
        info = next(item for item in storage.list("") if item.name == name)
        storage.delete([name])
        if name == last:
            # Nobody can know of commits that nothing in the replica tells of.
            assert run(storage, tmp_path / "short.db").position < history.commits[-1].at()
            (tmp_path / "short.db").unlink()
        else:
            assert name in fails(storage, tmp_path, ReplicaGapError)
        storage.replace(name, whole, info.modified)


def test_the_point_that_a_gap_error_offers_can_be_restored(
    history: History, storage: MemoryStorage, tmp_path: Path
) -> None:
    storage.delete([segments(storage, 1)[2]])
    message = fails(storage, tmp_path, ReplicaGapError)
    position = next(commit.at() for commit in history.commits if str(commit.at()) in message)
    run(storage, tmp_path / "out", AtPosition(position))
    assert sha(tmp_path / "out") == next(commit.sha for commit in history.commits if commit.at() == position)


def test_a_missing_index_is_found_while_planning(storage: MemoryStorage, tmp_path: Path) -> None:
    storage.delete(segments(storage, 1))
    calls = storage.calls["get"]
    message = fails(storage, tmp_path, ReplicaGapError)
    assert name_at(1, 0) in message
    assert "-index 0" in message
    assert storage.calls["get"] - calls <= 2
    run(storage, tmp_path / "out", AtIndex(0))


def test_a_missing_tail_of_an_index_of_litestream_is_found_if_it_splits_a_transaction(
    history: History, tmp_path: Path
) -> None:
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    builder.snapshot(0, history.bases[0])
    frame = 24 + history.page_size
    builder.wal(0, history.wals[0][:-frame], [])
    builder.wal(1, history.wals[1], [])
    assert name_at(0, len(history.wals[0]) - frame) in fails(storage, tmp_path, ReplicaGapError)


@pytest.mark.parametrize("damage", ["empty", "half", "one byte short", "flipped in the middle", "junk", "trailing"])
def test_damage_is_named(storage: MemoryStorage, tmp_path: Path, damage: str) -> None:
    for name in (storage.names()[0], segments(storage, 1)[1], segments(storage, 2)[0]):
        whole = storage.read(name)
        middle = len(whole) // 2
        storage.replace(
            name,
            {
                "empty": b"",
                "half": whole[:middle],
                "one byte short": whole[:-1],
                "flipped in the middle": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
                "junk": b"<html>not found</html>" * 10,
                "trailing": whole + b"x",
            }[damage],
        )
        assert name in fails(storage, tmp_path, CorruptObjectError)
        storage.replace(name, whole)


def test_a_wrong_bit_in_any_frame_is_found_under_a_right_lz4_checksum(storage: MemoryStorage, tmp_path: Path) -> None:
    name = segments(storage, 0)[0]
    content = b"".join(DEFAULT_CODEC.open(name, [storage.read(name)]))
    # The header, the frame header's fields, the page.
    for place in (9, 17, 32 + 1, 32 + 9, 32 + 17, 32 + 100, len(content) - 1):
        wrong = content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]
        storage.replace(name, b"".join(DEFAULT_CODEC.seal([wrong])))
        assert name in fails(storage, tmp_path, CorruptObjectError)
    storage.replace(name, b"".join(DEFAULT_CODEC.seal([content[:-100]])))
    assert "whole frames" in fails(storage, tmp_path, CorruptObjectError)


def test_frames_of_another_page_size_or_overlapping(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    names = segments(storage, 0)
    overlap = b"".join(DEFAULT_CODEC.open(names[0], [storage.read(names[0])]))
    frame = 24 + history.page_size
    storage.replace(names[0], b"".join(DEFAULT_CODEC.seal([overlap + overlap[-frame:]])))
    assert names[0] in fails(storage, tmp_path, CorruptObjectError)
    other = write_history(tmp_path, 512, [["CREATE TABLE t(a)"]])
    for path in tmp_path.iterdir():
        path.unlink()
    storage.replace(names[0], b"".join(DEFAULT_CODEC.seal([other.wals[0]])))
    assert "page size" in fails(storage, tmp_path, CorruptObjectError)


def test_overlapping_segments_are_refused(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    builder.noted_snapshot(history.commits[0], history.page_size)
    ends = history.ends(0)
    builder.wal(0, history.wals[0][: ends[2]], [])
    builder.put(name_at(0, ends[1]), history.wals[0][ends[1] :])
    assert "two programs" in fails(storage, tmp_path, CorruptObjectError)


def test_hostile_names_are_passed_over(history: History, storage: MemoryStorage, tmp_path: Path) -> None:
    for name in (
        f"{segments_prefix(GENERATION)}../../../../../tmp/evil",
        f"{segments_prefix(GENERATION)}00000000_000000000.wal.lz4",
        f"{segments_prefix(GENERATION)}99999999_00000000.wal.lz4.tmp",
        f"{segments_prefix(GENERATION)}0000000A_00000000.wal.lz4",
        "generations/..",
        "generations/NOTHEXNOTHEXNOTH/snapshots/00000000.snapshot.lz4",
    ):
        storage.replace(name, b"hostile")
    run(storage, tmp_path / "out")
    assert sha(tmp_path / "out") == history.commits[-1].sha
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_index_of_the_far_end_costs_nothing(storage: MemoryStorage, tmp_path: Path) -> None:
    storage.replace(name_at(0xFFFFFFFF, 0), b"hostile")
    assert name_at(3, 0) in fails(storage, tmp_path, ReplicaGapError)


def test_targets_that_are_not_there(history: History, storage: MemoryStorage, tmp_path: Path) -> None:
    assert "from 00000000 to 00000002" in fails(storage, tmp_path, NoRestorePointError, AtIndex(3))
    first = min(item.modified for item in storage.list(""))
    assert "nothing from" in fails(storage, tmp_path, NoRestorePointError, AtTime(first - timedelta(seconds=1)))
    ends = history.ends(1)
    message = fails(storage, tmp_path, NoRestorePointError, AtPosition(Position(GENERATION, 1, ends[1] + 10)))
    assert str(Position(GENERATION, 1, ends[1])) in message
    assert "none after" in message
    message = fails(storage, tmp_path, NoRestorePointError, AtPosition(Position(GENERATION, 0, 4152 - 1)))
    assert str(Position(GENERATION, 0, history.ends(0)[0])) in message
    beyond = AtPosition(Position(GENERATION, 2, ends[-1] + 10_000_000))
    assert "none after" in fails(storage, tmp_path, NoRestorePointError, beyond)
    fails(storage, tmp_path, NoRestorePointError, AtPosition(Position(GENERATION, 7, 0)))
    fails(storage, tmp_path, NoRestorePointError, AtPosition(Position("f" * 16, 0, 0)))


def test_time_after_the_newest_is_the_latest_with_a_word(
    history: History, storage: MemoryStorage, tmp_path: Path
) -> None:
    newest = max(item.modified for item in storage.list(""))
    result = run(storage, tmp_path / "out", AtTime(newest + timedelta(days=1)))
    assert sha(tmp_path / "out") == history.commits[-1].sha
    assert "latest" in result.warnings[0]


def test_start_of_an_index_is_the_end_of_the_one_before(
    history: History, storage: MemoryStorage, tmp_path: Path
) -> None:
    for offset in (0, 32):
        output = tmp_path / f"{offset}"
        run(storage, output, AtPosition(Position(GENERATION, 1, offset)))
        assert sha(output) == [commit.sha for commit in history.commits if commit.index == 0][-1]


def test_a_snapshot_ahead_of_its_segments_is_the_restore_point(history: History, tmp_path: Path) -> None:
    """A crash between a snapshot and the segments up to it: older frames must not go over it."""
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    commits = [commit for commit in history.commits if commit.index == 1]
    for held in (0, 1, 2):
        builder.noted_snapshot(commits[4], history.page_size)
        if held:
            builder.wal(1, history.wals[1][: commits[held].offset], [])
        result = run(storage, tmp_path / f"{held}")
        assert (sha(tmp_path / f"{held}"), result.position) == (commits[4].sha, commits[4].at())
    # But then nothing can follow.
    builder.wal(2, history.wals[2], [])
    assert name_at(1, commits[2].offset) in fails(storage, tmp_path, ReplicaGapError)


def test_snapshots_in_every_index_serve_what_lies_after_them(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    builder = ReplicaBuilder(storage)
    middle = [commit for commit in history.commits if commit.index == 1][3]
    builder.noted_snapshot(middle, history.page_size)
    for number, commit in enumerate(history.commits):
        result = run(storage, tmp_path / f"{number}", AtPosition(commit.at()))
        assert sha(tmp_path / f"{number}") == commit.sha
        later = (commit.index, commit.offset) >= (middle.index, middle.offset)
        assert result.snapshot == snapshot_name(GENERATION, 1 if later else 0)


def test_a_litestream_snapshot_that_holds_later_frames_is_refused(history: History, tmp_path: Path) -> None:
    """Its own index cannot be restored to before what it holds; from there on it can."""
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    commits = [commit for commit in history.commits if commit.index == 0]
    builder.snapshot(0, commits[2].content)
    builder.wal(0, history.wals[0], [commit.offset for commit in commits])
    for number, commit in enumerate(commits):
        if number < 2:
            assert "Litestream" in fails(storage, tmp_path, NoRestorePointError, AtPosition(commit.at()))
        else:
            run(storage, tmp_path / f"{number}", AtPosition(commit.at()))
            assert sha(tmp_path / f"{number}") == commit.sha


def test_snapshot_alone(history: History, tmp_path: Path) -> None:
    for note in (None, note_of(Position(GENERATION, 5, 0), len(history.bases[1]) // 4096, 4096)):
        storage = MemoryStorage()
        ReplicaBuilder(storage).snapshot(5, history.bases[1], note)
        output = tmp_path / ("ours" if note else "theirs")
        result = run(storage, output)
        assert output.read_bytes() == history.bases[1]
        assert result.position == Position(GENERATION, 5, 0)
        assert output.stat().st_mode & 0o777 == (0o640 if note else 0o600)


def test_header_only_segments_and_leftovers(history: History, tmp_path: Path) -> None:
    """Segments that Litestream writes: only a header first, and indexes below the snapshot with a hole."""
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    builder.wal(0, history.wals[0], [])
    storage.delete([name_at(0, 0)])
    builder.put(name_at(0, 4152), b"leftover")
    builder.snapshot(1, history.bases[1])
    builder.wal(1, history.wals[1], [32])
    assert name_at(1, 32).endswith("_00000020.wal.lz4")
    result = run(storage, tmp_path / "out")
    last = [commit for commit in history.commits if commit.index == 1][-1]
    assert (sha(tmp_path / "out"), result.position) == (last.sha, last.at())


def test_a_transaction_that_the_replica_cuts_off_is_left_out(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    builder.snapshot(0, history.bases[0])
    big = max(range(1, 5), key=lambda n: history.ends(0)[n] - history.ends(0)[n - 1])
    frame = 24 + history.page_size
    ends = history.ends(0)
    # The transaction is over several segments, none of which has its commit.
    builder.wal(0, history.wals[0][: ends[big] - frame], [ends[big - 1], ends[big - 1] + frame, ends[big] - 3 * frame])
    result = run(storage, tmp_path / "out")
    assert (sha(tmp_path / "out"), result.position.offset) == (history.commits[big - 1].sha, ends[big - 1])
    assert "inside a transaction" in result.warnings[-1]


def test_sqlite_has_the_last_word(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    base = bytearray(history.bases[1])
    base[4096 : 4096 + 200] = b"\xff" * 200
    ReplicaBuilder(storage).snapshot(0, bytes(base))
    message = fails(storage, tmp_path, IntegrityCheckError)
    assert "-integrity-check none" in message
    assert run(storage, tmp_path / "out", integrity_check="none").check == "skipped"


def test_a_snapshot_that_is_no_database(tmp_path: Path) -> None:
    for content in (b"", b"short", b"x" * 8192):
        storage = MemoryStorage()
        ReplicaBuilder(storage).snapshot(0, content)
        assert "does not begin as an SQLite database" in fails(storage, tmp_path, CorruptObjectError)


def test_a_snapshot_of_another_size_than_its_note(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    ReplicaBuilder(storage).snapshot(0, history.bases[1], note_of(Position(GENERATION, 0, 0), 3, 4096))
    assert "its note says 3 pages" in fails(storage, tmp_path, CorruptObjectError)
