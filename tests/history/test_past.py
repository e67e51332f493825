"""Commits looked at for a while: any place of a replica, in any order, is told as the log tells it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from replication.errors import RestoreCancelledError, StorageError
from replication.history.log import Entry, Log
from replication.history.moments import timelines
from replication.history.past import Past
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.storage.memory import MemoryStorage
from tests.history.looking import QUICK, Cached
from tests.history.states import asked, publish, written
from tests.restore.history import History

OPTIONS = RestoreOptions(backoff=QUICK)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return written(tmp_path_factory.mktemp("states"), 1024, 3, each=10)


class Opened:
    """A store, and how often it was opened and closed."""

    def __init__(self, history: History, noted: bool = True) -> None:
        self.storage = MemoryStorage()
        publish(history, self.storage, noted)
        self.opened = self.closed = 0

    @contextmanager
    def open(self) -> Iterator[list[OpenReplica]]:
        self.opened += 1
        yield [OpenReplica("test", self.storage)]
        self.closed += 1


def logged(storage: MemoryStorage) -> list[Entry]:
    """All commits, newest first."""
    stop = threading.Event()
    sources = [OpenReplica("test", storage)]
    return [entry for line in timelines(sources, OPTIONS, Cached(), stop) for entry in Log(stop).entries(line)]


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_every_place_is_told_as_the_log_tells_it(history: History, noted: bool) -> None:
    store = Opened(history, noted)
    past, cancel = Past(store.open, OPTIONS, Cached()), threading.Event()
    expected = logged(store.storage)
    assert len(expected) > 20
    at = expected[0].position
    found: list[Entry] = []
    while page := past.entries(at, 4, cancel):
        assert [entry.position for entry in page] == [e.position for e in expected[len(found) :]][: len(page)]
        found += page
        if len(found) == len(expected):
            break
        at = expected[len(found)].position
    assert found == expected
    for number in (len(expected) // 2, 1, len(expected) - 2):
        assert past.entries(expected[number].position, 1, cancel) == (expected[number],)
    past.close()
    assert (store.opened, store.closed) == (1, 1)


def test_sql_is_answered_at_every_commit_the_first_too(history: History) -> None:
    store = Opened(history)
    past, cancel = Past(store.open, OPTIONS, Cached()), threading.Event()
    sql = "SELECT name FROM sqlite_schema ORDER BY name"
    for commit in (history.commits[0], history.commits[len(history.commits) // 2], history.commits[-1]):
        answer = past.answer(commit.at(), sql, 1000, 60.0, cancel)
        expected = asked(commit, sql)
        assert isinstance(expected, list)
        assert [row[0] for row in answer.rows] == [row[0] for row in expected]


def test_a_cancelled_question_leaves_nothing_that_the_next_trips_over(history: History) -> None:
    store = Opened(history)
    past, cancel = Past(store.open, OPTIONS, Cached()), threading.Event()
    store.storage.interrupt = cancel.set  # type: ignore[method-assign]
    get = store.storage.get

    def cancelling(name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        cancel.set()
        past.break_off(cancel)
        raise StorageError("interrupted")

    store.storage.get = cancelling  # type: ignore[method-assign]
    position = history.commits[-1].at()
    with pytest.raises((RestoreCancelledError, StorageError)):
        past.entries(position, 1, cancel)
    store.storage.get = get  # type: ignore[method-assign]
    # Another's event is nothing to the question under way, and none is.
    past.break_off(threading.Event())
    [entry] = past.entries(position, 1, threading.Event())
    assert entry.position == position
    assert (store.opened, store.closed) == (2, 1)
    with pytest.raises(RestoreCancelledError):
        past.entries(position, 1, cancel)
