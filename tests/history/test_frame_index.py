"""The frame index behind a large segment: what is read by it is what is there, and it is never believed blindly."""

import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from replication.errors import CorruptObjectError
from replication.history.wal03.indexed import IndexedFile
from replication.history.wal03.timeline import Timeline
from replication.local.folder import LocalFile
from replication.replica.wal03 import upload
from replication.replica.wal03.upload import frame_indexer, read_range
from replication.restore.wal03 import fetch
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03 import frame_index
from replication.storage.wal03.frame_index import FrameIndex, decode
from replication.storage.wal03.names import segment_name
from tests.history.looking import content, timeline, with_indexes
from tests.history.states import asked
from tests.history.test_every_commit import publish_large, sha
from tests.restore.history import Commit, History, big_endian, write_history

PAGE = 4096
FRAME = 24 + PAGE
NUMBERS = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 300)"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Of large commits, and segments of several of them."""
    fill = f"{NUMBERS} INSERT INTO t SELECT v + 1000 * %d, randomblob(900) FROM n;"
    scripts = [
        ["BEGIN; CREATE TABLE t(a INTEGER PRIMARY KEY, b); " + fill % 0 + " COMMIT;"],
        [fill % 1, "UPDATE t SET b = 'x' WHERE a = 7;", fill % 2, "DELETE FROM t WHERE a % 3;"],
        [fill % 3, "UPDATE t SET b = 'y' WHERE a = 1200;", "CREATE TABLE u(x); "],
    ]
    return write_history(tmp_path_factory.mktemp("frames"), PAGE, scripts)


def published(history: History) -> MemoryStorage:
    storage = MemoryStorage()
    publish_large(history, storage, cut=True)
    # All WAL is read, from the very beginning.
    storage.delete([name for name in storage.names() if "/snapshots/" in name][1:])
    return storage


def index_of(storage: MemoryStorage, name: str) -> FrameIndex | None:
    data = storage.read(name)
    return decode(data, len(data))


def segments(storage: MemoryStorage) -> list[str]:
    return [name for name in storage.names() if "/wal/" in name]


def agrees(at: Timeline, history: History) -> int:
    """Every commit that it covers is as SQLite saw it."""
    covered = [commit for commit in history.commits if at.covers(commit.at())]
    for commit in covered:
        assert sha(content(at.moment(commit.at()))) == commit.sha, commit.at()
    return len(covered)


def test_promise_3_a_look_reads_the_frames_that_it_needs_alone(history: History) -> None:
    storage = published(history)
    before = timeline(storage).bytes_read
    assert with_indexes(storage) >= 4
    stored = sum(len(storage.read(name)) for name in segments(storage))
    whole = timeline(storage)
    assert whole.bytes_read < before / 4
    assert before > stored / 2
    # An index takes less than one part in fifty of what is stored.
    assert stored - before < before / 50
    last = history.commits[-1]
    moment = whole.moment(last.at())
    assert moment.page(3) == last.content[2 * PAGE : 3 * PAGE]
    assert whole.bytes_read < before / 4
    assert agrees(whole, history) == len(history.commits)
    assert "x" in str(asked(last, "SELECT b FROM t WHERE a = 7 UNION ALL SELECT 'x'"))


def changed(frame: bytes, at: int, by: bytes) -> bytes:
    """An index with other bytes, and with a right checksum of its own."""
    body = bytearray(frame[8:])
    body[at : at + len(by)] = by
    end = bytes(body[:-12])
    return frame[:8] + end + struct.pack("<I8s", zlib.crc32(end), bytes(body[-8:]))


def test_an_index_that_is_not_of_its_segment_is_not_used(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[object] = []
    take = IndexedFile.take_indexed

    def told(self: IndexedFile, *arguments: object) -> None:
        taken.append(arguments)
        take(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(IndexedFile, "take_indexed", told)
    storage = published(history)
    with_indexes(storage)
    assert agrees(timeline(storage), history)
    assert taken
    taken.clear()
    for by in (
        # Behind the index is another frame; something is wrong in it, and its checksum tells.
        lambda index: index + index[:4] + bytes(4),
        lambda index: index[:40] + bytes([index[40] ^ 1]) + index[41:],
        # The checksum before, of another WAL; the first block elsewhere; a WAL header that is none.
        lambda index: changed(index, len(index) - 8 - 36, b"\1\2\3\4"),
        lambda index: changed(index, len(index) - 8 - 20, b"\1\2"),
        lambda index: changed(index, len(index) - 8 - 20 - 36 - 32, b"\0\0\0\0"),
    ):
        storage = published(history)
        with_indexes(storage, by)
        assert agrees(timeline(storage), history)
        assert not taken


def test_a_frame_is_believed_only_by_its_own_checksum(history: History) -> None:
    mark = len(b"litestream-tui frames\0")
    for at in (mark + 4 * 40, mark + 4 * 200):
        storage = published(history)

        def swapped(index: bytes, at: int = at) -> bytes:
            # Two pages change their places: the table of frames says of each that it is the other.
            one, two = index[8 + at : 12 + at], index[12 + at : 16 + at]
            return changed(index, at, two + one)

        with_indexes(storage, swapped)
        with pytest.raises(CorruptObjectError, match=r"\.wal\.lz4"):
            agrees(timeline(storage), history)


def test_a_frame_that_is_damaged_is_found_when_it_is_read(history: History) -> None:
    storage = published(history)
    with_indexes(storage)
    name = segments(storage)[0]
    data = storage.read(name)
    modified = next(item.modified for item in storage.list("") if item.name == name)
    at = len(data) // 2
    storage.replace(name, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], modified)
    with pytest.raises(CorruptObjectError, match=r"00000000_00000000\.wal\.lz4"):
        agrees(timeline(storage), history)


@pytest.mark.parametrize("start", [0, 1, 77])
@pytest.mark.parametrize("order", ["little", "big"])
def test_what_is_uploaded_brings_it(
    history: History, tmp_path: Path, start: int, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal = history.wals[1] if order == "little" else big_endian(history.wals[1])
    (tmp_path / "00000000.wal").write_bytes(wal)
    shadow = LocalFile.at(tmp_path / "00000000.wal")
    begin = 32 + start * FRAME if start else 0
    assert frame_indexer(shadow, begin, begin + 300_000) is None
    monkeypatch.setattr(upload, "INDEXED_BYTES_MIN", 1000)
    monkeypatch.setattr(upload, "_READ_BYTES", 50_000)
    builder = frame_indexer(shadow, begin, len(wal))
    told: list[int] = []
    pieces = list(read_range(shadow, begin, len(wal), told.append, builder))
    assert b"".join(pieces) == wal[begin:]
    assert (told, max(map(len, pieces)) <= 50_000) == ([len(piece) for piece in pieces], True)
    data = b"".join(DEFAULT_CODEC.seal(iter(pieces), {"v": 1}, behind=builder))
    found = decode(data, len(data))
    assert found is not None
    rows = np.frombuffer(wal, np.uint8, offset=begin or 32).reshape(-1, FRAME)[:, :24]
    assert (found.heads[:, :20] == rows[:, :20]).all()
    commits = np.flatnonzero(found.commits)
    assert (found.heads[commits] == rows[commits]).all()
    assert (found.heads[-1] == rows[-1]).all()
    assert found.length == len(wal) - begin
    assert b"".join(DEFAULT_CODEC.open("", [data])) == wal[begin:]


def test_one_that_would_be_too_large_is_left_out(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What LZ4 makes very small would be doubled by it."""
    storage = MemoryStorage()
    zeros = write_history(tmp_path, PAGE, [["CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(200000));"]])
    publish_large(zeros, storage)
    assert with_indexes(storage) == 0
    monkeypatch.setattr(frame_index, "INDEX_BYTES_MAX", 200)
    assert with_indexes(published(history)) == 0


def test_anything_else_is_no_index(history: History) -> None:
    storage = published(history)
    with_indexes(storage)
    data = storage.read(segments(storage)[1])
    assert decode(data, len(data)) is not None
    chance = random.Random(1)
    for _ in range(500):
        at = chance.randrange(len(data) - 4000, len(data))
        decode(data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :], len(data))
        assert decode(data[:at], at) is None
    size = frame_index.size_at_end(data)
    assert size is not None
    body = data[-size:]
    for _ in range(500):
        at = chance.randrange(size - 12 - 8)
        decode(data[:-size] + changed(body, at, bytes([chance.randrange(256)])), len(data))
    assert all(decode(data[-length:], length) is None for length in (0, 1, 20, 75, 76, 77, size))


def test_a_small_segment_is_read_whole(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = published(history)
    with_indexes(storage)
    monkeypatch.setattr(fetch, "SMALL_OBJECT_BYTES_MAX", 1 << 30)
    name = segment_name(Commit(2, 0, "", 0, b"").at())
    damaged = bytearray(storage.read(name))
    damaged[20_000] ^= 1
    storage.replace(name, bytes(damaged))
    with pytest.raises(CorruptObjectError, match=r"00000002_00000000"):
        timeline(storage)
