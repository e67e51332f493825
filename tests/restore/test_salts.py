"""What the salts of a WAL prove between two indexes, and what only notes do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from replication.errors import CorruptObjectError
from replication.sqlite.checksum import chain
from replication.sqlite.wal import RESTARTS_MAX, WALHeader
from replication.storage.memory import MemoryStorage
from tests.restore.history import History, publish, scripts, write_history
from tests.restore.running import fails, run
from tests.restore.test_every_commit import sha


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), 512, list(scripts()))


def salted(wal: bytes, salt: int) -> bytes:
    """The same frames in a WAL of another first salt, as after so many restarts with nothing in them."""
    before = WALHeader.parse(wal)
    head = WALHeader(before.big_endian, before.page_size, before.sequence, salt, before.salt2, (0, 0)).pack()
    header = WALHeader.parse(head)
    rows = np.frombuffer(wal, dtype=np.uint8, offset=32).reshape(-1, header.frame_size).copy()
    rows[:, 8:16] = np.frombuffer(head[16:24], dtype=np.uint8)
    sums = chain(rows, header.page_size, header.sums, header.big_endian)
    rows[:, 16:24] = sums.astype(">u4").view(np.uint8).reshape(-1, 8)
    return head + rows.tobytes()


def with_salt(history: History, steps: int) -> History:
    """The history with `steps` restarts between its indexes 1 and 2."""
    first = WALHeader.parse(history.wals[1])
    last = salted(history.wals[2], (first.salt1 + steps) & 0xFFFFFFFF)
    return replace(history, wals=(*history.wals[:2], last))


@pytest.mark.parametrize("steps", [1, RESTARTS_MAX, RESTARTS_MAX + 1, 1 << 20, (1 << 32) - 3])
def test_promise_3_notes_prove_the_order_however_often_the_wal_was_emptied(
    history: History, tmp_path: Path, steps: int
) -> None:
    storage = MemoryStorage()
    publish(with_salt(history, steps), storage, noted=True)
    run(storage, tmp_path / "out")
    assert sha(tmp_path / "out") == history.commits[-1].sha


def test_the_same_wal_again_is_refused_whatever_its_note_says(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    publish(with_salt(history, 0), storage, noted=True)
    assert "does not follow" in fails(storage, tmp_path, CorruptObjectError)


def test_without_a_note_salts_must_be_plausible(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    publish(with_salt(history, RESTARTS_MAX + 1), storage, noted=False)
    assert "does not follow" in fails(storage, tmp_path, CorruptObjectError)
