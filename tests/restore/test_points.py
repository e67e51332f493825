"""The points that a picker offers: each can be restored, and none that can be is left out."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.errors import CorruptObjectError, ReplicationError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.points import Extent, PointMap, points_of
from replication.restore.restore import RestoreOptions, restore
from replication.restore.target import AtPosition
from replication.restore.wal03.catalog import read_catalog
from replication.restore.wal03.points import point_map, read_commits
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.restore.history import GENERATION, History, ReplicaBuilder, publish, scripts, write_history
from tests.restore.running import QUICK, name_at


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), 512, [list(item)[:4] for item in scripts()])


def surveyed(storage: MemoryStorage) -> tuple[PointMap, list[Position]]:
    """Everything a picker that has read every segment knows."""
    client = ReplicaClient(storage)
    catalog = read_catalog(client, GENERATION)
    extents: dict[str, Extent] = {}
    found = {}
    for segment in catalog.segments:
        try:
            found[segment.name] = read_commits(client, segment.position)
        except ReplicationError:
            continue
        extents[segment.name] = found[segment.name].extent
    seen = point_map(catalog, extents)
    points = [point for stop in seen.stops for point in points_of(stop, found.get(stop.object))]
    return seen, points


def restorable(storage: MemoryStorage, folder: Path, position: Position) -> str | None:
    """The hash of the database at a position, or None if it cannot be restored."""
    output = folder / "out.db"
    options = RestoreOptions(AtPosition(position), position.generation, integrity_check="none", backoff=QUICK)
    try:
        restore([OpenReplica("test", storage)], output, options)
    except ReplicationError:
        return None
    try:
        return hashlib.sha256(output.read_bytes()).hexdigest()
    finally:
        output.unlink()


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_a_whole_replica_has_every_commit_once_and_in_order(history: History, noted: bool) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted)
    seen, points = surveyed(storage)
    first = [Position(GENERATION, 0, 0)] if noted else []
    assert points == first + [commit.at() for commit in history.commits]
    assert not seen.missing
    assert [stop.time for stop in seen.stops] == sorted(stop.time for stop in seen.stops)


def test_a_missing_object_is_named_and_cuts_off_what_follows_until_the_next_snapshot(history: History) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    builder = ReplicaBuilder(storage)
    second = next(commit for commit in history.commits if commit.index == 2)
    builder.noted_snapshot(second, history.page_size)
    storage.delete([name_at(1, 0)])
    seen, points = surveyed(storage)
    assert [item.name for item in seen.missing] == [name_at(1, 0)]
    assert {point.index for point in points} == {0, 2}
    assert second.at() in points
    assert any(stop.snapshot and second.at() in stop.held for stop in seen.stops)


def test_a_segment_missing_at_the_end_of_an_index_is_noticed_by_the_note_of_the_next(history: History) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    last = max(name for name in storage.names() if "/wal/00000000_" in name)
    storage.delete([last])
    seen, points = surveyed(storage)
    assert [item.name for item in seen.missing] == [last]
    assert {point.index for point in points} == {0}


def test_a_damaged_segment_says_so(history: History) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    client = ReplicaClient(storage)
    segment = client.segments(GENERATION)[0]
    storage.put(segment.name, [b"x"])
    with pytest.raises(CorruptObjectError, match="is damaged"):
        read_commits(client, segment.position)


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_what_is_offered_is_what_can_be_restored_whatever_is_missing(
    history: History, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    builder = ReplicaBuilder(storage)
    for number in data.draw(st.sets(st.integers(0, len(history.commits) - 1), max_size=2)):
        builder.noted_snapshot(history.commits[number], history.page_size)
    storage.delete(data.draw(st.sets(st.sampled_from(storage.names()), max_size=2)))
    _, points = surveyed(storage)
    folder = tmp_path_factory.mktemp("restores")
    shas = {commit.at(): commit.sha for commit in history.commits}
    first = Position(GENERATION, 0, 0)
    for position in {first, *shas}:
        sha = restorable(storage, folder, position)
        assert (position in points) == (sha is not None), f"{position}"
        assert sha in (None, shas.get(position, sha))


def test_a_segment_that_cannot_be_read_cuts_off_as_a_missing_one_does(history: History) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    catalog = read_catalog(ReplicaClient(storage), GENERATION)
    seen = point_map(catalog, damaged=frozenset({name_at(1, 0)}))
    assert [item.name for item in seen.missing] == [name_at(1, 0)]
    assert {stop.begins.index for stop in seen.stops if stop.begins} == {0}
