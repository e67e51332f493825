"""Promise 1: of a WAL that SQLite really wrote, only whole, committed, verified frames that it counts are handed on.

The WALs are made by SQLite in another process, and then cut, overwritten and torn here. What must come out is
known from an independent walk over the frames, one at a time and in plain Python.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.database import wal_scanner
from replication.database.wal_scanner import OverwrittenError, WALCursor, copy_frames, has_frame, last_commit
from replication.sqlite.wal import WALHeader
from replication.sqlite.wal_index import WALIndex, WALIndexHeader
from tests.foreign import ForeignConnection, Shell

FRAME_HEADER = 24
HEADER = 32


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of a WAL, which carries no locks."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Copy:
    """Where frames are handed to; it insists on order and on no gap."""

    def __init__(self, start: int = HEADER) -> None:
        self.start = start
        self.data = bytearray()

    def sink(self, offset: int, frames: memoryview) -> None:
        assert offset == self.start + len(self.data)
        self.data += frames


def committed_frames(wal: bytes) -> int:
    """How many frames count, frame by frame as the file format's description has it."""

    def walk(data: bytes, s0: int, s1: int) -> tuple[int, int]:
        for a, b in struct.iter_unpack("<2I", data):
            s0 = (s0 + a + s1) & 0xFFFFFFFF
            s1 = (s1 + b + s0) & 0xFFFFFFFF
        return s0, s1

    page_size = struct.unpack_from(">I", wal, 8)[0]
    salts = wal[16:24]
    sums = struct.unpack_from(">2I", wal, 24)
    found = 0
    starts = range(HEADER, len(wal) - page_size - FRAME_HEADER + 1, page_size + FRAME_HEADER)
    for number, offset in enumerate(starts, start=1):
        frame = wal[offset : offset + FRAME_HEADER + page_size]
        sums = walk(frame[FRAME_HEADER:], *walk(frame[:8], *sums))
        if frame[8:16] != salts or struct.pack(">2I", *sums) != frame[16:24]:
            break
        if frame[4:8] != bytes(4):
            found = number
    return found


@lru_cache(maxsize=1)
def real_wal() -> bytes:
    """A WAL with small and large transactions over what an earlier life left behind."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.db"
        with ForeignConnection(path, autocheckpoint=False) as app:
            app.execute("PRAGMA page_size=512")
            app.execute("PRAGMA journal_mode=wal")
            app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
            app.execute(
                "INSERT INTO t(b) WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v+1 FROM n WHERE v<60) "
                "SELECT randomblob(400) FROM n"
            )
            app.execute("PRAGMA wal_checkpoint(RESTART)")
            for size in (10, 900, 2000, 5, 3000, 20):
                app.execute(f"INSERT INTO t(b) VALUES(randomblob({size}))")
            return Path(f"{path}-wal").read_bytes()


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tail") / "wal"


def header_of(wal: bytes) -> WALHeader:
    return WALHeader.parse(wal[:HEADER])


def scanned(path: Path, cursor: WALCursor | None = None, limit: int = 1 << 40) -> WALCursor:
    with opened(path) as wal:
        return last_commit(wal, cursor or WALCursor.start(header_of(path.read_bytes())), limit)


def copied(path: Path, cursor: WALCursor, upto: WALCursor, copy: Copy) -> WALCursor:
    """Copy from `cursor` up to a mark that SQLite counts."""
    with opened(path) as wal:
        return copy_frames(wal, cursor, upto.offset, upto.sums, copy.sink)


damages = st.lists(
    st.tuples(st.sampled_from(["cut", "flip", "zero", "copy"]), st.integers(HEADER, 1 << 16), st.integers(1, 600)),
    max_size=3,
)


def damaged(damage: list[tuple[str, int, int]]) -> bytes:
    wal = bytearray(real_wal())
    for kind, place, size in damage:
        at = HEADER + (place - HEADER) % max(1, len(wal) - HEADER)
        if kind == "cut":
            del wal[at:]
        elif kind == "flip" and at < len(wal):
            wal[at] ^= 1 + size % 255
        elif kind == "zero":
            wal[at : at + size] = bytes(len(wal[at : at + size]))
        else:
            wal[at : at + size] = wal[HEADER : HEADER + len(wal[at : at + size])]
    return bytes(wal)


@settings(max_examples=150, deadline=None)
@given(damage=damages)
def test_promise_1_only_the_whole_committed_verified_prefix_counts(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[str, int, int]]
) -> None:
    wal = damaged(damage)
    path = tmp_path_factory.mktemp("damaged") / "wal"
    path.write_bytes(wal)
    assert scanned(path).frames == committed_frames(wal)


@settings(max_examples=150, deadline=None)
@given(damage=damages, start=st.integers(0, 7), end=st.integers(0, 7))
def test_promise_1_what_sqlite_counts_is_handed_on_whole_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[str, int, int]], start: int, end: int
) -> None:
    whole, wal = real_wal(), damaged(damage)
    path = tmp_path_factory.mktemp("damaged") / "wal"
    path.write_bytes(whole)
    commits = [WALCursor.start(header_of(whole))]
    while (following := scanned(path, commits[-1], next_commit(whole, commits[-1].offset))) != commits[-1]:
        commits.append(following)
    start, end = sorted((min(start, len(commits) - 1), min(end, len(commits) - 1)))
    if start == end:
        return
    path.write_bytes(wal)
    copy = Copy(commits[start].offset)
    try:
        cursor = copied(path, commits[start], commits[end], copy)
    except OverwrittenError:
        assert wal[HEADER : commits[end].offset] != whole[HEADER : commits[end].offset]
    else:
        assert cursor == commits[end]
        assert copy.data == whole[commits[start].offset : cursor.offset]


def next_commit(wal: bytes, offset: int) -> int:
    """Where the commit ends that begins at `offset`; where the WAL ends if none does."""
    frame = FRAME_HEADER + 512
    while offset + frame <= len(wal) and wal[offset + 4 : offset + 8] == bytes(4):
        offset += frame
    return offset + frame


@pytest.mark.parametrize("chunk_frames", [1, 3, 1000])
def test_frames_are_handed_on_in_order_whatever_is_read_at_a_time(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, chunk_frames: int
) -> None:
    monkeypatch.setattr(wal_scanner, "READ_CHUNK_BYTES", chunk_frames * (FRAME_HEADER + 512))
    wal = real_wal()
    scratch.write_bytes(wal)
    copy = Copy()
    start = WALCursor.start(header_of(wal))
    end = scanned(scratch)
    assert copied(scratch, start, end, copy) == end
    assert end.frames == committed_frames(wal)
    assert copy.data == wal[HEADER : end.offset]


def test_other_frames_than_sqlite_counts_are_refused(scratch: Path) -> None:
    """A chain that is right in itself, and another than the one that was published: a commit that never counted."""
    wal = real_wal()
    scratch.write_bytes(wal)
    end = scanned(scratch)
    with pytest.raises(OverwrittenError, match="other frames"):
        copied(scratch, WALCursor.start(header_of(wal)), replace(end, sums=(1, 2)), Copy())
    inside = replace(end, offset=end.offset - FRAME_HEADER - 512)
    with pytest.raises(OverwrittenError):
        copied(scratch, WALCursor.start(header_of(wal)), inside, Copy())


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ForeignConnection]:
    with Shell(tmp_path / "app.db").open(autocheckpoint=False) as app:
        app.execute("PRAGMA page_size=1024")
        app.execute("PRAGMA journal_mode=wal")
        app.execute("PRAGMA cache_size=8")
        app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        yield app


def spill(app: ForeignConnection, pages: int) -> None:
    """A transaction that stays open, with frames in the WAL already."""
    app.execute("BEGIN")
    for number in range(pages):
        app.execute(f"INSERT INTO t(b) VALUES(zeroblob(900) || {number})")


def published(tmp_path: Path) -> WALIndexHeader:
    """What SQLite counts. The application is another process, so that to close the file harms nobody."""
    index = WALIndex.open(tmp_path / "app.db")
    try:
        header = index.read()
        assert header is not None
        return header
    finally:
        index.close()


def test_what_is_published_is_what_the_wal_holds(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    for number in range(30):
        if number == 15:
            app.execute("PRAGMA wal_checkpoint(RESTART)")
        app.execute(f"INSERT INTO t(b) VALUES(randomblob({number * 100 + 1}))")
        index, cursor = published(tmp_path), scanned(wal)
        assert (index.end, index.sums, index.pages) == (cursor.offset, cursor.sums, cursor.database_pages)
        assert (index.salts, index.page_size) == (cursor.header.salts, 1024)


def test_frames_of_a_rolled_back_transaction_do_not_count(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    cursor, before = scanned(wal), published(tmp_path)
    spill(app, 60)
    assert wal.stat().st_size > cursor.offset + 50 * cursor.header.frame_size
    assert published(tmp_path).raw == before.raw
    with opened(wal) as descriptor:
        assert has_frame(descriptor, cursor.header, cursor.offset, cursor.sums)
    app.execute("ROLLBACK")
    assert published(tmp_path).raw == before.raw
    # The next commit takes the place of only the first of them.
    app.execute("INSERT INTO t(b) VALUES('the one that counts')")
    index, copy = published(tmp_path), Copy(cursor.offset)
    with opened(wal) as descriptor:
        cursor = copy_frames(descriptor, cursor, index.end, index.sums, copy.sink)
        assert not has_frame(descriptor, cursor.header, cursor.offset, cursor.sums)
    assert b"the one that counts" in copy.data


def test_what_was_copied_and_is_no_longer_there_is_told(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    cursor = scanned(wal)
    torn = bytearray(wal.read_bytes())
    torn[cursor.offset - cursor.header.frame_size + 16] ^= 1
    other = tmp_path / "other"
    other.write_bytes(torn)
    with pytest.raises(OverwrittenError, match="no longer in the WAL"):
        copied(other, cursor, cursor, Copy())
    other.write_bytes(wal.read_bytes()[: cursor.offset - cursor.header.frame_size + 10])
    with pytest.raises(OverwrittenError):
        copied(other, cursor, cursor, Copy())


def test_a_limit_ends_the_scan_at_a_whole_commit(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    for _ in range(5):
        app.execute("INSERT INTO t(b) VALUES('x')")
    whole = scanned(wal)
    part = scanned(wal, limit=whole.offset - 1)
    assert 0 < part.frames < whole.frames
