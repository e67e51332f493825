"""The rules of SQLite that the hold rests on, and the hold itself, each with foreign processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from replication.errors import DatabaseError
from replication.sqlite.connection import check_sqlite_version, connect, sqlite_version
from replication.sqlite.opening import opening
from replication.sqlite.pin import Pin
from replication.sqlite.wal import WALHeader
from tests.foreign import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA journal_mode=wal; CREATE TABLE t(x); INSERT INTO t VALUES(1);")
    return shell


def header_of(path: Path) -> WALHeader:
    # The -wal file carries no locks, so it may be opened and closed at will.
    return WALHeader.parse(path.with_name(path.name + "-wal").read_bytes()[:32])


def nothing() -> None:
    """A copy for tests that look at locks only."""


@pytest.mark.parametrize("mode", ["FULL", "RESTART", "TRUNCATE"])
def test_blocking_checkpoints_answer_busy_while_frames_are_pending(shell: Shell, mode: str) -> None:
    with shell.open(timeout=0.1) as app:
        app.execute("INSERT INTO t VALUES(2)")
        pin = Pin.take(shell.path)
        app.execute("INSERT INTO t VALUES(3)")
        assert app.execute(f"PRAGMA wal_checkpoint({mode})")[0][0] == 1
        before = header_of(shell.path)
        app.execute("INSERT INTO t VALUES(4)")
        assert header_of(shell.path) == before
        pin.close()


def test_after_a_complete_checkpoint_the_next_writer_restarts_the_wal_by_one(shell: Shell) -> None:
    with shell.open() as app:
        pin = Pin.take(shell.path)
        app.execute("INSERT INTO t VALUES(2)")
        before = header_of(shell.path)
        copies = []
        result = pin.checkpoint(lambda: copies.append(header_of(shell.path)))
        assert result.complete
        assert result.log_frames > 0
        assert copies
        app.execute("INSERT INTO t VALUES(3)")
        assert header_of(shell.path).salt1 == (before.salt1 + 1) & 0xFFFFFFFF
        pin.close()


@pytest.mark.parametrize("mode", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
def test_while_the_pin_holds_mark_zero_nobody_backfills(shell: Shell, mode: str) -> None:
    with shell.open(timeout=0.1) as app:
        pin = Pin.take(shell.path)
        assert pin.checkpoint(nothing).complete
        app.execute("INSERT INTO t VALUES(2)")
        life = header_of(shell.path)
        answer = app.execute(f"PRAGMA wal_checkpoint({mode})")[0]
        assert answer[2] == 0 or answer[0] == 1
        app.execute("INSERT INTO t VALUES(3)")
        assert header_of(shell.path) == life
        pin.close()


def test_a_reader_elsewhere_keeps_the_checkpoint_incomplete_and_nothing_is_restarted(shell: Shell) -> None:
    with shell.open() as app, shell.open() as reader:
        pin = Pin.take(shell.path)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t")
        app.execute("INSERT INTO t VALUES(2)")
        before = header_of(shell.path)
        result = pin.checkpoint(nothing)
        assert not result.complete
        assert result.backfilled_frames < result.log_frames
        app.execute("INSERT INTO t VALUES(3)")
        assert header_of(shell.path) == before
        reader.execute("COMMIT")
        assert pin.checkpoint(nothing).complete
        pin.close()


def test_a_writer_that_does_not_let_go_is_not_waited_for_without_limit(shell: Shell) -> None:
    with shell.open() as app:
        pin = Pin.take(shell.path)
        app.execute("BEGIN IMMEDIATE")
        app.execute("INSERT INTO t VALUES(2)")
        result = pin.checkpoint(nothing)
        assert result.busy
        assert not result.complete
        app.execute("COMMIT")
        assert app.execute("SELECT count(*) FROM t") == [[2]]
        pin.close()


def test_a_checkpoint_gets_in_between_writers_that_never_pause(shell: Shell) -> None:
    busy = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)\n"
        "print(flush=True)\n"
        "while True: c.execute('INSERT INTO t VALUES(randomblob(200000))')"
    )
    pin = Pin.take(shell.path)
    writers = [
        subprocess.Popen([sys.executable, "-c", busy, str(shell.path)], stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        assert [pin.checkpoint(nothing).busy for _ in range(10)].count(False) >= 3
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
        pin.close()


def test_a_copy_that_fails_leaves_the_wal_held(shell: Shell) -> None:
    with shell.open(timeout=0.1) as app:
        app.execute("INSERT INTO t VALUES(2)")
        pin = Pin.take(shell.path)

        def fails() -> None:
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            pin.checkpoint(fails)
        assert app.execute("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 1
        pin.close()


def test_closing_leaves_the_wal_for_the_next_start(shell: Shell) -> None:
    pin = Pin.take(shell.path)
    shell.run("INSERT INTO t VALUES(2);")
    wal = shell.path.with_name(shell.path.name + "-wal")
    before = wal.read_bytes()
    assert len(before) > 32
    pin.close()
    assert wal.read_bytes() == before


def test_wal_mode_is_turned_on_and_nothing_else_changes(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "app.db")
    shell.run("PRAGMA user_version=7; CREATE TABLE t(x);")
    Pin.take(shell.path).close()
    with shell.open() as app:
        assert app.execute("PRAGMA journal_mode") == [["wal"]]
        assert app.execute("PRAGMA user_version") == [[7]]
        assert app.execute("SELECT name FROM sqlite_schema") == [["t"]]


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot be opened"):
        Pin.take(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 200)
    with pytest.raises(DatabaseError, match="is not a SQLite database"):
        Pin.take(path)


def test_reading_pages_goes_through_the_pin(shell: Shell) -> None:
    pin = Pin.take(shell.path)
    assert pin.read(0, 16) == (True, b"SQLite format 3\0")
    assert pin.read(1 << 30, 16) == (False, bytes(16))
    assert pin.page_count() >= 2
    pin.close()


@pytest.mark.parametrize("version", ["3.7.0", "3.44.5", "3.45.0", "3.50.6", "3.51.2"])
def test_versions_with_the_wal_reset_bug_are_refused(version: str) -> None:
    with pytest.raises(DatabaseError, match="can lose commits"):
        check_sqlite_version(version)


@pytest.mark.parametrize("version", ["3.44.6", "3.50.7", "3.51.3", "3.54.1", sqlite_version()])
def test_fixed_versions_are_accepted(version: str) -> None:
    check_sqlite_version(version)


def test_connections_never_make_or_remove_a_wal_on_close(shell: Shell) -> None:
    with shell.open() as app:
        app.execute("INSERT INTO t VALUES(2)")
        wal = shell.path.with_name(shell.path.name + "-wal")
        size = wal.stat().st_size
        with opening(shell.path) as at:
            connect(at).close()
        assert wal.stat().st_size == size
