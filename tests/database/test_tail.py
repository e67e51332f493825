"""Promise 1: of a WAL that SQLite really wrote, only whole, committed, verified frames are handed on.

The WALs are made by SQLite in another process, and then cut, overwritten and torn here. What must come out is
known from an independent walk over the frames, one at a time and in plain Python.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.database import tail
from replication.database.tail import Mark, OverwrittenError, advance
from replication.sqlite.wal import WALHeader
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

    def __init__(self) -> None:
        self.data = bytearray()

    def sink(self, offset: int, frames: memoryview) -> None:
        assert offset == HEADER + len(self.data)
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


def follow(path: Path, mark: Mark | None, copy: Copy) -> Mark:
    with opened(path) as wal:
        return advance(wal, mark or Mark.start(WALHeader.parse(os.pread(wal, HEADER, 0))), copy.sink)


damages = st.lists(
    st.tuples(st.sampled_from(["cut", "flip", "zero", "copy"]), st.integers(HEADER, 1 << 16), st.integers(1, 600)),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(damage=damages)
def test_promise_1_only_the_whole_committed_verified_prefix_is_handed_on(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[str, int, int]]
) -> None:
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
    path = tmp_path_factory.mktemp("damaged") / "wal"
    path.write_bytes(wal)
    copy = Copy()
    mark = follow(path, None, copy)
    expected = committed_frames(bytes(wal))
    assert mark.frames == expected
    assert copy.data == wal[HEADER : HEADER + expected * (FRAME_HEADER + 512)]


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(HEADER, 1 << 16), max_size=8))
def test_a_wal_that_grows_by_any_steps_is_handed_on_once_and_whole(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    wal = real_wal()
    path = tmp_path_factory.mktemp("growing") / "wal"
    copy = Copy()
    mark: Mark | None = None
    for size in sorted({HEADER + (cut - HEADER) % (len(wal) - HEADER) for cut in cuts} | {len(wal)}):
        path.write_bytes(wal[:size])
        mark = follow(path, mark, copy)
        assert mark.frames == committed_frames(wal[:size])
    assert mark is not None
    assert len(copy.data) == mark.frames * (FRAME_HEADER + 512)


@pytest.mark.parametrize("kept_frames", [0, 2, 5, 1000])
@pytest.mark.parametrize("chunk_frames", [1, 3])
def test_a_transaction_of_several_reads_is_handed_on_once_whether_it_is_kept_or_read_again(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, chunk_frames: int, kept_frames: int
) -> None:
    monkeypatch.setattr(tail, "READ_CHUNK_BYTES", chunk_frames * (FRAME_HEADER + 512))
    monkeypatch.setattr(tail, "KEPT_BYTES_MAX", kept_frames * (FRAME_HEADER + 512))
    wal = real_wal()
    for first in range(HEADER, len(wal), 389):
        copy = Copy()
        scratch.write_bytes(wal[:first])
        mark = follow(scratch, None, copy)
        scratch.write_bytes(wal)
        mark = follow(scratch, mark, copy)
        assert mark.frames == committed_frames(wal)
        assert copy.data == wal[HEADER : mark.offset]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ForeignConnection]:
    with Shell(tmp_path / "app.db").open(autocheckpoint=False) as app:
        app.execute("PRAGMA page_size=1024")
        app.execute("PRAGMA journal_mode=wal")
        app.execute("PRAGMA cache_size=8")
        app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        yield app


def spill(app: ForeignConnection, pages: int) -> None:
    """A transaction that stays open, with frames in the WAL already. It does the same each time."""
    app.execute("BEGIN")
    for number in range(pages):
        app.execute(f"INSERT INTO t(b) VALUES(zeroblob(900) || {number})")


def test_frames_of_a_rolled_back_transaction_are_never_handed_on(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    copy = Copy()
    mark = follow(wal, None, copy)
    spill(app, 60)
    open_mark = follow(wal, mark, copy)
    assert open_mark.scanned > open_mark.offset == mark.offset
    app.execute("ROLLBACK")
    after = follow(wal, open_mark, copy)
    assert after.offset == mark.offset
    assert len(copy.data) == mark.frames * mark.header.frame_size


@pytest.mark.parametrize("pages", [0, 1, 25])
def test_a_commit_over_part_of_what_was_rolled_back_is_seen_at_once(
    app: ForeignConnection, tmp_path: Path, pages: int
) -> None:
    # The end of the rolled back frames stays as it was scanned, and their beginning may even be written again.
    wal = tmp_path / "app.db-wal"
    copy = Copy()
    mark = follow(wal, None, copy)
    spill(app, 60)
    mark = follow(wal, mark, copy)
    app.execute("ROLLBACK")
    spill(app, pages)
    app.execute("INSERT INTO t(b) VALUES('the one that counts')")
    app.execute("COMMIT")
    mark = follow(wal, mark, copy)
    content = wal.read_bytes()
    assert mark.frames == committed_frames(content)
    assert copy.data == content[HEADER : mark.offset]
    assert b"the one that counts" in copy.data


def test_a_transaction_seen_piece_by_piece_is_handed_on_whole(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    copy = Copy()
    mark = follow(wal, None, copy)
    app.execute("BEGIN")
    for number in range(200):
        app.execute(f"INSERT INTO t(b) VALUES(randomblob(900) || {number})")
        # An old page again: SQLite writes over its frame in place, and mends all checksums with the commit.
        app.execute(f"UPDATE t SET b = randomblob(900) WHERE a = {number // 2}")
        mark = follow(wal, mark, copy)
        assert mark.scanned >= mark.offset
    app.execute("COMMIT")
    mark = follow(wal, mark, copy)
    content = wal.read_bytes()
    assert mark.frames == committed_frames(content) > 200
    assert copy.data == content[HEADER : mark.offset]


def test_what_was_copied_and_is_no_longer_there_is_told(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    mark = follow(wal, None, Copy())
    torn = bytearray(wal.read_bytes())
    torn[mark.offset - mark.header.frame_size + 16] ^= 1
    other = tmp_path / "other"
    other.write_bytes(torn)
    with pytest.raises(OverwrittenError, match="no longer in the WAL"):
        follow(other, mark, Copy())
    other.write_bytes(wal.read_bytes()[: mark.offset - mark.header.frame_size + 10])
    with pytest.raises(OverwrittenError):
        follow(other, mark, Copy())


def test_a_restart_at_the_same_size_hands_on_no_old_frame(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    app.execute("INSERT INTO t(b) VALUES(randomblob(5000))")
    before = follow(wal, None, Copy())
    size = wal.stat().st_size
    app.execute("PRAGMA wal_checkpoint(RESTART)")
    app.execute("INSERT INTO t(b) VALUES('new')")
    assert wal.stat().st_size == size
    copy = Copy()
    assert follow(wal, None, copy).frames == committed_frames(wal.read_bytes()) < before.frames
    assert b"new" in copy.data


def test_a_limit_ends_the_pass_at_a_whole_frame(app: ForeignConnection, tmp_path: Path) -> None:
    wal = tmp_path / "app.db-wal"
    for _ in range(5):
        app.execute("INSERT INTO t(b) VALUES('x')")
    with opened(wal) as descriptor:
        start = Mark.start(WALHeader.parse(os.pread(descriptor, HEADER, 0)))
        whole = advance(descriptor, start, Copy().sink)
        limit = whole.offset - 1
        part = advance(descriptor, start, Copy().sink, limit)
    assert part.offset <= limit < whole.offset
    assert part.frames > 0
