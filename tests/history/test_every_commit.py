"""Every page of every commit: a timeline has what SQLite saw, and what a restore gives."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import lz4.frame
import pytest

from replication.errors import CorruptObjectError
from replication.history.wal03 import indexed, parts
from replication.history.wal03.timeline import read_timeline
from replication.position import Position
from replication.restore.open_replica import OpenReplica
from replication.restore.options import RestoreOptions
from replication.restore.target import AtIndex, AtPosition, AtTime, Latest, Target
from replication.restore.wal03 import fetch
from replication.storage.blocks import BlockTable
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03 import frame_index
from replication.storage.wal03.names import snapshot_name
from tests.history.looking import QUICK, Cached, content, timeline, with_indexes
from tests.restore.history import GENERATION, History, ReplicaBuilder, note_of, publish, scripts, write_history


@pytest.fixture(scope="module", params=[512, 4096, 65536])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), request.param, list(scripts()))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def indexed_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a segment is, its index may be made and used."""
    monkeypatch.setattr(frame_index, "INDEX_SHARE", 0.2)
    monkeypatch.setattr(fetch, "SMALL_OBJECT_BYTES_MAX", 0)
    monkeypatch.setattr(parts, "WHOLE_BYTES_MAX", 0)


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
@pytest.mark.parametrize("kept", ["kept", "read again", "indexed"])
def test_promise_3_every_commit(history: History, noted: bool, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    swap = kept != "kept"  # Either order of bytes, once.
    if kept == "read again":
        monkeypatch.setattr(indexed, "KEPT_BYTES_MAX", 0)
        monkeypatch.setattr(parts, "KEPT_BYTES_MAX", 0)
    storage = MemoryStorage()
    publish(history, storage, noted, swap)
    if kept == "indexed":
        indexed_all(monkeypatch)
        assert with_indexes(storage) > len(history.wals)
    whole = timeline(storage)
    covered = 0
    for commit in history.commits:
        alone = timeline(storage, AtPosition(commit.at()))
        assert (alone.end, sha(content(alone.moment()))) == (commit.at(), commit.sha)
        assert alone.page_size == history.page_size
        if whole.covers(commit.at()):
            covered += 1
            moment = whole.moment(commit.at())
            assert (moment.pages, sha(content(moment))) == (commit.pages, commit.sha)
    # Of a snapshot of Litestream's own index nothing but the end is certain.
    assert covered == (len(history.commits) if noted else sum(commit.index > 0 for commit in history.commits))
    ends = [whole.position(place) for place in whole.ends()]
    covers = [commit.at() for commit in history.commits if noted or commit.index]
    assert ends[-len(covers) :] == covers
    assert len(ends) == len(covers) + noted
    assert whole.end == history.commits[-1].at()


def wrong(table: BlockTable, field: str, at: int, by: int) -> BlockTable:
    rows = getattr(table, field).copy()
    rows[at] = int(rows[at]) + by
    return replace(table, **{field: rows})


SMALL = lz4.frame.BLOCKSIZE_MAX64KB
WRONG: list[tuple[str, int, int]] = [
    ("starts", 0, 64),
    ("starts", 1, 1),
    ("starts", -1, 1 << 40),
    ("sizes", 0, 1),
    ("sizes", -1, 1 << 20),
    ("offsets", 1, 512),
    ("offsets", -1, 512),
    ("offsets", -1, -512),
    ("offsets", -1, 1 << 40),
    ("sums", 0, 1),
    ("sums", 1, 1),
    ("sums", -1, 1),
]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> History:
    """With a snapshot of several blocks in each index."""
    numbers = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 300)"
    first = (
        f"BEGIN; CREATE TABLE t(a INTEGER PRIMARY KEY, b); {numbers} INSERT INTO t SELECT v, randomblob(900) FROM n;"
    )
    scripts_ = [[f"{first} COMMIT;"], ["UPDATE t SET b = 'x' WHERE a = 7;"], ["UPDATE t SET b = 'y' WHERE a = 200;"]]
    return write_history(tmp_path_factory.mktemp("large"), 512, scripts_)


def test_a_table_that_is_kept_and_wrong_costs_another_look_and_no_answer(large: History) -> None:
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    # As Litestream's, in small blocks, and written anew by somebody in the same second and size.
    data = lz4.frame.compress(large.bases[1], block_size=SMALL, block_linked=False, content_checksum=True)
    name = snapshot_name(GENERATION, 1)
    storage.replace(name, data, builder.now)
    for index in (1, 2):
        builder.wal(index, large.wals[index], [])
    commit = large.commits[-1]
    cache = Cached()
    assert sha(content(timeline(storage, cache=cache).moment())) == commit.sha
    [(sign, table)] = cache.tables.items()
    assert table.count > 3
    for field, at, by in WRONG:
        cache.tables[sign] = wrong(table, field, at, by)
        cache.missed = 0
        assert sha(content(timeline(storage, cache=cache).moment())) == commit.sha, (field, at, by)
        assert cache.missed == 0
        kept = cache.tables[sign]
        assert all(
            (getattr(kept, name) == getattr(table, name)).all() for name in ("starts", "sizes", "offsets", "sums")
        )
    # Of a snapshot that is damaged itself no table helps.
    storage.replace(name, data[:70_000] + bytes([data[70_000] ^ 1]) + data[70_001:], builder.now)
    with pytest.raises(CorruptObjectError):
        content(timeline(storage, cache=cache).moment())


def publish_large(history: History, storage: MemoryStorage, cut: bool = False) -> None:
    """A snapshot of several blocks at the first commit of each index after the first."""
    builder, size = ReplicaBuilder(storage), history.page_size
    builder.snapshot(0, history.bases[0], note_of(Position(GENERATION, 0, 0), len(history.bases[0]) // size, size))
    for index, wal in enumerate(history.wals):
        previous = Position(GENERATION, index - 1, len(history.wals[index - 1])) if index else None
        builder.wal(
            index,
            wal,
            history.ends(index) if cut else [],
            {"v": 1, **({"previous": str(previous)} if previous else {})},
        )
        if index:
            commit = next(item for item in history.commits if item.index == index)
            pieces = (commit.content[at : at + (64 << 10)] for at in range(0, len(commit.content), 64 << 10))
            data = b"".join(DEFAULT_CODEC.seal(pieces, dict(note_of(commit.at(), commit.pages, size)), has_table=True))
            builder.now += timedelta(seconds=1)
            storage.replace(snapshot_name(GENERATION, index), data, builder.now)


def damaged(storage: MemoryStorage, index: int) -> None:
    """A wrong bit in the last block of a snapshot, which has a table that is right."""
    name = snapshot_name(GENERATION, index)
    data = storage.read(name)
    at = data.rindex(b"litestream-tui blocks") - 1000
    modified = next(item.modified for item in storage.list("") if item.name == name)
    storage.replace(name, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], modified)


@pytest.mark.parametrize("target", [Latest(), AtIndex(2)], ids=str)
def test_promise_3_a_snapshot_that_proves_damaged_in_the_midst_is_gone_round(
    large: History, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    """As a restore goes back to an older one, with the WAL since."""
    storage = MemoryStorage()
    publish_large(large, storage)
    said: list[str] = []
    options = RestoreOptions(target=target, backoff=QUICK, waiting=said.append)
    with monkeypatch.context() as patched:
        # So that nothing of it is in memory.
        patched.setattr(parts, "KEPT_BYTES_MAX", 0)
        at = read_timeline([OpenReplica("test", storage)], options, Cached())
        moments = [(commit, at.moment(commit.at())) for commit in large.commits if at.covers(commit.at())]
        ends, requests, first = at.ends(), at.requests, at.first
        damaged(storage, 2)
        assert [sha(content(moment)) for _, moment in moments] == [commit.sha for commit, _ in moments]
    assert (len(moments), len(said)) == (1, 1)
    assert said[0].endswith("An older snapshot was used instead, with the WAL since.")
    assert said[0] in at.warnings
    assert at.requests > requests
    assert [at.position(end) for end in at.ends()][-len(ends) :] == [at.position(end) for end in ends]
    # Where it began is there still.
    assert at.moment(first).pages == moments[0][1].pages
    # Without the others it is said, by its name.
    damaged(storage, 1)
    storage.delete([snapshot_name(GENERATION, 0)])
    without = timeline(storage)
    for _ in range(2):
        # And again whenever it is asked, however much of it was read meanwhile.
        with pytest.raises(CorruptObjectError, match=r"00000002\.snapshot\.lz4"):
            content(without.moment())


@pytest.mark.parametrize("noted", [True, False], ids=["ours", "litestream"])
def test_the_latest_and_at_a_time(history: History, noted: bool) -> None:
    storage = MemoryStorage()
    times = publish(history, storage, noted)
    assert sha(content(timeline(storage, Latest()).moment())) == history.commits[-1].sha
    for moment in sorted(set(times.values())):
        newest = [commit for commit in history.commits if times[commit.at()] <= moment][-1]
        found = timeline(storage, AtTime(moment))
        assert (found.end, sha(content(found.moment()))) == (newest.at(), newest.sha)
