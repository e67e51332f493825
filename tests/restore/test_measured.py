"""Promise 3: of several replicas the one is taken that holds the latest commit, and a tail without a commit is none."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from replication.errors import ReplicaGapError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtTime, Latest, Target
from replication.sqlite.checksum import FRAME_HEADER_SIZE
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segment_name
from tests.restore.history import BEGAN, GENERATION, History, ReplicaBuilder, note_of, scripts, write_history
from tests.restore.test_every_commit import sha

LAST = 2
"""The last index: a small commit, one of many frames, another small one."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), 4096, list(scripts()))


def replica(history: History, frames: int, commits: int = 1) -> MemoryStorage:
    """All up to a commit of the last index, and so many frames of the next one; there each has a segment of its own."""
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    builder.snapshot(0, history.bases[0], note_of(Position(GENERATION, 0, 0), len(history.bases[0]) // 4096, 4096))
    for index, wal in enumerate(history.wals[:LAST]):
        builder.wal(index, wal, [])
    end = history.ends(LAST)[commits - 1]
    size = FRAME_HEADER_SIZE + 4096
    cuts = [*history.ends(LAST), *(end + number * size for number in range(frames + 1))]
    builder.wal(LAST, history.wals[LAST][: end + frames * size], cuts)
    return storage


def without_start(storage: MemoryStorage) -> MemoryStorage:
    """The first segment of the last index is lost."""
    storage.delete([segment_name(Position(GENERATION, LAST, 0))])
    return storage


@pytest.mark.parametrize("first", ["near", "far"])
@pytest.mark.parametrize("frames", [2, 3, 4], ids=["less", "as much", "more"])
def test_promise_3_wal_of_a_transaction_that_has_not_ended_is_no_commit_that_another_replica_lacks(
    history: History, tmp_path: Path, frames: int, first: str
) -> None:
    sources = [OpenReplica("near", replica(history, 3)), OpenReplica("far", without_start(replica(history, frames)))]
    sources.sort(key=lambda source: source.name != first)
    right = next(commit for commit in history.commits if commit.index == LAST)
    targets: list[Target] = [Latest(), AtTime(BEGAN + timedelta(days=1))]
    for number, target in enumerate(targets):
        result = restore(sources, tmp_path / f"{number}.db", RestoreOptions(target))
        assert (result.replica, result.position, sha(tmp_path / f"{number}.db")) == ("near", right.at(), right.sha)


def test_promise_3_of_two_replicas_the_one_with_another_commit_is_taken_whatever_tail_the_other_has(
    history: History, tmp_path: Path
) -> None:
    """The one has a transaction that has not ended up to its last frame, the other one has it whole."""
    size = FRAME_HEADER_SIZE + 4096
    begin, end = history.ends(LAST)[:2]
    long, whole = replica(history, (end - begin) // size - 1), replica(history, 0, commits=2)
    sources = [OpenReplica("long", long), OpenReplica("whole", whole)]
    result = restore(sources, tmp_path / "out.db", RestoreOptions())
    assert (result.replica, result.position.offset) == ("whole", end)


def test_promise_3_a_refusal_names_the_commit_that_another_replica_ends_at(history: History, tmp_path: Path) -> None:
    """And not a place in the middle of a segment, at which nothing can be restored."""
    sources = [
        OpenReplica("far", without_start(replica(history, 0, commits=3))),
        OpenReplica("near", replica(history, 3)),
    ]
    first = next(commit.at() for commit in history.commits if commit.index == LAST)
    with pytest.raises(ReplicaGapError, match=re.escape(f"Replica near: it can be restored up to {first}: name")):
        restore(sources, tmp_path / "out.db", RestoreOptions())
    assert list(tmp_path.iterdir()) == []
