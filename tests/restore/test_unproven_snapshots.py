"""A snapshot of Litestream that may hold commits whose WAL is not there: no older state is given in its place.

Promise 3. What is missing is named, and the position with which the older state can be had on purpose.
"""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from replication.errors import NoRestorePointError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, RestoreResult, restore
from replication.restore.target import AtIndex, AtPosition, AtTime, Latest, Target
from replication.storage.memory import MemoryStorage
from tests.restore.history import GENERATION, History, ReplicaBuilder, note_of, write_history
from tests.restore.running import QUICK

PAGE_SIZE = 512


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Two indexes of small commits, each of which writes to a page of its own and to one that all of them write to."""
    made = [f"CREATE TABLE t{number}(a)" for number in range(6)]
    more = [f"BEGIN; INSERT INTO t{n} VALUES(randomblob(300)); INSERT INTO t5 VALUES({n}); COMMIT" for n in range(5)]
    return write_history(tmp_path_factory.mktemp("history"), PAGE_SIZE, [made, more])


def replica(
    history: History, held: int | None, stored: int, late: bool = False
) -> tuple[MemoryStorage, ReplicaBuilder]:
    """All of index 0 from a noted snapshot, `stored` commits of index 1, and a snapshot of it with `held` commits.

    `late` stores one more segment after the snapshot, of the next commit.
    """
    storage = MemoryStorage("memory://x")
    builder = ReplicaBuilder(storage)
    note = note_of(Position(GENERATION, 0, 0), len(history.bases[0]) // PAGE_SIZE, PAGE_SIZE)
    builder.snapshot(0, history.bases[0], note)
    builder.wal(0, history.wals[0], ())
    ends = history.ends(1)
    before: dict[str, str | int] = {"v": 1, "previous": str(Position(GENERATION, 0, len(history.wals[0])))}
    builder.wal(1, history.wals[1][: ends[stored - 1]], ends[: stored - 1], before)
    if held is not None:
        states = [history.bases[1], *(item.content for item in history.commits if item.index == 1)]
        builder.snapshot(1, states[held])
    if late:
        name = f"generations/{GENERATION}/wal/00000001_{ends[stored - 1]:08x}.wal.lz4"
        builder.put(name, history.wals[1][ends[stored - 1] : ends[stored]])
    return storage, builder


def run(output: Path, target: Target, *storages: MemoryStorage) -> RestoreResult:
    sources = [OpenReplica(f"r{number}", storage) for number, storage in enumerate(storages)]
    generation = GENERATION if isinstance(target, AtIndex) else None
    return restore(sources, output, RestoreOptions(target, generation, backoff=QUICK))


def refuses(output: Path, target: Target, *storages: MemoryStorage) -> Position:
    """What the refusal says that can be had."""
    with pytest.raises(NoRestorePointError) as caught:
        run(output, target, *storages)
    assert not output.exists()
    words = str(caught.value)
    assert "00000001.snapshot.lz4, which Litestream wrote, may hold later commits" in words
    found = re.search(r"-position (\S+/\d{8}:\d+)", words)
    assert found is not None, words
    return Position.parse(found[1])


@pytest.mark.parametrize("asked", ["latest", "a time", "an index"])
def test_promise_3_wal_after_a_snapshot_of_litestream_is_lost(history: History, tmp_path: Path, asked: str) -> None:
    storage, builder = replica(history, held=4, stored=2)
    targets: dict[str, Target] = {
        "latest": Latest(),
        "a time": AtTime(builder.now + timedelta(hours=1)),
        "an index": AtIndex(1),
    }
    had = refuses(tmp_path / "restored.db", targets[asked], storage)
    commit = [item for item in history.commits if item.index == 1][1]
    assert had == commit.at()
    # On purpose it can be had.
    result = run(tmp_path / "restored.db", AtPosition(had), storage)
    assert result.position == had
    assert (tmp_path / "restored.db").read_bytes() == commit.content


def test_promise_3_a_time_between_such_a_snapshot_and_what_came_next(history: History, tmp_path: Path) -> None:
    """What came next may be what it holds, and may not: the state at that time is one of the two."""
    storage, builder = replica(history, held=3, stored=2, late=True)
    had = refuses(tmp_path / "restored.db", AtTime(builder.now - timedelta(seconds=1)), storage)
    assert had == [item for item in history.commits if item.index == 1][1].at()


def test_promise_3_another_replica_that_reaches_as_far_as_the_wal_does_not_stand_in(
    history: History, tmp_path: Path
) -> None:
    with_it, _ = replica(history, held=4, stored=2)
    without, _ = replica(history, held=None, stored=2)
    further, _ = replica(history, held=None, stored=3)
    for others in ((with_it, without), (without, with_it), (with_it, further), (further, with_it)):
        with pytest.raises(NoRestorePointError, match=r"(?s)00000001\.snapshot\.lz4.* may hold later"):
            run(tmp_path / "restored.db", Latest(), *others)
    assert not (tmp_path / "restored.db").exists()


@pytest.mark.parametrize("held", [0, 1, 2])
@pytest.mark.parametrize("asked", ["latest", "a time"])
def test_a_snapshot_that_holds_no_more_than_the_wal_hinders_nothing(
    history: History, tmp_path: Path, held: int, asked: str
) -> None:
    """As that of a database at rest, which Litestream takes at the start of an index."""
    storage, builder = replica(history, held, stored=2, late=asked == "a time")
    target = AtTime(builder.now - timedelta(seconds=1)) if asked == "a time" else Latest()
    result = run(tmp_path / "restored.db", target, storage)
    commit = [item for item in history.commits if item.index == 1][1]
    assert (tmp_path / "restored.db").read_bytes() == commit.content
    assert result.position == commit.at()
    assert [text for text in result.warnings if "The store tells whole seconds" not in text] == []


def test_a_position_that_only_pages_speak_for_has_a_warning(history: History, tmp_path: Path) -> None:
    """It was written last, and what a commit after that position changed elsewhere nothing tells."""
    storage = MemoryStorage("memory://x")
    builder = ReplicaBuilder(storage)
    commit = [item for item in history.commits if item.index == 1][1]
    builder.wal(1, history.wals[1][: commit.offset], ())
    builder.snapshot(1, commit.content)
    result = run(tmp_path / "restored.db", AtPosition(commit.at()), storage)
    assert (tmp_path / "restored.db").read_bytes() == commit.content
    assert any("it may hold commits after" in words.replace("\n", " ") for words in result.warnings)
