"""-timestamp is exact to the commit where segments note when theirs were seen, by no clock that anybody sets."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from replication.errors import ReplicationError, StorageError
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import RestoreOptions, prepare, restore
from replication.restore.retry import Backoff
from replication.restore.target import AtTime
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.names import segment_name
from replication.storage.wal03.notes import SegmentNote
from tests.restore.history import BEGAN, GENERATION, Commit, History, ReplicaBuilder, note_of
from tests.restore.test_every_commit import sha

DELAY = timedelta(seconds=0.2)
"""From when an object is sent until the store has it."""


NEVER = datetime.max.replace(tzinfo=BEGAN.tzinfo)


@dataclass
class Sent:
    """A commit, when it was made, the time that its note and its object give, and the latter's by itself."""

    commit: Commit
    made: datetime
    told: datetime
    stored: datetime


def replicate(history: History, chance: random.Random, whole_seconds: bool) -> tuple[MemoryStorage, list[Sent]]:
    """Commits one after the other, sent now and then: at once, or long after in one object or several."""
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    size = history.page_size
    builder.snapshot(0, history.bases[0], note_of(Position(GENERATION, 0, 0), len(history.bases[0]) // size, size))
    sent: list[Sent] = []
    now = BEGAN + timedelta(seconds=10)
    for index, wal in enumerate(history.wals):
        waiting: list[tuple[Commit, datetime]] = []
        commits = [commit for commit in history.commits if commit.index == index]
        start = 0
        for number, commit in enumerate(commits):
            now += timedelta(seconds=chance.choice((0.01, 0.5, 3)))
            waiting.append((commit, now))
            if number + 1 < len(commits) and chance.random() < 0.6:
                continue
            # An outage of the store.
            now += timedelta(seconds=chance.choice((0.05, 0.05, 60)))
            stored = now + DELAY
            if whole_seconds:
                stored = stored.replace(microsecond=0)
            bound = stored + timedelta(seconds=1) if not stored.microsecond else stored
            ages = [(item.offset, int((now - made).total_seconds() * 1000)) for item, made in waiting]
            # Some say nothing, as after a restart.
            seen = tuple(ages) if chance.random() < 0.8 else ()
            note = SegmentNote(seen=seen)
            if index and not start:
                note = replace(note, previous=Position(GENERATION, index - 1, len(history.wals[index - 1])))
            builder.now = stored - timedelta(seconds=1)
            name = segment_name(Position(GENERATION, index, start))
            builder.put(name, wal[start : commit.offset], note.fields())
            for (item, made), (_, age) in zip(waiting, ages, strict=True):
                told = bound - timedelta(milliseconds=age) if seen else NEVER
                sent.append(Sent(item, made, told, stored))
            start, waiting = commit.offset, []
    return storage, sent


def at(storage: MemoryStorage, time: datetime, output: Path) -> Position:
    options = RestoreOptions(AtTime(time), integrity_check="none", backoff=Backoff(base_seconds=0.0))
    result = restore([OpenReplica("test", storage)], output, options)
    output.unlink()
    return result.position


def listed_by(stored: datetime, time: datetime) -> bool:
    """What came in a second that the store tells whole was there by a time within it, if that is told whole as well."""
    return stored <= time - timedelta(seconds=1) if time.microsecond and not stored.microsecond else stored <= time


@pytest.mark.parametrize("whole_seconds", [False, True], ids=["microseconds", "seconds"])
def test_promise_3_a_time_gives_the_last_commit_that_was_made_by_then(
    history: History, tmp_path: Path, whole_seconds: bool
) -> None:
    exact = 0
    for seed in range(4):
        storage, sent = replicate(history, random.Random(seed), whole_seconds)
        for time in (item.made + timedelta(seconds=shift) for item in sent for shift in (-0.001, 0.3, 1.3)):
            if not listed_by(sent[0].stored, time):
                continue
            by_objects = max((number for number, item in enumerate(sent) if listed_by(item.stored, time)), default=-1)
            told = by_objects
            for number in range(by_objects + 1, len(sent)):
                if time < sent[number].told < NEVER:
                    break
                told = number if sent[number].told <= time else told
            assert at(storage, time, tmp_path / "out") == sent[told].commit.at()
            exact += told > by_objects
            # Never one that was made later, whatever the store tells of it.
            assert sent[told].made <= (time if time.microsecond else time + timedelta(seconds=1))
    assert exact > 20


def test_where_it_cannot_be_asked_the_times_of_objects_count_and_it_is_said(history: History, tmp_path: Path) -> None:
    storage, sent = replicate(history, random.Random(0), False)
    late = next(item for item in sent if item.told < item.stored - timedelta(seconds=30))
    time = late.told
    assert at(storage, time, tmp_path / "out") == late.commit.at()
    options = RestoreOptions(AtTime(time), backoff=Backoff(base_seconds=0.0))
    away = MemoryStorage()
    for name in storage.names():
        away.replace(name, storage.read(name), next(item.modified for item in storage.list("") if item.name == name))
    notes = away.get

    def get(name: str, offset: int = 0, length: int | None = None):  # type: ignore[no-untyped-def]
        if "/wal/" in name and length is not None:
            raise StorageError("the store is away")
        return notes(name, offset, length)

    away.get = get  # type: ignore[method-assign]
    prepared = prepare([OpenReplica("test", away)], options)
    assert any("did not say when its later commits were made: the store is away" in text for text in prepared.warnings)


@pytest.mark.parametrize("first", ["near", "far"])
@pytest.mark.parametrize("lacks", ["what followed", "a snapshot from before"])
def test_promise_3_a_commit_made_by_then_is_given_by_any_replica_that_has_it_now(
    history: History, tmp_path: Path, lacks: str, first: str
) -> None:
    """The one replica had it by then and cannot bring it back; the other one got it later, with a note of when it was
    made.
    """
    time = BEGAN + timedelta(minutes=5)
    base, size, ends = history.bases[0], history.page_size, history.ends(0)
    near, far = MemoryStorage(), MemoryStorage()

    def builder(storage: MemoryStorage, seconds: float) -> ReplicaBuilder:
        return ReplicaBuilder(storage, GENERATION, time + timedelta(seconds=seconds - 1))

    def put(storage: MemoryStorage, seconds: float, begin: int, end: int, *seen: tuple[int, int]) -> None:
        name = segment_name(Position(GENERATION, 0, begin))
        builder(storage, seconds).put(name, history.wals[0][begin:end], SegmentNote(seen=seen).fields())

    begun = note_of(Position(GENERATION, 0, 0), len(base) // size, size)
    builder(far, -20).snapshot(0, base, begun)
    put(far, -10, 0, ends[0])
    put(far, 60, ends[0], ends[2], (ends[1], 65_000), (ends[2], 10_000))
    put(near, -4, 0, ends[1])
    if lacks == "what followed":
        builder(near, -20).snapshot(0, base, begun)
        put(near, 100, ends[3], ends[4])
    else:
        put(near, 100, ends[1], ends[3])
        builder(near, 101).noted_snapshot(history.commits[3], size)
    sources = sorted([OpenReplica("near", near), OpenReplica("far", far)], key=lambda item: item.name != first)
    right = history.commits[1]
    options = RestoreOptions(AtTime(time), backoff=Backoff(base_seconds=0.0))
    with pytest.raises(ReplicationError):
        restore([item for item in sources if item.name == "near"], tmp_path / "near.db", options)
    result = restore(sources, tmp_path / "out.db", options)
    assert (result.position, sha(tmp_path / "out.db")) == (right.at(), right.sha)
    if lacks == "what followed":
        # Without the commit after it, nobody knows whether what is lost had been made by then.
        far.delete([segment_name(Position(GENERATION, 0, ends[0]))])
        put(far, 60, ends[0], ends[1], (ends[1], 65_000))
        with pytest.raises(ReplicationError, match="is not in the replica"):
            restore(sources, tmp_path / "lost.db", options)
