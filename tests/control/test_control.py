"""What may be asked of an engine, in its process and over its socket: one suite for both."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from replication.control import requests as ask
from replication.control.commands import carry_out
from replication.control.jobs import JOBS_AT_ONCE_MAX
from replication.control.values import JobStatus
from replication.errors import (
    BusyError,
    CorruptObjectError,
    NoJobError,
    NoRestorePointError,
    OutputExistsError,
    PausedError,
    RestoreCancelledError,
    UsageError,
)
from replication.restore.meter import RestoreProgress
from replication.storage.file.storage import FileStorage
from tests.control.serving import VERSION, WAYS, Served, served
from tests.engine.running import in_step, only, sha256, until
from tests.foreign import ForeignConnection, Shell


@pytest.fixture(params=WAYS)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, request.param) as found:
        yield found


def rows(path: Path) -> list[list[int]]:
    """What the table holds."""
    with ForeignConnection(path) as connection:
        return connection.execute("SELECT a FROM t")


def ended(at: Served, job: JobStatus) -> JobStatus:
    """How a job ended."""
    while not job.over:
        job = at.control.job(job.id, job.version, 5.0)
    return job


def test_it_says_which_engine_it_is(at: Served) -> None:
    info = at.control.info()
    assert (info.version, info.databases, info.kind) == (VERSION, (at.name,), "service")


def test_the_status_is_the_engines_own(at: Served) -> None:
    until(lambda: bool(only(at.engine).replicas[0].proven))
    # Between two questions the database may be looked at.
    until(lambda: at.control.status().databases == at.engine.status().databases)
    # Asked again, uploads are all there, though only new ones are sent.
    mine = only(at.engine).replicas[0].uploads
    assert at.control.status().databases[0].replicas[0].uploads == mine != ()


def test_events_come_by_number_and_a_new_one_ends_a_wait(at: Served) -> None:
    first = at.control.events_since(0)
    assert first == at.engine.events_since(0) != []
    found: list[str] = []

    def wait() -> None:
        found.extend(event.message for event in at.control.wait_events(first[-1].number, 20.0))

    waiting = threading.Thread(target=wait)
    waiting.start()
    at.engine.events.emit("info", "news of the day")
    waiting.join(10.0)
    assert found == ["news of the day"]
    assert at.control.wait_events(first[-1].number + 1, 0.01) == []


def test_a_snapshot_is_written_and_told_in_words(at: Served) -> None:
    assert at.control.snapshot(at.name) == ["replica: the newest snapshot holds the newest commit already"]


def test_a_verification_says_what_it_found(at: Served) -> None:
    seen: list[RestoreProgress] = []
    [found] = at.control.verify(at.name, threading.Event(), seen.append)
    assert (found.replica, found.outcome, found.exit_code) == ("replica", "ok", 0)
    assert seen[-1].phase == "done"
    # A verification that finds something says with which code a command ends.
    [snapshot] = at.replicas[0].rglob("*.snapshot.lz4")
    snapshot.write_bytes(b"damaged")
    [found] = at.control.verify(at.name, threading.Event())
    assert (found.outcome, found.exit_code) == ("failed", CorruptObjectError.exit_code)


def test_a_sync_that_waits_returns_when_the_replica_has_it(at: Served) -> None:
    Shell(at.path).run("INSERT INTO t VALUES(2)")
    synced = carry_out(at.control, ask.Sync(database=at.name, wait=True))
    assert (synced.replicas, synced.lacking) == (("replica",), ())
    assert in_step(at.engine)
    assert synced.position == str(only(at.engine).position)
    at.control.sync_now()


def test_a_pause_is_a_lease_renewed_and_resumed(at: Served) -> None:
    at.control.pause(at.name, "a client", 60.0)
    assert only(at.engine).state == "paused"
    at.control.renew(at.name, "a client", 60.0)
    with pytest.raises(PausedError):
        carry_out(at.control, ask.Sync(database=at.name, wait=True))
    assert at.control.resume(at.name, "a client") == ()
    with pytest.raises(PausedError, match="no longer paused for a client"):
        at.control.renew(at.name, "a client", 60.0)


def test_a_restore_to_a_path_has_progress_and_a_result(at: Served) -> None:
    output = at.path.with_name("restored.db")
    seen: list[JobStatus] = []
    result = carry_out(at.control, ask.Restore(database=at.name, output=str(output)), seen.append)
    assert result.output == output
    assert result.position == only(at.engine).position
    assert rows(output) == rows(at.path) == [[1]]
    assert [job.progress.phase for job in seen if job.progress][-1] == "done"
    # The class of the error is the engine's own.
    before = sha256(output)
    with pytest.raises(OutputExistsError, match="exists already"):
        carry_out(at.control, ask.Restore(database=at.name, output=str(output)))
    assert sha256(output) == before


def test_a_restore_over_the_live_database_keeps_the_old_one_and_replication_goes_on(at: Served) -> None:
    position = str(only(at.engine).position)
    Shell(at.path).run("INSERT INTO t VALUES(2)")
    until(lambda: in_step(at.engine) and str(only(at.engine).position) != position)
    replaced = carry_out(at.control, ask.RestoreOver(database=at.name, position=position))
    assert (rows(at.path), rows(replaced.kept)) == ([[1]], [[1], [2]])
    until(lambda: in_step(at.engine))


def test_points_commits_and_plans_are_read_of_one_list(at: Served) -> None:
    before = only(at.engine).position
    Shell(at.path).run("INSERT INTO t VALUES(2)")
    until(lambda: only(at.engine).position != before and in_step(at.engine))
    points = ended(at, at.control.begin(ask.Points(database=at.name)))
    listed = points.result
    assert (listed.replica, len(listed.point_maps)) == ("replica", 1)
    stop = listed.point_maps[0].stops[-1]
    learned = carry_out(at.control, ask.Commits(points=points.id, object=stop.object))
    position = only(at.engine).position
    assert position is not None
    assert list(learned.commits) == [stop.object]
    assert learned.commits[stop.object].ends[-1] == position.offset
    planned = carry_out(at.control, ask.PlanPoint(points=points.id, position=str(position)))
    assert planned.fetch == carry_out(at.control, ask.Plan(database=at.name, position=str(position)))
    assert not planned.by_itself
    with pytest.raises(NoRestorePointError, match="not in this list"):
        carry_out(at.control, ask.Commits(points=points.id, object="no/such"))
    at.control.forget(points.id)
    with pytest.raises(NoJobError, match="kept open"):
        carry_out(at.control, ask.Commits(points=points.id, object=stop.object))


def test_the_generations_of_a_replica_are_told(at: Served) -> None:
    [held] = carry_out(at.control, ask.Generations(database=at.name, replica="replica"))
    position = only(at.engine).position
    assert position is not None
    assert held.point_map.generation == position.generation


def test_a_look_has_tables_and_rows_until_it_is_forgotten(at: Served) -> None:
    position = str(only(at.engine).position)
    Shell(at.path).run("INSERT INTO t VALUES(2)")
    look = ended(at, at.control.begin(ask.Look(database=at.name, position=position)))
    assert [(table.name, table.then, table.today) for table in look.result] == [("t", 1, 2)]
    rows = carry_out(at.control, ask.Rows(look=look.id, table="t"))
    assert [row.kind for row in rows.rows] == ["added"]
    at.control.forget(look.id)
    with pytest.raises(NoJobError, match="begin it again"):
        carry_out(at.control, ask.Rows(look=look.id, table="t"))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """What is read of a replica waits: two events, that somebody reads, and that it may go on."""
    reading, go_on = threading.Event(), threading.Event()
    get = FileStorage.get

    def slow_get(self: FileStorage, name: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        reading.set()
        go_on.wait(10.0)
        return get(self, name, offset, length)

    monkeypatch.setattr(FileStorage, "get", slow_get)
    yield reading, go_on
    go_on.set()


def test_a_cancelled_restore_leaves_nothing(at: Served, slow: tuple[threading.Event, threading.Event]) -> None:
    reading, go_on = slow
    output = at.path.with_name("restored.db")
    job = at.control.begin(ask.Restore(database=at.name, output=str(output)))
    assert reading.wait(10.0)
    assert at.control.cancel(job.id).state == "cancelling"
    go_on.set()
    job = ended(at, job)
    assert (job.state, job.failure and job.failure.error) == ("cancelled", "RestoreCancelledError")
    assert [item.name for item in at.path.parent.iterdir() if "restored" in item.name] == []
    # Cancelling what is over changes nothing.
    assert at.control.cancel(job.id).state == "cancelled"


@pytest.fixture
def slow_snapshot(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """A snapshot waits after its first piece: two events, that it is there, and that it may go on."""
    begun, go_on = threading.Event(), threading.Event()
    put = FileStorage.put

    def slow_put(self: FileStorage, name: str, chunks: Iterable[bytes], *, create: bool = False) -> int:
        def slowly() -> Iterator[bytes]:
            for chunk in chunks:
                yield chunk
                if "/snapshots/" in name:
                    begun.set()
                    go_on.wait(10.0)

        return put(self, name, slowly(), create=create)

    monkeypatch.setattr(FileStorage, "put", slow_put)
    yield begun, go_on
    go_on.set()


def test_a_snapshot_has_progress_and_of_a_cancelled_one_nothing_is_left(
    at: Served, slow_snapshot: tuple[threading.Event, threading.Event]
) -> None:
    begun, go_on = slow_snapshot
    Shell(at.path).run("INSERT INTO t VALUES(randomblob(3000000))")
    carry_out(at.control, ask.Sync(database=at.name, wait=True))
    # The next commit begins an index, which has no snapshot yet.
    at.engine._workers[0].database.checkpoint()
    Shell(at.path).run("INSERT INTO t VALUES(2)")
    carry_out(at.control, ask.Sync(database=at.name, wait=True))
    before = sorted(item.name for item in at.replicas[0].rglob("*"))
    job = at.control.begin(ask.WriteSnapshot(database=at.name))
    # A second one waits for its turn, and is cancelled while it does.
    second = at.control.begin(ask.WriteSnapshot(database=at.name))
    assert begun.wait(10.0)
    for one in (second, job):
        assert at.control.cancel(one.id).state in ("cancelling", "cancelled")
    second = ended(at, second)
    go_on.set()
    for one in (second, ended(at, job)):
        assert (one.state, one.failure and one.failure.error) == ("cancelled", "RestoreCancelledError")
    assert sorted(item.name for item in at.replicas[0].rglob("*")) == before
    seen: list[RestoreProgress] = []
    assert at.control.snapshot(at.name, progress=seen.append) == ["replica: snapshot 00000001 written"]
    assert (seen[-1].phase, seen[-1].objects_done, seen[-1].objects_total) == ("snapshot", 0, 1)
    assert seen[-1].bytes_done == seen[-1].bytes_total > 3_000_000


def test_a_command_that_is_cancelled_returns_when_nothing_of_it_runs_any_more(
    at: Served, slow: tuple[threading.Event, threading.Event]
) -> None:
    reading, go_on = slow
    cancel = threading.Event()

    def told(job: JobStatus) -> None:
        if reading.is_set():
            cancel.set()
        if job.state == "cancelling":
            go_on.set()

    with pytest.raises(RestoreCancelledError):
        carry_out(at.control, ask.Restore(database=at.name, output=f"{at.name}-2"), told, cancel)
    assert [job.state for job in at.control.jobs()] == ["cancelled"]


def test_a_job_is_begun_once_for_one_key(at: Served) -> None:
    first = at.control.begin(ask.Verify(database=at.name), "a key")
    assert at.control.begin(ask.Verify(database=at.name), "a key").id == first.id
    assert [job.do for job in at.control.jobs()] == ["verify"]
    ended(at, first)
    assert at.control.begin(ask.Verify(database=at.name), "a key").id == first.id


def test_jobs_at_once_are_bounded(at: Served) -> None:
    hold = threading.Event()
    begun = [at.local._jobs.begin("test", "", lambda run: hold.wait(10.0)) for _ in range(JOBS_AT_ONCE_MAX)]
    with pytest.raises(BusyError, match="under way already"):
        at.control.begin(ask.Verify(database=at.name))
    hold.set()
    for job in begun:
        ended(at, job)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ask.WriteSnapshot(database="/etc/passwd"), "not found in config"),
        (ask.Verify(database="/etc/passwd"), "not found in config"),
        (ask.Restore(database="/etc/passwd", output="/tmp/x"), "not found in config"),
        (ask.Points(database="/etc/passwd"), "not found in config"),
        (ask.Sync(database="/etc/passwd"), "not found in config"),
    ],
)
def test_what_is_not_in_the_configuration_is_not_touched(at: Served, request_: ask.Request, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        at.control.begin(request_)


def test_what_cannot_be_meant_is_refused_at_once(at: Served) -> None:
    for request, words in (
        (ask.Restore(database=at.name, output="relative.db"), "output must be an absolute path"),
        (ask.Restore(database=at.name, output=""), "output must be an absolute path"),
        (ask.Restore(database=at.name, output="/a\0b"), "output must be an absolute path"),
        (ask.RestoreOver(database=at.name, kept="x"), "kept must be an absolute path"),
        (ask.Restore(database=at.name, output="/x", position="x"), "is not a position"),
        (ask.Restore(database=at.name, output="/x", index="1", timestamp="x"), "give one of them"),
        (ask.Restore(database=at.name, output="/x", replica="gone"), "has no replica called"),
        (ask.Restore(database=at.name, output="/x", parallelism=0), "parallelism must be"),
        (ask.Pause(database=at.name, holder="x", lease_seconds=-1.0), "lease_seconds must be"),
        (ask.Sync(wait=True, timeout=1e12), "timeout must be"),
    ):
        with pytest.raises(UsageError, match=words):
            at.control.begin(request)


def test_an_unknown_job_is_told_in_words(at: Served) -> None:
    with pytest.raises(NoJobError, match="has no job"):
        at.control.job("x")
    with pytest.raises(NoJobError):
        at.control.cancel("a/b?c")


def test_stop_ends_the_engine_by_its_own_way(at: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    called = threading.Event()
    monkeypatch.setattr(at.local, "_ends", called.set)
    at.control.stop()
    assert called.is_set()
