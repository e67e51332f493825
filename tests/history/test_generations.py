"""All generations of a replica are looked at, the newest first, unless one is named; also what changed between two."""

import threading

import pytest

from replication.errors import InconclusiveError, NoRestorePointError
from replication.history import questions
from replication.history.log import Log
from replication.history.moments import find, timelines
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtTime
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import snapshot_name
from tests.history.looking import QUICK, Cached
from tests.history.test_find import search
from tests.restore.history import BEGAN, History, ReplicaBuilder, note_of, write_history

# Not in the order of their names.
NAMES = ("00000000000000cc", "00000000000000aa", "00000000000000bb")
SCRIPTS = [
    [
        "CREATE TABLE t(i INTEGER PRIMARY KEY, x);",
        "CREATE TABLE old(a);",
        "INSERT INTO t VALUES(1, 1);",
        "DROP TABLE old;",
    ],
    [
        "INSERT INTO t VALUES(2, 1);",
        "INSERT INTO t VALUES(3, 1);",
        "DROP TABLE t;",
        "CREATE TABLE t(i INTEGER PRIMARY KEY);",
    ],
    ["CREATE TABLE other(a);", "DROP TABLE other;", "INSERT INTO t VALUES(4);", "INSERT INTO t VALUES(5);"],
]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("generations"), 4096, SCRIPTS)


@pytest.fixture
def storage(history: History) -> MemoryStorage:
    """Each index as a generation of its own; the second begins two commits late, so that those are nowhere."""
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    size = history.page_size
    for index, name in enumerate(NAMES):
        builder.generation = name
        ends = history.ends(index)
        previous = {"previous": NAMES[index - 1]} if index else {}
        at = ends[1] if index == 1 else 0
        commit = next((item for item in history.commits if (item.index, item.offset) == (index, at)), None)
        content = commit.content if commit is not None else history.bases[index]
        # A generation begins with the WAL as it is, and with a snapshot of some commit in it.
        builder.snapshot(0, content, note_of(Position(name, 0, at), len(content) // size, size, **previous))
        builder.wal(0, history.wals[index], ends[::2])
    return storage


def at(history: History, generation: int, number: int) -> Position:
    """The commit of that number, from 0, in a generation."""
    return Position(NAMES[generation], 0, history.ends(generation)[number])


def test_what_changed_in_an_older_generation_is_found(history: History, storage: MemoryStorage) -> None:
    for table, generation, number in (("other", 2, 1), ("t", 1, 2), ("old", 0, 3)):
        found = find(search(storage, questions.gone(table)))
        assert (found.before, found.after) == (at(history, generation, number - 1), at(history, generation, number))
        assert (found.is_sure, found.is_across) == (True, False)
    with pytest.raises(NoRestorePointError, match=r"has a table or view never\. The last one has t\."):
        find(search(storage, questions.gone("never")))
    with pytest.raises(NoRestorePointError, match=f"t lost 9 rows or more, from {NAMES[0]}/00000000:0 on"):
        find(search(storage, questions.fell("t", 9)))


def test_what_changed_between_two_generations_is_found(history: History, storage: MemoryStorage) -> None:
    found = find(search(storage, questions.row("t", "2")))
    # It was made by a commit that the second generation began after, and went with its table.
    assert found.after == at(history, 1, 2)
    all_found = list(search(storage, questions.row("t", "2"), is_all=True).changes())
    assert [item.after for item in all_found] == [at(history, 1, 2), at(history, 1, 1)]
    across = all_found[1]
    assert (across.before, across.is_across, across.is_sure) == (at(history, 0, 3), True, True)
    assert (str(across.was), str(across.became)) == ("no rows", "2, 1")
    assert across.before_time < across.after_time


def test_one_generation_is_looked_at_if_it_is_named(history: History, storage: MemoryStorage) -> None:
    with pytest.raises(NoRestorePointError, match="has a table or view old"):
        find(search(storage, questions.gone("old"), generation=NAMES[1]))
    assert find(search(storage, questions.gone("old"), generation=NAMES[0])).after == at(history, 0, 3)


def test_times_bound_it_in_all_generations(history: History, storage: MemoryStorage) -> None:
    [last] = [item.after_time for item in search(storage, questions.gone("old"), is_all=True).changes()]
    found = find(search(storage, questions.gone("old"), target=AtTime(last)))
    assert found.after == at(history, 0, 3)
    with pytest.raises(NoRestorePointError, match=r"other\. The last one has t"):
        find(search(storage, questions.gone("other"), target=AtTime(last)))
    first = find(search(storage, questions.gone("t"))).after_time
    assert find(search(storage, questions.gone("t"), since=first)).after_time == first
    made = search(storage, questions.gone("old"), since=first)
    with pytest.raises(NoRestorePointError):
        find(made)
    assert made.first is not None
    assert made.first.generation == NAMES[1]


def test_an_older_generation_that_cannot_be_read_leaves_it_open(history: History, storage: MemoryStorage) -> None:
    name = snapshot_name(NAMES[1], 0)
    stored = b"".join(storage.get(name))
    storage.replace(name, stored[:-40], BEGAN)
    said: list[str] = []
    with pytest.raises(InconclusiveError, match=f"not known whether there is a commit at which t went.*{NAMES[1]}: "):
        find(search(storage, questions.gone("t"), tell=said.append))
    assert any(f"Generation {NAMES[1]} was not looked at to its end: " in words for words in said)
    # What is newer than that is sure, and what is older is not the newest for sure.
    assert find(search(storage, questions.gone("other"))).is_sure
    older = find(search(storage, questions.gone("old")))
    assert (older.after, older.is_sure) == (at(history, 0, 3), False)


def told(storage: MemoryStorage, generation: str | None = None) -> list[tuple[Position, list[str]]]:
    stop, log = threading.Event(), Log(threading.Event())
    options = RestoreOptions(backoff=QUICK, generation=generation)
    return [
        (entry.position, [item.name for item in entry.tables])
        for timeline in timelines([OpenReplica("test", storage)], options, Cached(), stop)
        for entry in log.entries(timeline)
    ]


def test_the_log_goes_on_with_older_generations(history: History, storage: MemoryStorage) -> None:
    expected = [
        (at(history, 2, 3), ["t"]),
        (at(history, 2, 2), ["t"]),
        (at(history, 2, 1), ["other"]),
        (at(history, 2, 0), ["other"]),
        (at(history, 1, 3), ["t"]),
        (at(history, 1, 2), ["t"]),
        (at(history, 0, 3), ["old"]),
        (at(history, 0, 2), ["t"]),
        (at(history, 0, 1), ["old"]),
        (at(history, 0, 0), ["t"]),
    ]
    assert told(storage) == expected
    assert told(storage, NAMES[1]) == expected[4:6]
