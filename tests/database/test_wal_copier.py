"""Promise 2 where it is decided: one life of the WAL follows another, and nothing in between is skipped."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from replication.database import wal_copier
from replication.database.checkpoint import CheckpointPolicy
from replication.database.database import Database
from replication.database.wal_scanner import copy_frames
from tests.foreign import ForeignConnection, Shell


@pytest.fixture
def app(tmp_path: Path) -> Iterator[ForeignConnection]:
    with Shell(tmp_path / "app.db").open(autocheckpoint=False) as app:
        app.execute("PRAGMA journal_mode=wal")
        app.execute("PRAGMA cache_size=8")
        app.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)")
        yield app


@pytest.fixture
def database(app: ForeignConnection, tmp_path: Path) -> Iterator[Database]:
    """A database that checkpoints when it is told to, and only then."""
    path = tmp_path / "app.db"
    database = Database(path, tmp_path / "meta", CheckpointPolicy(10**6, 0, 0), lambda *words, **values: None)
    database.sync()
    yield database
    database.close()


def before_the_next_pass(monkeypatch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Let `what` happen after the next look at the WAL's header and before its frames are read."""

    def first(*values: Any) -> Any:
        monkeypatch.setattr(wal_copier, "copy_frames", copy_frames)
        what()
        return copy_frames(*values)

    monkeypatch.setattr(wal_copier, "copy_frames", first)


def test_a_restart_between_header_and_frames_is_an_ordinary_one(
    database: Database, app: ForeignConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = database.position
    assert before is not None
    result = database.checkpoint()
    assert result is not None
    assert result.complete
    # Longer than the life before, so that all of its frames are written over.
    before_the_next_pass(monkeypatch, lambda: app.execute("INSERT INTO t(b) VALUES(randomblob(100000))"))
    database.sync()
    after = database.position
    assert after is not None
    assert (after.generation, after.index) == (before.generation, before.index + 1)
    assert after.offset > before.offset
