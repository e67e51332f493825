"""What the listing verbs and the picker of restore points are told."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from replication.errors import CorruptObjectError
from replication.position import Position
from replication.restore.wal03.catalog import read_catalog
from replication.restore.wal03.listing import CommitPoint, commits, describe, snapshot_points
from replication.sqlite import integrity
from replication.sqlite.checksum import WAL_HEADER_SIZE
from replication.storage.codecs import DEFAULT_CODEC
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from tests.foreign import Shell
from tests.restore.history import GENERATION, History, ReplicaBuilder, publish, scripts, write_history


@pytest.fixture(scope="module", params=[512, 65536])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), request.param, list(scripts()))


def test_commits_are_those_that_sqlite_made(history: History) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    client = ReplicaClient(storage)
    found = [point for segment in client.segments(GENERATION) for point in commits(client, segment)]
    assert found == [CommitPoint(commit.at(), commit.pages) for commit in history.commits]


def test_commits_of_a_damaged_segment(history: History) -> None:
    storage = MemoryStorage()
    publish(history, storage, noted=True)
    client = ReplicaClient(storage)
    segment = client.segments(GENERATION)[1]
    content = b"".join(DEFAULT_CODEC.open(segment.name, [storage.read(segment.name)]))
    for wrong in (content[:-1], bytes(len(content))):
        storage.replace(segment.name, b"".join(DEFAULT_CODEC.seal([wrong])))
        with pytest.raises(CorruptObjectError, match=segment.name):
            list(commits(client, segment))


def test_describe(history: History) -> None:
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    builder.noted_snapshot(history.commits[0], history.page_size, reason="first start", previous="f" * 16)
    builder.wal(0, history.wals[0], history.ends(0))
    headless = "e" * 16
    ReplicaBuilder(storage, headless).wal(0, history.wals[0], [])
    client = ReplicaClient(storage)
    found = {item.generation: item for item in describe(client)}
    ours = found[GENERATION]
    assert (ours.reason, ours.previous, ours.snapshots, ours.restorable) == ("first start", "f" * 16, 1, True)
    assert ours.segments == len(history.ends(0))
    assert ours.first == history.commits[0].at()
    assert ours.last == Position(GENERATION, 0, history.ends(0)[-2])
    assert ours.size == sum(item.size for item in storage.list(f"generations/{GENERATION}/"))
    assert (found[headless].restorable, found[headless].first) == (False, None)
    assert all(early.start <= late.start for early, late in pairwise(describe(client)))
    assert snapshot_points(read_catalog(client, GENERATION)) == (
        CommitPoint(history.commits[0].at(), history.commits[0].pages),
    )


def test_integrity_check_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a %41?#b.db"
    Shell(path).run(
        "PRAGMA journal_mode=WAL; CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES(1),(2),(3);"
    )
    for thoroughness in ("quick", "full"):
        assert integrity.problems(path, thoroughness) == []
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_integrity_check_finds_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"x" * 8192)
    assert integrity.problems(path, "quick")
    path.unlink()
    Shell(path).run("CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES('needle');")
    whole = path.read_bytes()
    # The index alone is made wrong: only the full check compares it with the table.
    place = whole.rindex(b"needle") if whole.rindex(b"needle") > 8192 else whole.index(b"needle")
    path.write_bytes(whole[:place] + b"beetle" + whole[place + 6 :])
    assert integrity.problems(path, "full")


def test_integrity_check_can_be_stopped_or_impossible(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Shell(path).run(
        "CREATE TABLE t(a); WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 50000) "
        "INSERT INTO t SELECT v FROM n;"
    )
    with pytest.raises(integrity.Interrupted):
        integrity.problems(path, "full", lambda: True)


def test_integrity_check_without_the_collation_of_the_application(tmp_path: Path) -> None:
    path = tmp_path / "db"
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1])\n"
        "c.create_collation('OWN', lambda a, b: (a > b) - (a < b))\n"
        "c.execute('CREATE TABLE t(a COLLATE OWN)'); c.execute('CREATE INDEX i ON t(a)'); c.commit()"
    )
    subprocess.run([sys.executable, "-c", script, path], check=True)
    with pytest.raises(integrity.Inconclusive, match="OWN"):
        integrity.problems(path, "quick")


def test_a_segment_with_a_header_alone_has_no_commits(history: History) -> None:
    """Litestream begins an index with one."""
    storage = MemoryStorage()
    ReplicaBuilder(storage).wal(0, history.wals[0][:WAL_HEADER_SIZE], [])
    client = ReplicaClient(storage)
    [segment] = client.segments(GENERATION)
    assert list(commits(client, segment)) == []
