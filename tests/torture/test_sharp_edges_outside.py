"""Known edges of Litestream 0.3.13 in restores, URLs, configuration and commands, one test each: not here.

The numbers are those of the table in docs/reports/litestream-edges.md; the others are in test_sharp_edges.py.
"""

import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
from replication.config import load_config
from replication.errors import (
    ConfigError,
    CorruptObjectError,
    NoRestorePointError,
    OutputExistsError,
    ReplicaGapError,
    StorageError,
)
from replication.restore.open_replica import OpenReplica
from replication.restore.restore import restore
from replication.restore.target import AtIndex, AtTime
from replication.storage import container
from replication.storage.base import ObjectInfo
from replication.storage.file.location import FileLocation
from replication.storage.memory import MemoryStorage
from replication.storage.open import open_storage
from replication.storage.s3.location import S3Location
from replication.storage.url import parse_replica_url
from replication.storage.wal03.names import segment_name
from tests.cli.program import Replicating, python
from tests.engine.running import client_of
from tests.foreign import Shell
from tests.monitoring.scraped import ask
from tests.replica.bench import Bench
from tests.restore.history import GENERATION, History, ReplicaBuilder, publish, scripts, write_history
from tests.restore.running import fails, run
from tests.restore.test_every_commit import sha

DOWN = StorageError("the store is down")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_history(tmp_path_factory.mktemp("history"), 1024, list(scripts()))


def published(history: History, storage: MemoryStorage | None = None) -> MemoryStorage:
    storage = storage or MemoryStorage()
    publish(history, storage, noted=True)
    return storage


def test_e04_a_segment_missing_in_the_middle_is_named_and_nothing_older_is_restored(
    history: History, tmp_path: Path
) -> None:
    storage = published(history)
    names = [name for name in storage.names() if "/wal/" in name]
    for name in names[:-1]:
        whole = storage.read(name)
        storage.delete([name])
        assert name in fails(storage, tmp_path, ReplicaGapError)
        storage.replace(name, whole)


def test_e05_a_wrong_byte_in_a_frame_is_found_under_a_right_lz4_checksum(history: History, tmp_path: Path) -> None:
    storage = published(history)
    name = [name for name in storage.names() if "/wal/" in name][1]
    content = bytearray(b"".join(container.decompress(name, [storage.read(name)])))
    content[-5] ^= 1
    storage.replace(name, b"".join(container.compress([bytes(content)])))
    assert name in fails(storage, tmp_path, CorruptObjectError)


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_e08_a_stale_file_beside_the_output_is_refused(history: History, tmp_path: Path, suffix: str) -> None:
    stale = tmp_path / f"out.db{suffix}"
    stale.write_bytes(b"of another database")
    with pytest.raises(OutputExistsError, match=suffix):
        run(published(history), tmp_path / "out.db")
    assert list(tmp_path.iterdir()) == [stale]
    assert stale.read_bytes() == b"of another database"


def test_e09_a_restore_leaves_nothing_beside_the_file(history: History, tmp_path: Path) -> None:
    storage = published(history)
    run(storage, tmp_path / "out.db", integrity_check="full")
    assert list(tmp_path.iterdir()) == [tmp_path / "out.db"]
    (tmp_path / "out.db").unlink()
    storage.replace(storage.names()[-1], b"damaged")
    # `fails` compares the folder with what was there before.
    fails(storage, tmp_path, CorruptObjectError)


_CHILD = r"""
import signal, sqlite3, sys, time
def ended(number, frame):
    db = sqlite3.connect({path!r})
    db.execute("INSERT INTO t VALUES('written at the very end')")
    db.commit()
    db.close()
    sys.exit(3)
signal.signal(signal.SIGTERM, ended)
print("ready", flush=True)
time.sleep(60)
"""


def test_e16_what_a_child_writes_at_its_end_is_replicated_although_it_fails(tmp_path: Path) -> None:
    path, root = tmp_path / "app.db", tmp_path / "replica"
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    child = python(_CHILD.format(path=str(path)))
    with Replicating(tmp_path / "log", "-exec", child, path, f"file://{root}") as replicate:
        replicate.wait_for("ready")
        assert replicate.end() == 3
    restored_to = tmp_path / "out.db"
    restore([OpenReplica("file", client_of(root).storage)], restored_to)
    assert Shell(restored_to).rows("SELECT a FROM t") == [["written at the very end"]]


@pytest.mark.parametrize("folder", ["what?mode=ro", "a#b", "100%25", "?", "file:x"])
def test_e24_signs_that_mean_something_in_a_url_are_plain_in_a_path(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir()
    bench = Bench(place)
    try:
        bench.path = place / "app.db"
        bench.replica()
        bench.commit()
        bench.settle()
        assert bench.restored() == bench.app.sha256()
    finally:
        bench.close()
    assert [path.name for path in tmp_path.iterdir()] == [folder]


def test_e25_file_urls_are_decoded_and_take_no_query() -> None:
    location = parse_replica_url("file:///srv/a%20b%3Fc")
    assert location == FileLocation(Path("/srv/a b?c"))
    with pytest.raises(ConfigError, match="%3F"):
        parse_replica_url("file:///srv/a?endpoint=x")


def test_e26_a_slash_before_a_path_in_a_bucket_changes_nothing(weed: peers.S3Server) -> None:
    with_slash = weed.location(path="/e26/deep/")
    plain = weed.location(path="e26/deep")
    open_storage(with_slash).put("generations/x", [b"there"])
    assert b"".join(open_storage(plain).get("generations/x")) == b"there"
    assert [item.name for item in open_storage(with_slash).list("")] == ["generations/x"]
    location = parse_replica_url("s3://bucket//path/")
    assert isinstance(location, S3Location)
    assert location.path == "path"


def test_e27_one_replica_that_fails_does_not_fail_the_restore(history: History, tmp_path: Path) -> None:
    bad, good = published(history), published(history)
    bad.fail("list", DOWN, 1000)
    bad.fail("folders", DOWN, 1000)
    sources = [OpenReplica("bad", bad), OpenReplica("good", good)]
    result = restore(sources, tmp_path / "out.db")
    assert (result.replica, sha(tmp_path / "out.db")) == ("good", history.commits[-1].sha)
    assert "bad" in result.warnings[0]


def test_e28_an_index_that_is_not_there_is_refused(history: History, tmp_path: Path) -> None:
    assert "from 00000000 to 00000002" in fails(published(history), tmp_path, NoRestorePointError, AtIndex(3))


def test_e30_what_retention_left_below_the_first_snapshot_does_not_matter(history: History, tmp_path: Path) -> None:
    storage = MemoryStorage()
    builder = ReplicaBuilder(storage)
    builder.wal(0, history.wals[0], history.ends(0))
    storage.delete([name for name in storage.names() if name.endswith("00000000_00000000.wal.lz4")])
    builder.snapshot(1, history.bases[1])
    builder.wal(1, history.wals[1], [])
    run(storage, tmp_path / "out.db")
    assert sha(tmp_path / "out.db") == [commit.sha for commit in history.commits if commit.index == 1][-1]


def test_e31_objects_are_one_lz4_frame_without_block_checksums() -> None:
    for note in (None, {"v": 1}):
        data = b"".join(container.compress([b"x" * 9_000_000, b"y"], note))
        if note is not None:
            magic, size = struct.unpack_from("<II", data)
            assert 0x184D2A50 <= magic < 0x184D2A60
            data = data[8 + size :]
        flags = data[4]
        assert data[:4] == bytes.fromhex("04224d18")
        assert (flags >> 6, flags >> 5 & 1, flags >> 4 & 1, flags >> 2 & 1) == (1, 1, 0, 1)
        assert data.count(bytes.fromhex("04224d18")) == 1
        assert sum(map(len, container.decompress("object", [data]))) == 9_000_001


@pytest.mark.parametrize("line", ["monitor-interval: 0s", "replicas: [{path: /r, sync-interval: 0s}]"])
def test_e32_an_interval_of_nothing_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text(f"dbs:\n- path: /srv/app.db\n  {line}\n")
    with pytest.raises(ConfigError, match=r"litestream.yml:3: .*must be more than 0"):
        load_config(config)


def test_e32_a_kind_of_log_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "litestream.yml"
    config.write_text("logging:\n  type: xml\ndbs: []\n")
    with pytest.raises(ConfigError, match=r"litestream.yml:2: .*write text or json"):
        load_config(config)


class _Counting(MemoryStorage):
    """How many objects are being read at once, and whether every listing was read to its end."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._open = 0
        self.most = 0
        self.unfinished = 0

    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        chunks = super().get(name, offset, length)

        def counted() -> Iterator[bytes]:
            with self._guard:
                self._open += 1
                self.most = max(self.most, self._open)
            try:
                yield from chunks
            finally:
                with self._guard:
                    self._open -= 1

        return counted()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.unfinished += 1
        yield from super().list(prefix)
        self.unfinished -= 1


def test_e33_a_restore_opens_a_bounded_number_of_objects(history: History, tmp_path: Path) -> None:
    storage = _Counting()
    builder = ReplicaBuilder(storage)
    builder.snapshot(0, history.bases[0])
    builder.wal(0, history.wals[0], range(32, len(history.wals[0]), 1048))
    assert len(storage.names()) > 40
    run(storage, tmp_path / "out.db", parallelism=3)
    assert 1 <= storage.most <= 3


def test_e34_a_listing_for_a_moment_is_read_to_its_end(history: History, tmp_path: Path) -> None:
    """Nothing is broken off early, so no error of breaking off can be taken for one of the store."""
    storage = _Counting()
    published(history, storage)
    [first, *_] = [item for item in storage.list("") if "/wal/" in item.name]
    storage.unfinished = 0
    run(storage, tmp_path / "out.db", AtTime(first.modified))
    assert storage.unfinished == 0


def test_e37_no_profiler_listens_on_the_address_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    Shell(path).run("PRAGMA journal_mode=wal; CREATE TABLE t(a)")
    [port] = peers.free_ports(1)
    config = tmp_path / "litestream.yml"
    config.write_text(f"addr: 127.0.0.1:{port}\ndbs:\n- path: {path}\n  replicas:\n  - path: {tmp_path / 'replica'}\n")
    with Replicating(tmp_path / "log", "-config", config) as replicate:
        replicate.wait_for("serving metrics")
        assert ask(port, "/metrics").status == 200
        for page in ("/debug/pprof/", "/debug/pprof/profile", "/debug/vars"):
            assert ask(port, page).status == 404
        assert replicate.end() == 0


def test_the_names_of_objects_hold_every_offset_that_is_reached(history: History) -> None:
    """A part of edge 23: eight hex digits, whatever the offset."""
    for commit in history.commits:
        assert len(segment_name(commit.at(GENERATION)).rpartition("/")[2]) == len("00000000_00000000.wal.lz4")
