"""Segments go while something long is under way for the same replica: every order of the two, on counted steps.

A store hangs at one call until it is let go; meanwhile commits are made and must arrive. Nothing here goes by time but
the deadline at which a test that would hang fails.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from replication.database import image
from replication.errors import DatabaseError, PausedError, StorageError
from replication.replica.wal03 import snapshots
from replication.replica.wal03.replica import Replica
from replication.storage.memory import MemoryStorage
from replication.storage.wal03.replica_client import ReplicaClient
from replication.validation import restored_digest
from tests.replica.bench import Bench, Timed

DEADLINE_SECONDS = 20.0
DATABASE_BYTES = 300_000


class GatedStorage(MemoryStorage):
    """Stops at the calls that a test names, in the middle of a body if there is one, until they are let go."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.stops_at: Callable[[str, str], bool] = lambda verb, name: False
        self.stopped = threading.Event()
        self.go_on = threading.Event()

    def put(self, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        return super().put(name, self._body(name, chunks), create=create)

    def delete(self, names: Iterable[str]) -> None:
        names = list(names)
        self._stop("delete", names[0] if names else "")
        super().delete(names)

    def folders(self, prefix: str) -> list[str]:
        self._stop("folders", prefix)
        return super().folders(prefix)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self._stop("get", name)
        return super().get(name, offset, length)

    def _body(self, name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        pieces = iter(chunks)
        yield next(pieces)
        self._stop("put", name)
        yield from pieces

    def _stop(self, verb: str, name: str) -> None:
        if self.stops_at(verb, name):
            self.stops_at = lambda verb, name: False
            self.stopped.set()
            assert self.go_on.wait(DEADLINE_SECONDS), "nobody let it go"


class Pauses:
    """A permit that a test takes away and gives back."""

    def __init__(self) -> None:
        self.paused = False

    def working(self) -> AbstractContextManager[None]:
        self.check()
        return nullcontext()

    def check(self) -> None:
        if self.paused:
            raise PausedError("paused")


@pytest.fixture
def permit(bench: Bench, store: GatedStorage) -> Pauses:
    """Asked by replica "a"."""
    made = Pauses()
    bench.replicas["a"] = Replica("a", ReplicaClient(store), bench.database, bench.emit, restored_digest, made)
    return made


@pytest.fixture
def store(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> GatedStorage:
    """The store of replica "a", for a database of which a snapshot is read in several pieces."""
    monkeypatch.setattr(image, "CHUNK_BYTES", 8 * 1024)
    bench.write(f"INSERT INTO t(b) VALUES(randomblob({DATABASE_BYTES}))")
    bench.database.sync()
    made = GatedStorage("memory://a", bench.clock)
    bench.storages["a"] = made
    return made


@contextmanager
def beside(store: GatedStorage, long: Callable[[], object], verb: str, part: str) -> Iterator[None]:
    """`long` runs in a thread of its own, and stands still at such a call while the block runs; it must end well."""
    store.stopped.clear()
    store.go_on.clear()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            long()
        except BaseException as error:
            errors.append(error)

    store.stops_at = lambda its_verb, name: its_verb == verb and part in name
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert store.stopped.wait(DEADLINE_SECONDS), f"{verb} of {part} never came"
        yield
    finally:
        store.go_on.set()
        thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()
    assert errors == []


def arrives(bench: Bench, replica: Replica) -> None:
    """A commit is made, and is in the replica right after that."""
    bench.commit()
    in_time = threading.Event()

    def send() -> None:
        replica.send()
        in_time.set()

    threading.Thread(target=send, daemon=True).start()
    assert in_time.wait(DEADLINE_SECONDS), "the segment waits"
    assert replica.position == bench.database.position
    assert bench.restored() == bench.app.sha256()


def begun(bench: Bench, commits: int = 3) -> Replica:
    """A replica with a snapshot and some segments, in an index that has no snapshot of its own yet."""
    replica = bench.replica()
    bench.commit()
    bench.settle()
    bench.database.checkpoint()
    for _ in range(commits):
        bench.commit()
    bench.settle()
    return replica


def test_a_segment_arrives_while_a_later_snapshot_hangs(bench: Bench, store: GatedStorage) -> None:
    replica = begun(bench)
    with beside(store, replica.snapshot, "put", "/snapshots/00000001"):
        for _ in range(5):
            arrives(bench, replica)
            bench.clean()
        assert replica.progress.object_name.endswith("/snapshots/00000001.snapshot.lz4")
    assert any(name.endswith("/snapshots/00000001.snapshot.lz4") for name in store.names())
    assert replica.progress.object_name == ""
    arrives(bench, replica)
    bench.check()


def test_indexes_begin_while_a_later_snapshot_hangs_and_shadow_wal_that_it_needs_stays(
    bench: Bench, store: GatedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may let a life of the WAL end; from 1 GiB on we do. What an image reads of it stays until it ends."""
    replica = begun(bench)
    monkeypatch.setattr("replication.database.checkpoint.WAL_OFFSET_URGENT_BYTES", 1)
    before = bench.app.sha256()
    with beside(store, replica.snapshot, "put", "/snapshots/00000001"):
        for _ in range(5):
            arrives(bench, replica)
            bench.database.sync()
            bench.clean()
        here = bench.database.position
        assert here is not None
        assert here.index > 3
        assert bench.database.shadow.path(here.generation, 1).exists()
    bench.clean()
    assert not bench.database.shadow.path(here.generation, 1).exists()
    bench.check()
    assert before in [bench.restored("a", point) for point in bench.points()]


def test_a_commit_is_stored_before_the_snapshot_that_holds_it(bench: Bench, store: GatedStorage) -> None:
    """Else WAL that the newest snapshot holds would be missing, if the program ended right then."""
    replica = begun(bench)
    for _ in range(3):
        # Not copied yet: the snapshot itself finds them.
        bench.commit(sync=False)
    with beside(store, replica.snapshot, "put", "/snapshots/00000001"):
        assert replica.position == bench.database.position
        assert bench.restored() == bench.app.sha256()


def test_killed_while_both_are_under_way_it_goes_on(bench: Bench, store: GatedStorage) -> None:
    """The snapshot is never stored, or is stored after the end, when nobody waits for its answer any more."""
    replica = begun(bench)
    with beside(store, replica.snapshot, "put", "/snapshots/00000001"):
        arrives(bench, replica)
        # Another program takes over from what is stored, as after a kill.
        bench.replicas.clear()
        again = bench.replica()
        bench.commit()
        again.sync()
        assert again.position == bench.database.position
        bench.check()
    bench.commit()
    bench.settle()
    bench.check()


def test_the_large_first_snapshot_comes_before_all_segments(
    bench: Bench, store: GatedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "FIRST_BYTES_MAX", 1024)
    replica = bench.replica()
    bench.commit()
    assert not replica.send()
    assert (replica.begins, store.names()) == (bench.database.generations[-1], [])
    with beside(store, replica.begin, "put", "/snapshots/00000000"):
        for _ in range(5):
            bench.commit()
            # Whoever sends is not held up by it either.
            assert not replica.send()
            bench.clean()
        assert store.names() == []
    assert not replica.begins
    assert replica.send()
    assert replica.position == bench.database.position
    bench.check()


@pytest.mark.parametrize("how", ["fails", "answer lost", "another generation", "paused"])
def test_a_large_first_snapshot_that_comes_to_nothing_is_begun_again(
    bench: Bench, store: GatedStorage, permit: Pauses, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(snapshots, "FIRST_BYTES_MAX", 1024)
    replica = bench.replica()
    bench.commit()
    replica.send()
    if how in ("fails", "answer lost"):
        if how == "fails":
            store.fail("put", (error := StorageError("down")))
        else:
            store.lose_acknowledgement()
            error = StorageError("memory://a closed the connection before it answered")
        with pytest.raises(StorageError, match=str(error)):
            replica.begin()
    else:

        def begin() -> None:
            with nullcontext() if how == "paused" else pytest.raises(DatabaseError, match="taken again"):
                assert not replica.begin()

        with beside(store, begin, "put", "/snapshots/00000000"):
            if how == "paused":
                permit.paused = True
            else:
                bench.database.request_generation("test")
                bench.commit()
        if how == "paused":
            assert store.names() == []
            replica.let_go()
            permit.paused = False
    for _ in range(3):
        bench.commit()
        replica.sync()
    assert replica.position == bench.database.position
    bench.settle()
    bench.check()


@pytest.mark.parametrize("verb", ["delete", "folders"])
def test_a_segment_arrives_while_retention_hangs(
    bench: Bench, store: GatedStorage, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    timed = Timed(bench)
    monkeypatch.setattr(snapshots, "time", timed.module())
    replica = begun(bench)
    timed.wait(10.0)
    replica.snapshot()
    timed.wait(10.0)
    with beside(store, lambda: replica.enforce_retention(1.0, timed.host_time()), verb, "generations/"):
        for _ in range(3):
            arrives(bench, replica)
    assert timed.removed
    arrives(bench, replica)
    bench.check()


def test_a_segment_arrives_while_a_validation_restores(bench: Bench, store: GatedStorage) -> None:
    replica = begun(bench)
    with beside(store, lambda: replica.verify(threading.Event()), "get", "/snapshots/"):
        for _ in range(3):
            arrives(bench, replica)
    assert replica.verified is not None
    assert replica.verified.outcome == "ok"


def test_what_a_validation_finds_of_a_generation_that_was_left_meanwhile_begins_no_other(
    bench: Bench, store: GatedStorage
) -> None:
    replica = begun(bench)
    with beside(store, lambda: replica.verify(threading.Event()), "get", "/snapshots/"):
        bench.database.request_generation("asked for")
        arrives(bench, replica)
        damaged = next(name for name in store.names() if "/wal/" in name and bench.database.generations[-1] not in name)
        store.replace(damaged, store.read(damaged)[:-1])
    assert replica.verified is not None
    assert replica.verified.outcome == "failed"
    bench.settle()
    assert bench.reasons() == ["no generation exists", "asked for"]
    assert bench.restored() == bench.states[-1]


def test_a_segment_that_is_stored_while_the_place_is_listed_is_no_loss_and_is_not_forgotten(
    bench: Bench, store: GatedStorage
) -> None:
    replica = begun(bench)
    replica.unproven = True
    with beside(store, lambda: replica.enforce_retention(0, bench.clock()), "folders", "generations/"):
        for _ in range(3):
            arrives(bench, replica)
    assert replica.standing.broken == ""
    assert replica.standing.proven
    lost = [name for name in store.names() if "/wal/" in name][-2]
    store.delete([lost])
    replica.enforce_retention(0, bench.clock())
    assert lost in replica.standing.lost


def test_a_pause_breaks_a_snapshot_off(bench: Bench, store: GatedStorage, permit: Pauses) -> None:
    replica = begun(bench)

    def snapshot() -> None:
        with pytest.raises(PausedError):
            replica.snapshot()

    with beside(store, snapshot, "put", "/snapshots/00000001"):
        permit.paused = True
    assert [name for name in store.names() if "/snapshots/00000001" in name] == []
    replica.let_go()
    permit.paused = False
    arrives(bench, replica)
    bench.check()


def test_the_end_of_the_program_breaks_off_what_nothing_waits_for(bench: Bench, store: GatedStorage) -> None:
    replica = begun(bench)

    def snapshot() -> None:
        with pytest.raises(PausedError):
            replica.snapshot()

    with beside(store, snapshot, "put", "/snapshots/00000001"):
        replica.end()
    assert [name for name in store.names() if "/snapshots/00000001" in name] == []
    arrives(bench, replica)
