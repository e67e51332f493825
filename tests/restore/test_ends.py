"""Promise 3: an end mark holds nothing, so one that is damaged hinders no restore where it is known to be one."""

from pathlib import Path

import pytest

from replication.errors import CorruptObjectError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.points import points_of
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtIndex, AtTime, Latest, Target
from replication.restore.wal03.catalog import read_catalog
from replication.restore.wal03.points import point_map, read_commits
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.restore.history import GENERATION, Commit, History, ReplicaBuilder, note_of
from tests.restore.running import QUICK, fails, name_at, run
from tests.restore.test_every_commit import sha


def mark(history: History, index: int) -> str:
    """The name of the end mark of an index."""
    return name_at(index, len(history.wals[index]))


def last(history: History, index: int) -> Commit:
    """The last commit of an index."""
    return next(commit for commit in reversed(history.commits) if commit.index == index)


def replicated(history: History, indexes: int) -> MemoryStorage:
    """A replica of so many indexes as this program writes it, with an end mark after each."""
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    pages = len(history.bases[0]) // history.page_size
    builder.snapshot(0, history.bases[0], note_of(Position(GENERATION, 0, 0), pages, history.page_size))
    for index in range(indexes):
        note: dict[str, str | int] = {"v": 1, "position": str(Position(GENERATION, index, 0))}
        if index:
            note["previous"] = str(Position(GENERATION, index - 1, len(history.wals[index - 1])))
        builder.wal(index, history.wals[index], history.ends(index)[1::2], note)
        builder.put(mark(history, index), b"", {"v": 1})
    return storage


def tear(storage: MemoryStorage, name: str) -> None:
    """Half of an object is gone; its time stays."""
    modified = next(item.modified for item in storage.list("") if item.name == name)
    storage.replace(name, storage.read(name)[:9], modified)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("asked", ["latest", "the index", "the time of the mark"])
def test_promise_3_a_damaged_end_mark_is_told_by_the_index_after_it(
    history: History, tmp_path: Path, index: int, asked: str
) -> None:
    storage = replicated(history, 3)
    time = next(item.modified for item in storage.list("") if item.name == mark(history, index))
    targets: dict[str, Target] = {"latest": Latest(), "the index": AtIndex(index), "the time of the mark": AtTime(time)}
    tear(storage, mark(history, index))
    if asked == "latest":
        storage.delete([mark(history, 2)])
    result = run(storage, tmp_path / "out", targets[asked])
    right = history.commits[-1] if asked == "latest" else last(history, index)
    assert (result.position, sha(tmp_path / "out")) == (right.at(), right.sha)
    assert any(mark(history, index) in words for words in result.warnings)


@pytest.mark.parametrize("broken", ["only the mark", "its snapshot too", "a segment is lost too"])
@pytest.mark.parametrize("order", [1, -1])
def test_promise_3_a_damaged_end_mark_is_told_by_that_of_another_replica(
    history: History, tmp_path: Path, broken: str, order: int
) -> None:
    torn, whole = replicated(history, 2), replicated(history, 2)
    tear(torn, mark(history, 1))
    if broken == "its snapshot too":
        tear(torn, torn.names()[0])
    if broken == "a segment is lost too":
        torn.delete([name_at(1, 0)])
    sources = [OpenReplica("torn", torn), OpenReplica("whole", whole)][::order]
    result = restore(sources, tmp_path / "out", RestoreOptions(backoff=QUICK))
    right = last(history, 1)
    assert (result.position, sha(tmp_path / "out")) == (right.at(), right.sha)
    assert result.replica == "whole"


def test_promise_3_what_is_torn_may_be_commits_where_nothing_says_that_it_is_an_end_mark(
    history: History, tmp_path: Path
) -> None:
    storage = replicated(history, 2)
    tear(storage, mark(history, 1))
    assert mark(history, 1) in fails(storage, tmp_path, CorruptObjectError)
    behind = replicated(history, 2)
    behind.delete([mark(history, 1)])
    sources = [OpenReplica("torn", storage), OpenReplica("behind", behind)]
    with pytest.raises(CorruptObjectError, match="-replica behind"):
        restore(sources, tmp_path / "out", RestoreOptions(backoff=QUICK))
    # Where the index goes on after it, it was a segment.
    storage = replicated(history, 3)
    torn = name_at(1, history.ends(1)[1])
    tear(storage, torn)
    assert torn in fails(storage, tmp_path, CorruptObjectError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("index", [0, 1])
def test_a_damaged_end_mark_cuts_off_no_point(history: History, index: int) -> None:
    storage = replicated(history, 3)
    tear(storage, mark(history, index))
    client = ReplicaClient(storage)
    catalog = read_catalog(client, GENERATION)
    whole = [item for item in catalog.segments if item.name != mark(history, index)]
    found = {item.name: read_commits(client, item.position) for item in whole}
    extents = {name: commits.extent for name, commits in found.items()}
    seen = point_map(catalog, extents, frozenset([mark(history, index)]))
    points = [point for stop in seen.stops for point in points_of(stop, found.get(stop.object))]
    assert points == [Position(GENERATION, 0, 0), *(commit.at() for commit in history.commits)]
    assert not seen.missing
